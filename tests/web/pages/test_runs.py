"""A run on the pages: planned, begun, approved by somebody else, driven, taken back; nothing without its word."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from perilune.store import audit
from perilune.web.rooms import Rooms
from tests.web.desk import Person


@pytest.fixture(autouse=True)
def stopped(rooms: Rooms) -> Iterator[None]:
    yield
    rooms.driver.stop()


def begin(rooms: Rooms) -> tuple[str, str]:
    """A run of the standard playbook, as far as it goes alone; its id and its plan's hash."""
    person = Person(rooms, "responder")
    page = person.get("/cases/C-1/respond?look=1").text
    found = re.search(r'name="plan" value="([0-9a-f]{64})"', page)
    assert found, page[:3000]
    answer = person.post("/cases/C-1/respond", plan=found[1])
    assert answer.status_code == 303, answer.text
    assert rooms.driver.rest(30)
    return answer.headers["location"].split("/")[-1].split("?")[0], found[1]


def test_a_dry_run_says_exactly_what_would_be_sent_and_changes_nothing(rooms: Rooms) -> None:
    person = Person(rooms, "responder")
    page = person.get("/cases/C-1/respond?look=1").text
    assert "set isolated host||" in page
    assert "A dry run: nothing was changed" in page
    assert rooms.office.runs.runs() == []
    assert "No playbooks are called" in person.get("/cases/C-1/respond?look=1&playbook=x").text
    assert "is true or false" in person.get("/cases/C-1/respond?look=1&input.AutoContainment=perhaps").text
    assert "There is no connector" in person.get("/cases/C-1/respond?look=1&connector=x").text


def test_only_the_plan_that_was_seen_is_begun(rooms: Rooms) -> None:
    person = Person(rooms, "responder")
    assert person.post("/cases/C-1/respond", plan="0" * 64).status_code == 409
    assert rooms.office.runs.runs() == []


def test_a_run_is_approved_by_another_driven_to_its_end_and_taken_back(rooms: Rooms) -> None:
    run, seen = begin(rooms)
    responder, approver = Person(rooms, "responder"), Person(rooms, "approver")
    assert rooms.office.runs.load(run).status == "waiting"
    assert "you began this run" in responder.get(f"/runs/{run}").text
    form = {"verdict": "approve", "reason": "seen by me", "hours": "2"}
    assert approver.post(f"/runs/{run}/decide", plan="0" * 64, **form).status_code == 409
    assert approver.post(f"/runs/{run}/decide", plan=seen, verdict="approve").status_code == 400
    assert approver.post(f"/runs/{run}/decide", plan=seen, **form).status_code == 303
    assert rooms.driver.rest(30)
    page = approver.get(f"/runs/{run}").text
    assert rooms.office.runs.load(run).status == "finished"
    assert "seen by me" in page
    assert "<b>approver</b> approved the whole plan" in page
    undone = responder.post(f"/runs/{run}/undo", reason="a drill").headers["location"]
    assert rooms.driver.rest(30)
    assert "Finished" in responder.get(undone).text
    assert f'Taken back by <a href="{undone.split("?")[0]}"' in responder.get(f"/runs/{run}").text
    assert audit.verify(rooms.database)[2] == []


def test_who_began_a_run_cannot_approve_it_whatever_their_role_is_now(rooms: Rooms) -> None:
    from perilune.model.roles import Role

    run, seen = begin(rooms)
    rooms.users.set_role("responder", Role.APPROVER, at=rooms.now(), who="admin")
    answer = Person(rooms, "responder").post(f"/runs/{run}/decide", plan=seen, verdict="approve", reason="mine")
    assert answer.status_code == 403
    assert rooms.office.runs.decisions(run) == []


def test_single_actions_are_denied_and_never_done(rooms: Rooms) -> None:
    run, seen = begin(rooms)
    person = Person(rooms, "approver")
    person.post(f"/runs/{run}/decide", plan=seen, verdict="deny", reason="not this host", action="1")
    assert rooms.driver.rest(30)
    page = person.get(f"/runs/{run}").text
    assert "denied by approver: not this host" in page
    assert 'class="finding step is-refused" id="action-1"' in page
    assert 1 not in rooms.office.runs.results(run)


def test_a_cancelled_run_goes_no_further(rooms: Rooms) -> None:
    run, seen = begin(rooms)
    person = Person(rooms, "responder")
    assert person.post(f"/runs/{run}/cancel").status_code == 400
    assert person.post(f"/runs/{run}/cancel", reason="wrong case").status_code == 303
    again = Person(rooms, "approver").post(f"/runs/{run}/decide", plan=seen, verdict="approve", reason="late")
    assert again.status_code == 400
    assert "Cancelled" in person.get(f"/runs/{run}").text


def test_the_list_and_the_case_name_their_runs(rooms: Rooms) -> None:
    run, _ = begin(rooms)
    person = Person(rooms, "viewer")
    for path in ("/runs", "/runs?show=open", "/cases/C-1"):
        assert f'<a href="/runs/{run}">{run}</a>' in person.get(path).text
    rooms._waiting.forget()
    assert "<b>1</b> waits for approval" in person.get("/cases").text
    assert person.get("/runs/R-99").status_code == 404
