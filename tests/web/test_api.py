"""The API: pages by cursor, changes with an entry each, problems as problem+json."""

from __future__ import annotations

from dataclasses import replace

import pytest

from perilune.cli import output
from perilune.model.roles import Act
from perilune.store import audit
from perilune.web.rooms import Rooms
from tests.report import cases
from tests.web.desk import NOW, token, visitor


@pytest.fixture
def bearer(rooms: Rooms) -> dict[str, str]:
    return token(rooms, "analyst", Act.READ, Act.WORK)


def test_the_queue_comes_page_by_page(rooms: Rooms, bearer: dict[str, str]) -> None:
    for number in range(7):
        rooms.cases.save(replace(cases.EMPTY, key=f"k{number}", score=number % 3), at=NOW)
    client, seen, after = visitor(rooms), [], ""
    while True:
        found = client.get("/api/v1/cases", params={"limit": 3, "after": after}, headers=bearer).json()
        seen += [one["id"] for one in found["cases"]]
        after = found["next"]
        if after is None:
            break
    assert seen == [one.id for one in rooms.cases.queue()]
    assert len(seen) == 8


def test_a_case_is_what_the_command_line_prints(rooms: Rooms, bearer: dict[str, str]) -> None:
    answer = visitor(rooms).get("/api/v1/cases/C-1", headers=bearer)
    assert answer.content == output.dump(
        {"case": output.case_object(rooms.cases.load("C-1"), whole=True)}, indent=False
    )
    assert audit.newest(rooms.database, limit=1)[0].kind == "case read"


def test_a_change_is_an_entry_and_a_line_of_the_audit_log(rooms: Rooms, bearer: dict[str, str]) -> None:
    body = {"status": "closed", "note": "a drill", "owner": "responder", "comment": "over"}
    answer = visitor(rooms).patch("/api/v1/cases/C-1", json=body, headers=bearer)
    assert (answer.json()["status"], answer.json()["owner"]) == ("closed", "responder")
    entries = rooms.cases.load("C-1").entries[-3:]
    assert [(e.kind, e.who) for e in entries] == [("owner", "analyst"), ("comment", "analyst"), ("status", "analyst")]
    assert [line.kind for line in audit.newest(rooms.database, limit=3)] == [
        "case status", "case comment", "case owner"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/cases/C-99", None, 404),
        ("GET", "/cases/99", None, 422),
        ("GET", "/nowhere", None, 404),
        ("GET", "/cases?after=x", None, 422),
        ("GET", "/cases?limit=0", None, 422),
        ("PATCH", "/cases/C-1", {"status": "closed"}, 400),
        ("PATCH", "/cases/C-1", {"owner": "viewer"}, 400),
        ("PATCH", "/cases/C-1", {"score": 0}, 422),
        ("DELETE", "/cases/C-1", None, 405),
    ],
)
def test_what_is_wrong_is_said_as_problem_json(
    rooms: Rooms, bearer: dict[str, str], method: str, path: str, body: object, status: int
) -> None:
    before = len(rooms.cases.load("C-1").entries)
    answer = visitor(rooms).request(method, f"/api/v1{path}", json=body, headers=bearer)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == status
    assert len(rooms.cases.load("C-1").entries) == before


def test_metrics_count_the_cases(rooms: Rooms, bearer: dict[str, str]) -> None:
    lines = visitor(rooms).get("/api/v1/metrics", headers=bearer).text.splitlines()
    assert 'perilune_cases{status="open",severity="critical"} 1' in lines
