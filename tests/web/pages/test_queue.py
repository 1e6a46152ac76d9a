"""The queue's page: filters in the address, page after page."""

from __future__ import annotations

import re
from dataclasses import replace

from perilune.model.rules import Level
from perilune.web.pages.queue import PAGE
from perilune.web.rooms import Rooms
from tests.report import cases
from tests.web.desk import NOW, Person


def _ids(page: str) -> list[str]:
    return re.findall(r'class="open" href="/cases/(C-\d+)"', page)


def test_filters_are_the_address(rooms: Rooms) -> None:
    low, _ = rooms.cases.save(replace(cases.EMPTY, key="low", title="50% off", level=Level.LOW), at=NOW)
    rooms.cases.set_owner(low.id, "viewer", at=NOW, who="test")
    person = Person(rooms, "viewer")
    assert _ids(person.get("/cases").text) == ["C-1", low.id]
    assert _ids(person.get("/cases?severity=high").text) == ["C-1"]
    assert _ids(person.get("/cases?owner=me").text) == [low.id]
    assert _ids(person.get("/cases?owner=-").text) == ["C-1"]
    assert _ids(person.get("/cases?q=50%25").text) == [low.id]
    assert _ids(person.get("/cases?q=5%25f").text) == []
    assert _ids(person.get("/cases?q=c-1").text) == ["C-1"]
    assert _ids(person.get("/cases?show=closed").text) == []
    assert _ids(person.get("/cases?order=newest").text) == [low.id, "C-1"]


def test_pages_hold_each_case_once(rooms: Rooms) -> None:
    for number in range(PAGE + 5):
        rooms.cases.save(replace(cases.EMPTY, key=f"k{number}", score=number % 4), at=NOW)
    person = Person(rooms, "viewer")
    first = person.get("/cases?show=all").text
    link = re.search(r'rel="next" href="([^"]+)"', first)
    assert link
    second = person.get(link[1].replace("&amp;", "&")).text
    assert len(_ids(first)) == PAGE
    assert _ids(first) + _ids(second) == [one.id for one in rooms.cases.queue(limit=1000)]
    assert person.get("/cases?after=x").status_code == 400
