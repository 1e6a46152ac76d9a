"""The content as pages: looked at, tried for real, compared with the pack; nothing else on the disk can be opened."""

from __future__ import annotations

from importlib.resources import files
from urllib.parse import quote

import pytest

from perilune.web import shelves
from perilune.web.rooms import Rooms
from tests.web.desk import Person


@pytest.mark.parametrize("kind", list(shelves.KINDS))
def test_every_kind_has_its_list(rooms: Rooms, kind: str) -> None:
    page = Person(rooms, "viewer").get(f"/content/{kind}")
    assert page.status_code == 200
    if kind in ("rules", "hunts", "playbooks", "lists"):
        assert f"/content/{kind}/item?origin=pack" in page.text


def test_a_rule_of_the_pack_is_tried_on_its_events(rooms: Rooms) -> None:
    person = Person(rooms, "analyst")
    one = shelves.items(rooms, "rules")[0]
    page = person.get(f"/content/rules/item?origin=pack&place={quote(one.place)}").text
    assert "Test it" in page
    tried = person.post("/content/rules/item", origin="pack", place=one.place).text
    assert "must be hit" in tried
    assert "is-failed" not in tried


def test_an_own_rule_that_is_wrong_says_so_and_shows_what_it_changes(rooms: Rooms) -> None:
    person = Person(rooms, "analyst")
    one = next(item for item in shelves.items(rooms, "rules") if shelves.beside(item))
    own = rooms.settings.content / one.place
    own.parent.mkdir(parents=True)
    own.write_text(one.text()[0].replace("title: ", "title: <b>ours</b> "))
    page = person.get(f"/content/rules/item?origin=own&place={quote(one.place)}").text
    assert "+title: &lt;b&gt;ours&lt;/b&gt;" in page
    assert "no events beside it" in person.post("/content/rules/item", origin="own", place=one.place).text


def test_a_playbook_is_drawn_and_its_scenarios_come_out(rooms: Rooms) -> None:
    person = Person(rooms, "analyst")
    place = "playbooks/recovery_plan.json"
    drawn = person.get(f"/content/playbooks/drawing?origin=pack&place={place}")
    assert drawn.headers["content-type"].startswith("image/svg+xml")
    tried = person.post("/content/playbooks/item", origin="pack", place=place).text
    assert "is-done" in tried
    assert "is-failed" not in tried


@pytest.mark.parametrize("place", ["../../../../etc/passwd", "/etc/passwd", "sigma/../../setup.cfg", "", "x"])
def test_nothing_else_can_be_opened(rooms: Rooms, place: str) -> None:
    for kind in ("rules", "nothing"):
        assert Person(rooms, "viewer").get(f"/content/{kind}/item?origin=own&place={quote(place)}").status_code == 404


def test_the_installation_says_what_it_is(rooms: Rooms) -> None:
    admin = Person(rooms, "admin")
    assert "There is no history" in admin.get("/baselines").text
    assert "No live source" in admin.get("/sources").text
    page = admin.get("/settings").text
    assert "Hash of the last line" in page
    assert str(rooms.settings.home) in page


def test_live_sources_show_lag_and_losses(rooms: Rooms) -> None:
    from perilune.store.events import EventLake  # the watcher's own writer makes what is read

    lake = EventLake(rooms.settings.home / "lake")
    lake.manifest.note("watcher", {"watcher": {"state": "watching", "at": 0.0}})
    lake.manifest.note("source", {"/var/log/audit": {"doing": "reading", "behind_bytes": 4096, "records": 7,
                                                     "lost": {"too long": 3}}})  # fmt: skip
    lake.close()
    page = Person(rooms, "viewer").get("/sources").text
    assert "4,096 bytes" in page
    assert "too long: 3" in page


def test_learned_history_is_shown(rooms: Rooms) -> None:
    from perilune import learning

    with_samples = files("perilune.content") / "samples" / "linux-auditd.log"
    learning.build([with_samples], rooms.settings.baseline_folder, workers=1, content=None)  # type: ignore[list-item]
    page = Person(rooms, "viewer").get("/baselines?interpreter=lua").text
    assert "runs of interpreters" in page


def test_the_reference_lists_every_call_of_the_api(rooms: Rooms) -> None:
    admin = Person(rooms, "admin")
    page = admin.get("/api").text
    described = admin.get("/api/v1/openapi.json").json()
    calls = [one["operationId"] for methods in described["paths"].values() for one in methods.values()]
    assert len(calls) > 15
    assert all(f'id="{one}"' in page for one in calls)
    assert "Idempotency-Key" in page
