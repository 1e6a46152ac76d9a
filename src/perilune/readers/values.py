"""Raw values in, one typed Arrow column out: each conversion takes a whole column and never raises.

A value that cannot be converted becomes null and a counted fault. Conversions that cost something run once
per distinct value: a batch of 10,000 process starts holds a few hundred images, users and hash texts.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from types import NoneType
from typing import TYPE_CHECKING, Any, TypeAlias, cast

import orjson
import pyarrow as pa
import pyarrow.compute

from perilune.model.tables import BOOL, LONG, TEXT, TEXTS, TIME

if TYPE_CHECKING:
    Array: TypeAlias = pa.Array[Any]
else:
    Array = pa.Array

pc: Any = pyarrow.compute  # its stubs know no array of which the type is found only when it runs
Values = Sequence[object]


class _Bad:
    """What a conversion answers for a value that it does not understand."""


BAD = _Bad()


@dataclass(slots=True)
class Faults:
    """Values of one batch that could not be converted: by file and fault how many, and the first.

    numbers  of each row its record's number in its file
    starts   of each file its first row
    """

    numbers: Sequence[int]
    starts: Sequence[int] = (0,)
    found: dict[tuple[int, str], tuple[int, str]] = field(default_factory=dict)

    def add(self, what: str, row: int, value: object) -> None:
        key = (bisect_right(self.starts, row) - 1, what)
        count, example = self.found.get(key) or (0, f"record {self.numbers[row]}: {shorten(value)}")
        self.found[key] = (count + 1, example)

    @property
    def counts(self) -> dict[str, int]:
        """By fault, in how many rows it was found."""
        found: dict[str, int] = {}
        for (_, what), (count, _) in self.found.items():
            found[what] = found.get(what, 0) + count
        return found

    @property
    def examples(self) -> dict[str, str]:
        """The first of each fault."""
        return {what: example for (_, what), (_, example) in reversed(self.found.items())}


def shorten(value: object, most: int = 60) -> str:
    """The value as it may stand in a one-line message."""
    words = repr(value)
    return words if len(words) <= most else words[: most - 1] + "…"


def dump(value: object) -> str:
    """The value as JSON text."""
    try:
        return orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS).decode()
    except (orjson.JSONEncodeError, RecursionError):
        return _dump_odd(value)


def _dump_odd(value: object) -> str:
    """The value as JSON although it holds lone surrogates or numbers of many digits; not if it is too deep."""
    try:
        return scrub(json.dumps(value, default=str, separators=(",", ":")))
    except (ValueError, RecursionError):
        return '"(nested too deeply)"'


def scrub(text: str) -> str:
    """The text without lone surrogates, which no UTF-8 column can hold."""
    return text.encode("utf-8", "replace").decode("utf-8")


def text_of(value: object) -> str | None:
    """One value as a person would write it; objects and lists as JSON."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    return dump(value)


def texts(values: Values) -> Array:
    """A text column."""
    if set(map(type, values)) <= {str, NoneType}:
        return _text_array(values)
    return _text_array([text_of(value) for value in values])


def _text_array(values: Values) -> Array:
    try:
        return pa.array(values, TEXT)
    except UnicodeEncodeError:
        return pa.array([scrub(v) if isinstance(v, str) else None for v in values], TEXT)


def _each(values: Values, convert: Callable[[object], object]) -> list[object]:
    """The converted values, each distinct one converted once."""
    try:
        known = {value: convert(value) for value in set(values)}
    except TypeError:  # a list or an object among them
        return [convert(value) for value in values]
    return [known[value] for value in values]


def _without_bad(found: list[object], values: Values, what: str, faults: Faults) -> list[object]:
    if BAD not in found:
        return found
    for row, value in enumerate(found):
        if value is BAD:
            faults.add(what, row, values[row])
    return [None if value is BAD else value for value in found]


# --- numbers and booleans

_WHOLE = re.compile(r"\s*([+-]?)(?:0[xX]([0-9a-fA-F]{1,16})|(\d{1,20}))(?:\.0+)?\s*\Z", re.ASCII)
_ABSENT = frozenset({"", "-", "(null)", "(none)", "null", "N/A", "n/a"})
_TRUE = frozenset({"true", "1", "yes"})
_FALSE = frozenset({"false", "0", "no"})


def whole(value: object) -> object:
    """A whole number from decimal or 0x text; absent stays absent."""
    if isinstance(value, float):
        value = int(value) if value.is_integer() else BAD
    if value is None or isinstance(value, int):
        return _in_range(value)
    if not isinstance(value, str) or len(value) > 64:
        return BAD
    found = _WHOLE.match(value)
    if found is None:
        return None if value.strip() in _ABSENT else BAD
    sign, hexadecimal, decimal = found.groups()
    number = int(hexadecimal, 16) if hexadecimal else int(decimal)
    return _in_range(-number if sign == "-" else number)


def _in_range(value: int | None) -> object:
    if value is None:
        return None
    return int(value) if -(1 << 63) <= value < 1 << 63 else BAD


def wholes(values: Values, what: str, faults: Faults) -> Array:
    """A column of whole numbers."""
    if set(map(type, values)) <= {int, NoneType}:
        try:
            return pa.array(values, LONG)
        except (OverflowError, pa.ArrowInvalid):
            pass
    found = _each(values, whole)
    return pa.array(_without_bad(found, values, f"{what} is not a whole number", faults), LONG)


def truth(value: object) -> object:
    if value is None or isinstance(value, bool):
        return value
    word = str(text_of(value)).strip().lower()
    if word in _TRUE:
        return True
    if word in _FALSE:
        return False
    return None if word in _ABSENT else BAD


def truths(values: Values, what: str, faults: Faults) -> Array:
    """A column of booleans."""
    found = _each(values, truth)
    return pa.array(_without_bad(found, values, f"{what} is not true or false", faults), BOOL)


# --- times

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
    if value in _ABSENT or value.startswith("0001-01-01"):  # .NET's way to say "no time"
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
    found = _each(values, time_of)
    micros = pa.array(_without_bad(found, values, f"{what} is not a time", faults), LONG)
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
    """A text column of one ISO form as times; None where the form differs or a value has another meaning."""
    if column.type != TEXT:
        return None
    first = first or _first_text(column)
    if not first or first.startswith("0001"):
        return None
    try:
        found = _cast_times(column, first)
    except pa.ArrowInvalid:
        return None
    earliest = pc.min(found.view(LONG)).as_py()
    return None if earliest is not None and earliest < _NO_TIME else found


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


# --- texts made of texts

_INTEGRITY = {
    "S-1-16-0": "Untrusted",
    "S-1-16-4096": "Low",
    "S-1-16-8192": "Medium",
    "S-1-16-8448": "Medium",
    "S-1-16-12288": "High",
    "S-1-16-16384": "System",
    "S-1-16-20480": "Protected",
}
_ELEVATION = {
    "%%1936": "TokenElevationTypeDefault",
    "%%1937": "TokenElevationTypeFull",
    "%%1938": "TokenElevationTypeLimited",
}


def basename(text: str) -> str | None:
    """What follows the last separator; a path that begins with `/` has only that one."""
    if text in ("-", "?"):  # Sysmon's words for a path that it could not tell
        return None
    if text.startswith("/"):
        return text.rsplit("/", 1)[1].removesuffix(" (deleted)") or None
    return text[max(text.rfind("\\"), text.rfind("/")) + 1 :] or None


def domain(text: str) -> str | None:
    head, mark, _ = text.partition("\\")
    return head if mark else None


def user(text: str) -> str | None:
    return text.partition("\\")[2] or (None if "\\" in text else text or None)


def guid(text: str) -> str | None:
    return text.strip("{}").upper() or None


def value_name(text: str) -> str | None:
    """The last part of a registry path."""
    return text.rsplit("\\", 1)[-1] or None


def _hash(name: str) -> Callable[[str], str | None]:
    """Picks one hash out of `SHA1=…,MD5=…` as Sysmon writes it, in lower case as Defender does."""
    begin = name + "="

    def pick(text: str) -> str | None:
        if text[:1] == "[":
            return _listed_hash(name, text)
        for part in text.split(","):
            if part[: len(begin)].upper() == begin:
                return part[len(begin) :].strip().lower() or None
        return None

    return pick


def _listed_hash(name: str, text: str) -> str | None:
    """The same out of a list of objects with `algorithm` and `value`, as OCSF writes it."""
    for one in _list_in(text) or ():
        if type(one) is dict and str(one.get("algorithm")).upper().replace("-", "") == name:
            return str(one.get("value") or "").lower() or None
    return None


def _list_in(text: str) -> list[object] | None:
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    return found if isinstance(found, list) else None


def command(text: str) -> str | None:
    """A command line, also where the source has it as a list of arguments only."""
    parts = _list_in(text) if text[:1] == "[" else None
    return text if parts is None else " ".join(text_of(part) or "" for part in parts) or None


def listed(text: str) -> str | None:
    """The members of a list, with semicolons between them as Sysmon writes the answers to a query."""
    parts = _list_in(text) if text[:1] == "[" else None
    return text or None if parts is None else ";".join(text_of(part) or "" for part in parts) or None


_ADDRESS = re.compile(
    r"\[?((?:\d{1,3}\.){3}\d{1,3}|[0-9a-fA-F]*:[0-9a-fA-F:]+(?:(?:\d{1,3}\.){3}\d{1,3})?)\]?(?::\d+)?\Z"
)


def address(text: str) -> str | None:
    """The IP address of a client that may be written with its port."""
    found = _ADDRESS.match(text)
    return found[1] if found else None


_ZONE = re.compile(r"[T ]\d\d:?\d\d.*?([+-]\d\d):?(\d\d)\s*\Z")


def offset(text: str) -> str | None:
    """The offset from UTC that a time was written with, if it names one other than UTC itself."""
    found = _ZONE.search(text)
    return f"{found[1]}:{found[2]}" if found else None


_MAC = ("/Applications/", "/Users/", "/System/", "/Library/", "/private/")


def platform(path: str) -> str | None:
    """The operating system that writes paths of this shape."""
    if path[1:3] == ":\\" or path.startswith(("\\", "%")):
        return "windows"
    if path.startswith("/"):
        return "macos" if path.startswith(_MAC) else "linux"
    return None


DERIVED: dict[str, Callable[[str], str | None]] = {
    "basename": basename,
    "domain": domain,
    "user": user,
    "guid": guid,
    "value_name": value_name,
    "md5": _hash("MD5"),
    "sha1": _hash("SHA1"),
    "sha256": _hash("SHA256"),
    "imphash": _hash("IMPHASH"),
    "integrity": lambda text: _INTEGRITY.get(text, text),
    "elevation": lambda text: _ELEVATION.get(text, text),
    "lower": str.lower,
    "platform": platform,
    "command": command,
    "offset": offset,
    "listed": listed,
    "address": address,
}


def derived(values: Values, derive: Callable[[str], str | None]) -> Array:
    """A text column made by a function of text."""

    def convert(value: object) -> object:
        text = text_of(value)
        return None if text is None else derive(text)

    return _text_array(_each(values, convert))


def lists(values: Values) -> Array:
    """A column of lists of texts; a single text is a list of one."""
    rows = [value if isinstance(value, list) else None if value is None else [value] for value in values]
    clean = [row and [text if text is None else scrub(str(text_of(text))) for text in row] for row in rows]
    return pa.array(clean, TEXTS)


def jsons(values: Values) -> Array:
    """A column of JSON texts. Text that is JSON already stays; an empty one or `[]` says nothing, so it is null."""
    return _text_array([_json(value) for value in values])


def _json(value: object) -> str | None:
    if value is None or value == "" or value == []:
        return None
    if isinstance(value, str):
        stripped = value.strip()
        return None if stripped in ("[]", "{}", "null", "") else value
    return dump(value)


# --- columns that are in Arrow already


def cast_wholes(column: Array) -> Array | None:
    """A text column of short decimal numbers as numbers; None where something else is in it."""
    if not pc.all(pc.ascii_is_decimal(column)).as_py() or pc.max(pc.binary_length(column)).as_py() > 18:
        return None
    return column.cast(LONG)


def convert(how: str, column: Array) -> Array | None:
    """The column as `how` says; None where a value is a fault, so that every value has to be looked at."""
    if how == "text":
        return column if column.type == TEXT else column.cast(TEXT)
    if column.type == _PLAIN.get(how):
        return column
    if how == "time":
        found = _micro_times(column) if column.type == LONG else cast_times(column)
        if found is not None:
            return found
    return Coded.of(column).convert(how, frozenset())


_PLAIN = {"int": LONG, "bool": BOOL}


def _micro_times(column: Array) -> Array | None:
    smallest, largest = pc.min_max(column).as_py().values()
    return column.cast(TIME) if smallest is not None and smallest >= 10**14 and largest < 10**17 else None


@dataclass(frozen=True, slots=True)
class Coded:
    """A column as its distinct values, and for each row which of them it holds."""

    indices: Array
    values: Sequence[object]

    @staticmethod
    def of(column: Array) -> Coded:
        found: Any = column.dictionary_encode()
        return Coded(found.indices, found.dictionary.to_pylist())

    def convert(self, how: str, absent: frozenset[str]) -> Array | None:
        """Each distinct value converted, `absent` ones to null; None where one of them is a fault."""
        one = _ONE.get(how) or _deriving(DERIVED[how])
        found = [None if value in absent else one(value) for value in self.values]
        if any(value is BAD for value in found):
            return None
        kind: Any = _KIND.get(how)
        column: Any = _text_array(found) if kind is None else pa.array(found, kind)
        column = column.take(self.indices)
        return cast(Array, column.cast(TIME) if how == "time" else column)

    def replace(self, change: Callable[[object], str | None]) -> Array:
        """Each distinct value changed, null too."""
        found: Any = _text_array([*map(change, self.values), change(None)])
        return cast(Array, found.take(self.indices.fill_null(len(self.values))))


def _deriving(derive: Callable[[str], str | None]) -> Callable[[object], object]:
    def one(value: object) -> object:
        text = text_of(value)
        return None if text is None else derive(text)

    return one


_ONE: dict[str, Callable[[object], object]] = {"int": whole, "bool": truth, "time": time_of, "json": _json}
_KIND = {"int": LONG, "bool": BOOL, "time": LONG}
