"""Runs by API: the same rules as on the pages, and a request repeated with its key is done once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from perilune.model.roles import Act
from perilune.web.rooms import Rooms
from tests.web.desk import token, visitor


@pytest.fixture(autouse=True)
def stopped(rooms: Rooms) -> Iterator[None]:
    yield
    rooms.driver.stop()


def ask(rooms: Rooms, who: str, method: str, path: str, body: object = None, **headers: str) -> Any:
    bearer = token(rooms, who, *Act)
    return visitor(rooms).request(method, f"/api/v1{path}", json=body, headers=bearer | headers)


def test_plan_begin_approve_undo(rooms: Rooms) -> None:
    plan = ask(rooms, "responder", "POST", "/cases/C-1/plan", {}).json()["plan"]
    assert plan["actions"][0]["requests"]
    begun = ask(rooms, "responder", "POST", "/cases/C-1/runs", {"plan": plan["hash"]})
    assert begun.status_code == 201, begun.text
    run = begun.json()["run"]["id"]
    assert rooms.driver.rest(30)
    verdict = {"plan": plan["hash"], "granted": True, "reason": "looked at"}
    assert ask(rooms, "responder", "POST", f"/runs/{run}/decisions", verdict).status_code == 403
    assert ask(rooms, "approver", "POST", f"/runs/{run}/decisions", verdict | {"plan": "0" * 64}).status_code == 409
    assert ask(rooms, "approver", "POST", f"/runs/{run}/decisions", verdict).status_code == 200
    assert rooms.driver.rest(30)
    found = ask(rooms, "viewer", "GET", f"/runs/{run}").json()["run"]
    assert found["status"] == "finished"
    assert {one["outcome"] for one in found["results"]} <= {"done", "already", "refused"}
    undo = ask(rooms, "responder", "POST", f"/runs/{run}/undo", {"reason": "a drill"})
    assert undo.status_code == 201
    assert undo.json()["run"]["undoes"] == run
    assert rooms.driver.rest(30)
    listed = ask(rooms, "viewer", "GET", "/runs?limit=1").json()
    assert (len(listed["runs"]), listed["next"]) == (1, "2")
    assert ask(rooms, "viewer", "GET", "/runs?limit=1&after=2").json() == {
        "runs": [one for one in ask(rooms, "viewer", "GET", "/runs").json()["runs"] if one["id"] == run], "next": None
    }  # fmt: skip


def test_a_request_repeated_with_its_key_begins_one_run(rooms: Rooms) -> None:
    plan = ask(rooms, "responder", "POST", "/cases/C-1/plan", {}).json()["plan"]
    body, key = {"plan": plan["hash"]}, {"Idempotency-Key": "nightly-7"}
    first = ask(rooms, "responder", "POST", "/cases/C-1/runs", body, **key)
    again = ask(rooms, "responder", "POST", "/cases/C-1/runs", body, **key)
    assert (first.status_code, first.json()) == (again.status_code, again.json())
    assert again.headers["idempotent-replayed"] == "true"
    assert len(rooms.office.runs.runs()) == 1
    other = ask(rooms, "responder", "POST", "/cases/C-1/runs", body | {"playbook": "Recovery Plan"}, **key)
    assert other.status_code == 422
    assert len(rooms.office.runs.runs()) == 1


def test_a_refused_request_leaves_its_key_free(rooms: Rooms) -> None:
    key = {"Idempotency-Key": "k"}
    assert ask(rooms, "responder", "POST", "/cases/C-1/runs", {"plan": "0" * 64}, **key).status_code == 409
    plan = ask(rooms, "responder", "POST", "/cases/C-1/plan", {}).json()["plan"]
    assert ask(rooms, "responder", "POST", "/cases/C-1/runs", {"plan": plan["hash"]}, **key).status_code == 201


def test_playbooks_are_listed(rooms: Rooms) -> None:
    names = [one["name"] for one in ask(rooms, "viewer", "GET", "/playbooks").json()["playbooks"]]
    assert "Recovery Plan" in names


def test_what_cannot_be_is_said(rooms: Rooms) -> None:
    for path, body, status in (
        ("/cases/C-99/plan", {}, 404), ("/cases/C-1/plan", {"playbook": "x"}, 400),
        ("/cases/C-1/plan", {"connector": "defender"}, 400), ("/runs/R-9/undo", {"reason": "x"}, 404),
        ("/runs/R-9/answers", {"answer": "x"}, 404), ("/cases/C-1/plan", {"nonsense": 1}, 422),
    ):  # fmt: skip
        answer = ask(rooms, "responder", "POST", path, body)
        assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json"), path
