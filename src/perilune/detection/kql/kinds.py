"""Kusto's scalar types, and their literals as Python values.

A timespan is a whole number of ticks of 100 nanoseconds; a datetime is a naive `datetime` in UTC, in microseconds;
a dynamic is what JSON gives.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import StrEnum

TICK = 1
MICROSECOND = 10
MILLISECOND = 10_000
SECOND = 10_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]


class Kind(StrEnum):
    BOOL = "bool"
    INT = "int"
    LONG = "long"
    REAL = "real"
    DECIMAL = "decimal"
    STRING = "string"
    DATETIME = "datetime"
    TIMESPAN = "timespan"
    DYNAMIC = "dynamic"
    GUID = "guid"


# Every name that a declaration may use for a type.
KIND_NAMES = {kind.value: kind for kind in Kind} | {
    "boolean": Kind.BOOL, "double": Kind.REAL, "float": Kind.REAL, "date": Kind.DATETIME, "time": Kind.TIMESPAN,
    "uniqueid": Kind.GUID, "uuid": Kind.GUID, "object": Kind.DYNAMIC,
}  # fmt: skip
NUMERIC = frozenset({Kind.INT, Kind.LONG, Kind.REAL, Kind.DECIMAL})
WHOLE = frozenset({Kind.INT, Kind.LONG})

_UNITS = {
    "d": DAY, "day": DAY, "h": HOUR, "hr": HOUR, "hour": HOUR, "m": MINUTE, "min": MINUTE, "minute": MINUTE,
    "s": SECOND, "sec": SECOND, "second": SECOND, "ms": MILLISECOND, "millisec": MILLISECOND,
    "millisecond": MILLISECOND, "microsecond": MICROSECOND, "tick": TICK,
}  # fmt: skip
_SHORT = re.compile(r"(-?\d+(?:\.\d+)?)\s*([a-z]*)", re.ASCII)
_CLOCK = re.compile(r"(-?)(?:(\d+)\.)?(\d{1,2}):(\d{1,2})(?::(\d{1,2})(?:\.(\d{1,7}))?)?", re.ASCII)
_DATE = re.compile(
    r"(\d{4})-(\d{1,2})(?:-(\d{1,2}))?(?:[T ]+(\d{1,2}):(\d{2})(?::(\d{2})(?:\.(\d{1,9}))?)?)?"
    r"\s*(Z|GMT|UTC|[+-]\d{2}:?\d{2})?",
    re.ASCII,
)
_OTHER_DATES = (
    "%m/%d/%Y", "%m/%d/%Y %H:%M:%S", "%m/%d/%Y %H:%M", "%m/%d/%Y %I:%M:%S %p", "%Y/%m/%d", "%Y/%m/%d %H:%M:%S",
    "%Y%m%d", "%Y", "%d %b %Y", "%d %b %Y %H:%M:%S", "%b %d %Y", "%b %d, %Y", "%B %d, %Y",
    "%a, %d %b %Y %H:%M:%S", "%A, %B %d, %Y", "%d %B %Y",
)  # fmt: skip


def parse_timespan(text: str) -> int | None:
    """`1.5h`, `2d`, `1.02:03:04.5` and `10` (days) as ticks."""
    text = text.strip().lower()
    if short := _SHORT.fullmatch(text):
        unit = _UNITS.get(short[2].removesuffix("s") or "s") if short[2] not in ("ms", "s", "") else None
        unit = {"ms": MILLISECOND, "s": SECOND, "": DAY}.get(short[2], unit)
        if unit is None:
            return None
        ticks = int(Decimal(short[1]) * unit) if len(short[1]) < 24 else 1 << 63
        return ticks if abs(ticks) < 1 << 63 else None
    if clock := _CLOCK.fullmatch(text):
        days, hours, minutes, seconds = (int(clock[n] or 0) for n in (2, 3, 4, 5))
        if hours > 23 or minutes > 59 or seconds > 59 or days > 10_675_199:
            return None
        fraction = int((clock[6] or "").ljust(7, "0")[:7] or 0)
        ticks = days * DAY + hours * HOUR + minutes * MINUTE + seconds * SECOND + fraction
        return -ticks if clock[1] else ticks
    return None


def format_timespan(ticks: int) -> str:
    """`1.02:03:04.5000000`, as Kusto writes a timespan."""
    sign, ticks = ("-", -ticks) if ticks < 0 else ("", ticks)
    days, rest = divmod(ticks, DAY)
    seconds, fraction = divmod(rest, SECOND)
    text = f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    return sign + (f"{days}." if days else "") + text + (f".{fraction:07}" if fraction else "")


def parse_datetime(text: str) -> datetime | None:
    """ISO 8601 and the other forms that Kusto documents, as naive UTC."""
    text = text.strip()
    if match := _DATE.fullmatch(text):
        parts = [int(match[n] or (1 if n == 3 else 0)) for n in range(1, 7)]
        fraction = int((match[7] or "").ljust(6, "0")[:6] or 0)
        try:
            found = datetime(*parts, fraction)  # type: ignore[arg-type, call-arg]
            return found - _offset(match[8])
        except (ValueError, OverflowError):
            return None
    for form in _OTHER_DATES:
        try:
            return datetime.strptime(text.removesuffix("Z").removesuffix("GMT").strip(), form)
        except ValueError:
            continue
    return None


def _offset(zone: str | None) -> timedelta:
    if not zone or zone[0] not in "+-":
        return timedelta(0)
    digits = zone[1:].replace(":", "")
    size = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    return size if zone[0] == "+" else -size


def format_datetime(value: datetime) -> str:
    """`2026-01-05T10:00:00.0000000Z`, as Kusto writes a datetime."""
    value = value.astimezone(UTC) if value.tzinfo else value
    return f"{value:%Y-%m-%dT%H:%M:%S}".rjust(19, "0") + f".{value.microsecond:06}0Z"


def common(kinds: list[Kind]) -> Kind | None:
    """The type that values of these types become together; None where Kusto has none."""
    found = list(dict.fromkeys(kinds))
    if len(found) == 1:
        return found[0]
    if set(found) <= NUMERIC:
        order = (Kind.INT, Kind.LONG, Kind.DECIMAL, Kind.REAL)
        return max(found, key=order.index)
    if Kind.DYNAMIC in found:
        return Kind.DYNAMIC
    return None
