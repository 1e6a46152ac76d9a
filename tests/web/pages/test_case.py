"""What people do with a case from its page."""

from __future__ import annotations

from perilune.model.case import Status
from perilune.store import audit
from perilune.web.rooms import Rooms
from tests.report import cases
from tests.web.desk import NOW, Person


def test_the_page_is_the_report_with_what_can_be_done(rooms: Rooms) -> None:
    page = Person(rooms, "analyst").get("/cases/C-1").text
    for finding in cases.FINDINGS:
        assert finding.rule_title in page
    assert 'action="/cases/C-1/status"' in page
    assert "<style" not in page
    assert 'action="/cases/C-1/status"' not in Person(rooms, "viewer").get("/cases/C-1").text


def test_hostile_text_stays_text(rooms: Rooms) -> None:
    poison = "".join(cases.POISONS).replace("\ud800", "")
    held, _ = rooms.cases.save(cases.hostile(poison), at=NOW)
    person = Person(rooms, "admin")
    person.post(f"/cases/{held.id}/comment", text=poison)
    for path in (f"/cases/{held.id}", "/cases?show=all", "/audit", "/cases?show=all&q=<script>alert(1)</script>"):
        page = person.get(path).text
        assert "<script>alert" not in page
        assert "<img" not in page
        assert "\u202e" not in page
        assert "\x1b" not in page


def test_a_closed_case_says_why(rooms: Rooms) -> None:
    person = Person(rooms, "analyst")
    assert person.post("/cases/C-1/status", status="closed", note=" ").status_code == 400
    assert person.post("/cases/C-1/status", status="gone", note="x").status_code == 400
    assert person.post("/cases/C-1/status", status="closed", note="a drill").status_code == 303
    case = rooms.cases.load("C-1")
    assert case.status is Status.CLOSED
    assert case.entries[-1].body == {"status": "closed", "note": "a drill"}


def test_feedback_counts_for_the_rules(rooms: Rooms) -> None:
    Person(rooms, "analyst").post("/cases/C-1/feedback", verdict="false", note="a drill")
    rules = {finding.rule_id for finding in cases.FINDINGS}
    assert rooms.cases.feedback() == dict.fromkeys(rules, (0, 1))


def test_a_case_is_given_only_to_who_works_on_cases(rooms: Rooms) -> None:
    person = Person(rooms, "analyst")
    for name in ("viewer", "nobody-of-this-name"):
        assert person.post("/cases/C-1/owner", owner=name).status_code == 400
    person.post("/cases/C-1/owner")
    assert rooms.cases.summary("C-1").owner == "analyst"
    person.post("/cases/C-1/owner", owner="-")
    assert rooms.cases.summary("C-1").owner == ""


def test_every_reading_is_in_the_audit_log(rooms: Rooms) -> None:
    person = Person(rooms, "viewer")
    for path in ("/cases/C-1", "/cases/C-1/report.html", "/cases/C-1/report.md"):
        assert person.get(path).status_code == 200
    lines = audit.newest(rooms.database, limit=3)
    assert [(line.kind, line.who, line.body["as"]) for line in reversed(lines)] == [
        ("case read", "viewer", "page"), ("case read", "viewer", "report.html"), ("case read", "viewer", "report.md"),
    ]  # fmt: skip
    assert audit.verify(rooms.database)[2] == []


def test_what_is_not_there_is_said(rooms: Rooms) -> None:
    person = Person(rooms, "analyst")
    for path in ("/cases/C-99", "/cases/x", "/cases/C-1/report.exe", "/static/../app.py", "/nowhere"):
        assert person.get(path).status_code == 404
    assert person.post("/cases/C-99/comment", text="x").status_code == 404
