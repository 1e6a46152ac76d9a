"""Hunting at the console: an upload becomes cases in a process of its own, a query becomes rows and then a hunt."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from perilune.service.jobs import SAMPLES, safe_name
from perilune.store.jobs import SILENT
from perilune.web.rooms import Rooms
from tests.web.desk import NOW, Person

QUERY = "DeviceProcessEvents | where FileName startswith 'lua' | project Timestamp, DeviceName, ProcessCommandLine"
SAMPLE = (files("perilune.content") / "samples" / "linux-auditd.log").read_bytes()


def do(rooms: Rooms) -> None:
    """Does what waits, here and now."""
    while job := rooms.crew.store.claim("test", at=rooms.now()):
        rooms.crew.do(job)


def upload(person: Person, *given: tuple[str, bytes], word: str | None = None) -> Any:
    form = {"csrf": person.word if word is None else word}
    return person.client.post("/hunts", data=form, files=[("files", one) for one in given])


def test_an_upload_becomes_cases_and_can_be_asked_further(rooms: Rooms) -> None:
    person = Person(rooms, "analyst")
    answer = upload(person, ("../../<b>../audit.log", SAMPLE))
    assert answer.status_code == 303, answer.text
    job = answer.headers["location"].split("?")[0]
    kept = list((rooms.settings.home / "jobs" / "J-1" / "files").iterdir())
    assert [one.name for one in kept] == ["01-audit.log"]
    assert kept[0].stat().st_mode & 0o777 == 0o600
    do(rooms)
    page = person.get(job).text
    found = rooms.crew.store.load("J-1").result["cases"]
    assert found and all(f'<a href="/cases/{one["id"]}">' in page for one in found)
    assert rooms.cases.count() == 1 + len(found)
    answer = person.post("/kql", query=QUERY, source="J-1")
    do(rooms)
    page = person.get(answer.headers["location"]).text
    assert "ProcessCommandLine</th>" in page
    assert person.post("/jobs/J-1/remove").status_code == 303
    assert not kept[0].exists()


def test_a_query_that_is_wrong_is_said_before_anything_is_read(rooms: Rooms) -> None:
    person = Person(rooms, "analyst")
    answer = person.post("/kql", query="DeviceProcessEvents | wher x", source=SAMPLES)
    assert answer.status_code == 400
    assert "wher x</textarea>" in answer.text
    assert rooms.crew.store.jobs(limit=5) == []


def test_a_query_is_saved_as_a_hunt_that_later_hunts_run(rooms: Rooms) -> None:
    from perilune.detection.kql import hunts

    person = Person(rooms, "analyst")
    person.post("/kql", query=QUERY, source=SAMPLES)
    do(rooms)
    form = {"title": 'Lua: "here" & there', "severity": "low", "techniques": "T1059.011"}
    assert person.post("/jobs/J-1/save", **form | {"techniques": "x"}).status_code == 400
    assert person.post("/jobs/J-1/save", **form).status_code == 303
    assert person.post("/jobs/J-1/save", **form).status_code == 400
    saved = hunts.load([rooms.settings.content / "hunts"])
    assert ([rule.title for rule in saved.rules], saved.refused) == ([form["title"]], ())
    assert saved.rules[0].author == "analyst"


def test_an_upload_without_its_word_or_without_the_right_is_refused(rooms: Rooms) -> None:
    assert upload(Person(rooms, "analyst"), ("a.log", b"x"), word="0" * 64).status_code == 403
    assert upload(Person(rooms, "viewer"), ("a.log", b"x")).status_code == 403
    assert upload(Person(rooms, "analyst")).status_code == 400
    assert rooms.crew.store.jobs(limit=5) == []


def test_an_upload_that_is_too_large_is_refused(rooms: Rooms, tmp_path: Path) -> None:
    from dataclasses import replace

    rooms.options = replace(rooms.options, upload_most=100_000)
    person = Person(rooms, "analyst")
    assert upload(person, ("a.log", b"x" * 90_000)).status_code == 303
    assert upload(person, ("a.log", b"x" * 110_000)).status_code == 413


def test_a_job_whose_worker_died_is_called_failed(rooms: Rooms) -> None:
    person = Person(rooms, "analyst")
    person.client.post("/hunts", data={"csrf": person.word, "source": SAMPLES})
    assert rooms.crew.store.claim("dead", at=NOW) is not None
    assert rooms.crew.store.claim("next", at=NOW + SILENT * 2) is None
    assert "its worker ended" in person.get("/jobs/J-1").text


@pytest.mark.parametrize(
    ("name", "kept"),
    [("a.log", "03-a.log"), ("../../etc/passwd", "03-passwd"), ("c:\\x\\y z.evtx", "03-y_z.evtx"), ("", "03-log"),
     ("..", "03-log"), ("\u202e\x00é", "03-_"), ("x" * 300, "03-" + "x" * 80)],
)  # fmt: skip
def test_names_are_ours(name: str, kept: str) -> None:
    assert safe_name(3, name) == kept
