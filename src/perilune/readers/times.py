"""Times of every form, as microseconds since 1970 in UTC.

Arrow reads a whole column of one ISO form; what it refuses is read one by one, each distinct value once.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from types import NoneType
from typing import Any, cast

import pyarrow as pa
import pyarrow.compute

from perilune.model.tables import LONG, TEXT, TIME
from perilune.readers.values import ABSENT, BAD, Array, Faults, Values, each, without_bad

pc: Any = pyarrow.compute  # its stubs know no array of which the type is found only when it runs

_ISO = re.compile(
    r"\s*(\d{4})[-/](\d\d)[-/](\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d{1,12}))?)?)?"
    r"\s*(Z|UTC|GMT|[+-]\d\d:?\d\d)?\s*\Z",
    re.ASCII,
)
_US = re.compile(  # as portals export them: 11/9/2022, 6:03:21.994 PM
    r"\s*(\d\d?)/(\d\d?)/(\d{4}),?\s+(\d\d?):(\d\d)(?::(\d\d)(?:\.(\d{1,12}))?)?\s*([AaPp][Mm])?\s*\Z", re.ASCII
)
_EPOCH = re.compile(r"\s*(?:/Date\()?(-?\d{1,20}(?:\.\d{1,12})?)(?:\)/)?\s*\Z", re.ASCII)
_START = datetime(1970, 1, 1, tzinfo=UTC)
_UTC_WORDS = frozenset({None, "Z", "UTC", "GMT"})


def time_of(value: object) -> object:
    """Microseconds since 1970 (UTC) from ISO 8601, an epoch of any unit, or a portal's export."""
    if value is None:
        return None
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _within_calendar(_epoch(str(value))) if value else None
    if not isinstance(value, str) or len(value) > 64:
        return BAD
    if value in ABSENT or value.startswith("0001-01-01"):  # .NET's way to say "no time"
        return None
    try:
        for parse in (_iso, _us, _epoch):
            found = parse(value)
            if found is not None:
                return _within_calendar(found)
    except (ValueError, OverflowError):
        pass
    return BAD


_LAST = (datetime.max.replace(tzinfo=UTC) - _START) // timedelta(microseconds=1)


def _within_calendar(micros: object) -> object:
    """A time that Python can show; what lies before the year 1 or after 9999 is none."""
    return micros if micros is BAD or -62_135_596_800_000_000 <= cast(int, micros) <= _LAST else BAD


def _iso(value: str) -> int | None:
    found = _ISO.match(value)
    if found is None:
        return None
    year, month, day, hour, minute, second, fraction, zone = found.groups()
    moment = datetime(
        int(year), int(month), int(day), int(hour or 0), int(minute or 0), min(int(second or 0), 59), tzinfo=UTC
    )
    return _micros(moment - _offset(zone), fraction)


def _offset(zone: str | None) -> timedelta:
    if zone in _UTC_WORDS or zone is None:
        return timedelta()
    hours, minutes = int(zone[1:3]), int(zone[-2:])
    return timezone(timedelta(hours=hours, minutes=minutes)).utcoffset(None) * (-1 if zone[0] == "-" else 1)


def _us(value: str) -> int | None:
    found = _US.match(value)
    if found is None:
        return None
    month, day, year, hour, minute, second, fraction, half = found.groups()
    hours = int(hour) % 12 + (12 if half.lower() == "pm" else 0) if half else int(hour)
    moment = datetime(int(year), int(month), int(day), hours, int(minute), int(second or 0), tzinfo=UTC)
    return _micros(moment, fraction)


def _micros(moment: datetime, fraction: str | None) -> int:
    whole_seconds = (moment - _START) // timedelta(seconds=1)
    return whole_seconds * 1_000_000 + int((fraction or "").ljust(6, "0")[:6])


def _epoch(value: str) -> object:
    """The unit is told by the size: 11 digits are seconds until the year 5138, 14 milliseconds, and so on."""
    found = _EPOCH.match(value)
    if found is None:
        return BAD
    seconds, _, fraction = found.group(1).partition(".")
    size = len(seconds.lstrip("-"))
    if size <= 11:
        return int(seconds) * 1_000_000 + int(fraction.ljust(6, "0")[:6])
    if size <= 14:
        return int(seconds) * 1_000
    return int(seconds) if size <= 17 else int(seconds) // 1_000


_NANO = pa.timestamp("ns")
_NANO_UTC = pa.timestamp("ns", tz="UTC")
_MICRO = pa.timestamp("us")
_LONGEST_MICRO = len("2019-01-01 00:00:00.000000")


def times(values: Values, what: str, faults: Faults) -> Array:
    """A column of times. Arrow reads a whole column of one ISO form; what it refuses is read one by one."""
    if set(map(type, values)) <= {str, NoneType}:
        column = _iso_column(values)
        if column is not None:
            return column
    if set(map(type, values)) == {int} and _are_micros(values):
        return pa.array(values, LONG).cast(TIME)
    found = each(values, time_of)
    micros = pa.array(without_bad(found, values, f"{what} is not a time", faults), LONG)
    return micros.cast(TIME)


def _are_micros(values: Values) -> bool:
    return all(10**14 <= value < 10**17 for value in values if isinstance(value, int))


def _iso_column(values: Values) -> Array | None:
    first = next((value for value in values if value), None)
    if not isinstance(first, str) or len(first) < 16:
        return None
    try:
        return cast_times(pa.array(values, TEXT), first)
    except UnicodeEncodeError:
        return None


def cast_times(column: Array, first: str | None = None) -> Array | None:
    """A text column of ISO times as times; None where a value has another form or another meaning."""
    if column.type != TEXT:
        return None
    first = first or _first_text(column)
    if not first or first.startswith("0001"):
        return None
    found = _one_form(column, first)
    if found is None:
        found = _several_forms(column)
    earliest = pc.min(found.view(LONG)).as_py() if found is not None else None
    return None if earliest is not None and earliest < _NO_TIME else found


def _one_form(column: Array, first: str) -> Array | None:
    try:
        return _cast_times(column, first)
    except pa.ArrowInvalid:
        return None


def _several_forms(column: Array) -> Array | None:
    """The same where some times name their zone and others do not, or some have more digits."""
    zoned = pc.ends_with(column, "Z")
    fine = pc.greater(pc.binary_length(column), pc.if_else(zoned, _LONGEST_MICRO + 1, _LONGEST_MICRO))
    found: Array | None = None
    for mask in (
        pc.and_(zoned, fine),
        pc.and_not(zoned, fine),
        pc.and_not(fine, zoned),
        pc.invert(pc.or_(zoned, fine)),
    ):
        part: Array = pc.if_else(mask, column, pa.scalar(None, TEXT))
        first = _first_text(part)
        if first is None:
            continue
        times = _one_form(part, first)
        if times is None:
            return None
        found = times if found is None else pc.coalesce(found, times)
    return found


def _first_text(column: Array) -> str | None:
    at = pc.index(pc.is_valid(column), True).as_py()
    return cast(str, column[at].as_py()) if at >= 0 else None


_NO_TIME = -60_000_000_000 * 1_000_000  # in the year 68: .NET's "no time", the year 1, is not to become a time


def _cast_times(column: Array, first: str) -> Array:
    if first.endswith("Z"):
        fine = len(first) > _LONGEST_MICRO + 1
        return column.cast(_NANO_UTC).cast(TIME, safe=False) if fine else column.cast(TIME)
    if len(first) > _LONGEST_MICRO:
        return column.cast(_NANO).cast(_MICRO, safe=False).view(TIME)
    return column.cast(_MICRO).view(TIME)


_ZONE = re.compile(r"[T ]\d\d:?\d\d.*?([+-]\d\d):?(\d\d)\s*\Z")


def offset(text: str) -> str | None:
    """The offset from UTC that a time was written with, if it names one other than UTC itself."""
    found = _ZONE.search(text)
    return f"{found[1]}:{found[2]}" if found else None
