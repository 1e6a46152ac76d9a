"""Staff schedules and the asset file."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perilune.errors import ContentError
from perilune.model.people import Criticality, Working
from perilune.readers.assets import parse_assets
from perilune.readers.schedule import load_schedule, parse_calendar, parse_hours

HOURS = """\
timezone: Europe/Berlin
people:
  - name: Ann
    accounts: ['CORP\\ann', ann@corp.example]
    hours: {mon-fri: "08:00-17:00", sat: "22:00-06:00"}
    away: [2026-03-09/2026-03-13]
    duty: [2026-03-15T18:00/2026-03-15T20:00]
  - name: Bob
    timezone: America/New_York
    hours: {daily: "09:00-17:00"}
  - name: Eve
"""
CALENDAR = """\
BEGIN:VCALENDAR
VERSION:2.0
BEGIN:VEVENT
DTSTART;TZID=Europe/Berlin:20260302T080000
DTEND;TZID=Europe/Berlin:20260302T170000
RRULE:FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR;UNTIL=20261231T000000Z
SUMMARY:ann: early
  shift
END:VEVENT
BEGIN:VEVENT
DTSTART;VALUE=DATE:20260309
DTEND;VALUE=DATE:20260314
SUMMARY:ann: annual leave
END:VEVENT
BEGIN:VEVENT
DTSTART:20260307T180000Z
DTEND:20260308T060000Z
ATTENDEE;CN="Bob":mailto:bob@corp.example
SUMMARY:On call
END:VEVENT
END:VCALENDAR
"""


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("account", "moment", "working"),
    [
        ("CORP\\ann", "2026-03-02T07:30", Working.YES),  # 08:30 in Berlin
        ("ann", "2026-03-02T06:30", Working.NO),
        ("ANN@corp.example", "2026-07-01T06:30", Working.YES),  # summer time
        ("ann", "2026-03-10T09:00", Working.NO),  # on leave
        ("ann", "2026-03-08T04:00", Working.YES),  # Saturday's shift goes on into Sunday
        ("ann", "2026-03-15T17:30", Working.YES),  # on duty
        ("bob", "2026-03-02T14:30", Working.YES),
        ("bob", "2026-03-02T08:00", Working.NO),
        ("eve", "2026-03-02T08:00", Working.UNKNOWN),
        ("mallory", "2026-03-02T08:00", Working.UNKNOWN),
    ],
)
def test_hours(account: str, moment: str, working: Working) -> None:
    assert parse_hours(HOURS, "staff.yml").working(account, at(moment)) is working


def test_a_calendar(tmp_path: Path) -> None:
    path = tmp_path / "staff.ics"
    path.write_text(CALENDAR.replace("\n", "\r\n"))
    schedule = load_schedule(path)
    assert schedule.working("ann", at("2026-03-03T08:00")) is Working.YES
    assert schedule.working("ann", at("2026-03-10T08:00")) is Working.NO
    assert schedule.working("CORP\\bob", at("2026-03-07T19:00")) is Working.YES
    assert schedule.working("bob", at("2026-03-09T19:00")) is Working.NO


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("Europe/Berlin", "Europe/Berlim", 1),
        ("08:00-17:00", "8 to 5", 5),
        ("mon-fri", "monn-tag", 5),
        ("2026-03-09/", "9 March/", 6),
        ("duty:", "dutty:", 3),
    ],
)
def test_a_wrong_schedule_says_where(old: str, new: str, line: int) -> None:
    with pytest.raises(ContentError) as caught:
        parse_hours(HOURS.replace(old, new, 1), "staff.yml")
    assert str(caught.value).startswith(f"staff.yml:{line}: "), caught.value


@pytest.mark.parametrize("rule", ["FREQ=MONTHLY", "FREQ=WEEKLY;INTERVAL=2", "FREQ=WEEKLY;BYDAY=1MO"])
def test_a_recurrence_that_is_not_understood_is_no_guess(rule: str) -> None:
    text = CALENDAR.replace("FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR;UNTIL=20261231T000000Z", rule)
    with pytest.raises(ContentError, match="not understood"):
        parse_calendar(text, "staff.ics")


def test_assets() -> None:
    found = parse_assets(
        "assets:\n  - {host: web1.corp.example, role: web, owner: shop, criticality: high, interpreters: [Lua]}\n"
        '  - {host: "dev-*", criticality: low}\n',
        "assets.yml",
    )
    web = found.find("WEB1.corp.example")
    assert web is not None
    assert web.criticality is Criticality.HIGH
    assert web.expects("lua")
    assert found.find("dev-17.corp.example").criticality is Criticality.LOW  # type: ignore[union-attr]
    assert found.find("db1") is None
    with pytest.raises(ContentError, match="unknown criticality"):
        parse_assets("assets:\n  - {host: a, criticality: huge}\n", "assets.yml")


@given(st.text(max_size=200) | st.integers(0, 700).map(lambda n: CALENDAR[:n] + "x" + CALENDAR[n + 1 :]))
def test_any_text_is_a_schedule_or_a_content_error(text: str) -> None:
    for parse in (parse_calendar, parse_hours, parse_assets):
        try:
            parse(text, "f")
        except ContentError as error:
            assert error.where is not None
