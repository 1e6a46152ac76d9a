"""Staff schedules: iCalendar files, and a plain YAML of working hours. A fault is a ContentError with its line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from perilune.errors import ContentError
from perilune.model.people import Hours, Person, Schedule, Span
from perilune.readers.located import Node, locate

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_MOST_BYTES = 16 << 20
_MOST_EVENTS = 100_000
_AWAY = ("leave", "vacation", "holiday", "absent", "out of office", "sick", "urlaub")


def load_schedule(path: Path) -> Schedule:
    """The schedule in the file: iCalendar where it begins as one, else YAML."""
    with path.open("rb") as stream:
        data = stream.read(_MOST_BYTES + 1)
    if len(data) > _MOST_BYTES:
        raise ContentError(f"a schedule of more than {_MOST_BYTES:,} bytes", where=str(path))
    text = data.decode("utf-8-sig", "replace")
    if text.lstrip()[:15].upper() == "BEGIN:VCALENDAR":
        return parse_calendar(text, str(path))
    return parse_hours(text, str(path))


# --- YAML: people with accounts, a time zone, hours by day, and leaves


def parse_hours(text: str, where: str) -> Schedule:
    """A schedule from YAML.

    timezone: Europe/Berlin
    people:
      - name: Ann
        accounts: [CORP\\ann]
        hours: {mon-fri: "08:00-17:00"}
        away: [2026-03-09/2026-03-13]
        duty: [2026-03-07T18:00/2026-03-08T06:00]
    """
    keys = locate(text, where).keys(known=("timezone", "people", "about"), needed=("people",))
    zone = _zone(keys["timezone"]) if "timezone" in keys else UTC
    return Schedule(tuple(_person(node, zone) for node in keys["people"].items()), where)


def _person(node: Node, zone: tzinfo) -> Person:
    keys = node.keys(known=("name", "accounts", "timezone", "hours", "away", "duty"), needed=("name",))
    zone = _zone(keys["timezone"]) if "timezone" in keys else zone
    spans = [_span(one, zone, away=True) for one in (keys["away"].items() if "away" in keys else ())]
    spans += [_span(one, zone, away=False) for one in (keys["duty"].items() if "duty" in keys else ())]
    return Person(
        name=keys["name"].text(),
        accounts=tuple(one.text() for one in keys["accounts"].items()) if "accounts" in keys else (),
        hours=tuple(_hours(days, one, zone) for days, one in _pairs(keys.get("hours"))),
        spans=tuple(spans),
    )


def _pairs(node: Node | None) -> Iterator[tuple[str, Node]]:
    yield from node.keys().items() if node else ()


def _zone(node: Node) -> tzinfo:
    found = _zone_named(node.text())
    if found is None:
        raise node.wrong(f"unknown time zone {node.text()!r}", "a name such as Europe/Berlin, or UTC")
    return found


def _zone_named(name: str) -> tzinfo | None:
    if name.upper() in ("UTC", "Z", "GMT"):
        return UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None


def _hours(days: str, node: Node, zone: tzinfo) -> Hours:
    begin, dash, end = node.text().partition("-")
    try:
        return Hours(_days(days), time.fromisoformat(begin.strip()), _end(end.strip()), zone)
    except ValueError:
        raise node.wrong(
            f"not working hours: {days}: {node.text()!r}", 'for example mon-fri: "08:00-17:00"' if not dash else None
        ) from None


def _end(text: str) -> time:
    return time.max if text == "24:00" else time.fromisoformat(text)


def _days(text: str) -> frozenset[int]:
    """`mon-fri`, `sat, sun` or `daily`."""
    if text.strip().lower() == "daily":
        return frozenset(range(7))
    found: set[int] = set()
    for part in text.lower().replace(" ", "").split(","):
        first, dash, last = part.partition("-")
        begin, end = _DAYS.index(first[:3]), _DAYS.index((last if dash else first)[:3])
        found |= {(begin + step) % 7 for step in range((end - begin) % 7 + 1)}
    return frozenset(found)


def _span(node: Node, zone: tzinfo, *, away: bool) -> Span:
    first, _, last = str(node.value).partition("/")
    try:
        begin = _moment(first.strip(), zone)
        end = _moment(last.strip(), zone, after=True) if last else _moment(first.strip(), zone, after=True)
    except ValueError:
        raise node.wrong(f"not a stretch of time: {node.value!r}", "2026-03-09/2026-03-13, or with times") from None
    return Span(begin, end, away=away)


def _moment(text: str, zone: tzinfo, *, after: bool = False) -> datetime:
    """A day's first moment, or the moment after it; a time as it is."""
    if len(text) == 10:
        day = date.fromisoformat(text) + timedelta(days=int(after))
        return datetime.combine(day, time.min, zone)
    found = datetime.fromisoformat(text)
    return found if found.tzinfo else found.replace(tzinfo=zone)


# --- iCalendar: events of a week's rhythm or of a date, by the person they name


@dataclass(frozen=True, slots=True)
class _Property:
    value: str
    parameters: Mapping[str, str]
    where: str

    def wrong(self, what: str) -> ContentError:
        return ContentError(what, where=self.where)


def parse_calendar(text: str, where: str) -> Schedule:
    """A schedule from iCalendar (RFC 5545): who it is, is the ATTENDEE, else the SUMMARY before a colon.

    Of recurrences only WEEKLY and DAILY are understood, with BYDAY and UNTIL; another one is a fault, not a guess.
    """
    people: dict[str, Person] = {}
    default = UTC
    for number, event in enumerate(_events(text, where)):
        if number >= _MOST_EVENTS:
            raise ContentError(f"a calendar of more than {_MOST_EVENTS:,} events", where=where)
        name, what = _who(event)
        person = people.get(name, Person(name, (name,)))
        people[name] = _with_event(person, event, what, default)
    return Schedule(tuple(people.values()), where)


def _events(text: str, where: str) -> Iterator[dict[str, _Property]]:
    event: dict[str, _Property] | None = None
    for number, line in _unfolded(text):
        name, _, value = line.partition(":")
        name, *parameters = name.split(";")
        name = name.upper()
        if (name, value.upper()) == ("BEGIN", "VEVENT"):
            event = {}
        elif (name, value.upper()) == ("END", "VEVENT"):
            if event is not None:
                yield event
            event = None
        elif event is not None and name not in event:
            pairs = {key.upper(): one.strip('"') for key, _, one in (p.partition("=") for p in parameters)}
            event[name] = _Property(value.strip(), pairs, f"{where}:{number}")


def _unfolded(text: str) -> Iterator[tuple[int, str]]:
    """Lines with those that go on in the next one put together."""
    held, begun = "", 1
    for number, line in enumerate(text.splitlines(), 1):
        if line[:1] in (" ", "\t"):
            held += line[1:]
            continue
        if held:
            yield begun, held
        held, begun = line, number
    if held:
        yield begun, held


def _who(event: Mapping[str, _Property]) -> tuple[str, str]:
    summary = event["SUMMARY"].value.replace("\\,", ",") if "SUMMARY" in event else ""
    attendee = event.get("ATTENDEE")
    if attendee is not None:
        address = attendee.value.lower().removeprefix("mailto:")
        return address or attendee.parameters.get("CN", ""), summary
    name, colon, what = summary.partition(":")
    return name.strip(), what.strip() if colon else summary


def _with_event(person: Person, event: Mapping[str, _Property], what: str, default: tzinfo) -> Person:
    if "DTSTART" not in event:
        raise ContentError("an event without DTSTART", where=next((p.where for p in event.values()), ""))
    begin = _stamp(event["DTSTART"], default)
    end = _event_end(event, begin, default)
    away = any(word in what.lower() for word in _AWAY)
    rule = event.get("RRULE")
    if rule is None:
        return replace(person, spans=(*person.spans, Span(begin, end, what, away)))
    return replace(person, hours=(*person.hours, _recurring(rule, begin, end)))


def _event_end(event: Mapping[str, _Property], begin: datetime, default: tzinfo) -> datetime:
    if "DTEND" in event:
        return _stamp(event["DTEND"], default)
    whole_day = event["DTSTART"].parameters.get("VALUE") == "DATE"
    return begin + (timedelta(days=1) if whole_day else timedelta(hours=1))


def _stamp(one: _Property, default: tzinfo) -> datetime:
    text = one.value
    zone = _zone_named(one.parameters["TZID"]) if "TZID" in one.parameters else default
    if zone is None:
        raise one.wrong(f"unknown time zone {one.parameters['TZID']!r}")
    try:
        if len(text) == 8:
            return datetime.strptime(text, "%Y%m%d").replace(tzinfo=zone)
        if text.endswith("Z"):
            return datetime.strptime(text, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        return datetime.strptime(text, "%Y%m%dT%H%M%S").replace(tzinfo=zone)
    except ValueError:
        raise one.wrong(f"not a time of iCalendar: {text!r}") from None


def _recurring(rule: _Property, begin: datetime, end: datetime) -> Hours:
    parts = {name.upper(): value for name, _, value in (part.partition("=") for part in rule.value.split(";"))}
    known = parts.get("FREQ") in ("WEEKLY", "DAILY") and parts.get("INTERVAL", "1") == "1" and "COUNT" not in parts
    if not known or end - begin > timedelta(days=1):
        raise rule.wrong(f"a recurrence that is not understood: {rule.value!r}")
    days = frozenset(range(7)) if parts["FREQ"] == "DAILY" else frozenset((begin.weekday(),))
    if "BYDAY" in parts:
        try:
            days = frozenset(("MO", "TU", "WE", "TH", "FR", "SA", "SU").index(day) for day in parts["BYDAY"].split(","))
        except ValueError:
            raise rule.wrong(f"a recurrence that is not understood: {rule.value!r}") from None
    until = parts.get("UNTIL")
    try:
        last = datetime.strptime(until[:8], "%Y%m%d").replace(tzinfo=UTC).date() if until else None
    except ValueError:
        raise rule.wrong(f"not a time of iCalendar: {until!r}") from None
    assert begin.tzinfo is not None
    close = end.astimezone(begin.tzinfo).time()
    return Hours(days, begin.time(), close if close != begin.time() else time.max, begin.tzinfo, begin.date(), last)
