"""Times as texts and in other zones."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from perilune.detection.kql import kinds
from perilune.detection.kql.kinds import DAY, HOUR, MINUTE, SECOND

to_datetime = kinds.parse_datetime
to_timespan = kinds.parse_timespan
timespan_text = kinds.format_timespan
_FIELDS = re.compile(r"yyyy|yy|MM|M|dd?|HH?|hh?|mm?|ss?|f{1,7}|F{1,7}|tt|.", re.DOTALL)
_SPAN_FIELDS = re.compile(r"d{1,8}|HH?|hh?|mm?|ss?|f{1,7}|F{1,7}|.", re.DOTALL)


def format_datetime(value: datetime, form: str) -> str:
    return "".join(_field(field, value) for field in _FIELDS.findall(form))


def _field(field: str, value: datetime) -> str:
    twelve = value.hour % 12 or 12
    numbers = {"M": value.month, "d": value.day, "H": value.hour, "h": twelve, "m": value.minute, "s": value.second}
    if field == "yyyy":
        return f"{value.year:04}"
    if field == "yy":
        return f"{value.year % 100:02}"
    if field == "tt":
        return "AM" if value.hour < 12 else "PM"
    if field[0] in numbers:
        return f"{numbers[field[0]]:0{len(field)}}"
    return _fraction(field, f"{value.microsecond:06}0")


def _fraction(field: str, digits: str) -> str:
    if field[0] == "f":
        return digits[: len(field)]
    return digits[: len(field)].rstrip("0") if field[0] == "F" else field


def format_timespan(ticks: int, form: str) -> str:
    ticks = abs(ticks)
    numbers = {"d": ticks // DAY, "h": ticks // HOUR % 24, "H": ticks // HOUR % 24, "m": ticks // MINUTE % 60,
               "s": ticks // SECOND % 60}  # fmt: skip
    digits = f"{ticks % SECOND:07}"
    return "".join(
        f"{numbers[field[0]]:0{len(field)}}" if field[0] in numbers else _fraction(field, digits)
        for field in _SPAN_FIELDS.findall(form)
    )


@lru_cache(maxsize=64)
def _zone(name: str) -> ZoneInfo | None:
    try:
        return ZoneInfo(name) if len(name) < 64 else None
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None


def to_local(value: datetime, name: str) -> datetime | None:
    zone = _zone(name)
    return value.replace(tzinfo=UTC).astimezone(zone).replace(tzinfo=None) if zone else None


def to_utc(value: datetime, name: str) -> datetime | None:
    zone = _zone(name)
    return value.replace(tzinfo=zone).astimezone(UTC).replace(tzinfo=None) if zone else None
