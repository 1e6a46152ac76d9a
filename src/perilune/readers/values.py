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
from types import NoneType
from typing import TYPE_CHECKING, Any, TypeAlias

import orjson
import pyarrow as pa

from perilune.model.tables import BOOL, LONG, TEXT, TEXTS

if TYPE_CHECKING:
    Array: TypeAlias = pa.Array[Any]
else:
    Array = pa.Array

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
        return text_array(values)
    return text_array([text_of(value) for value in values])


def text_array(values: Values) -> Array:
    """A text column of texts and nulls."""
    try:
        return pa.array(values, TEXT)
    except UnicodeEncodeError:
        return pa.array([scrub(v) if isinstance(v, str) else None for v in values], TEXT)


def each(values: Values, convert: Callable[[object], object]) -> list[object]:
    """The converted values, each distinct one converted once."""
    try:
        known = {value: convert(value) for value in set(values)}
    except TypeError:  # a list or an object among them
        return [convert(value) for value in values]
    return [known[value] for value in values]


def without_bad(found: list[object], values: Values, what: str, faults: Faults) -> list[object]:
    """The converted values with the bad ones null and counted."""
    if BAD not in found:
        return found
    for row, value in enumerate(found):
        if value is BAD:
            faults.add(what, row, values[row])
    return [None if value is BAD else value for value in found]


# --- numbers and booleans

_WHOLE = re.compile(r"\s*([+-]?)(?:0[xX]([0-9a-fA-F]{1,16})|(\d{1,20}))(?:\.0+)?\s*\Z", re.ASCII)
ABSENT = frozenset({"", "-", "(null)", "(none)", "null", "N/A", "n/a"})
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
        return None if value.strip() in ABSENT else BAD
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
    found = each(values, whole)
    return pa.array(without_bad(found, values, f"{what} is not a whole number", faults), LONG)


def truth(value: object) -> object:
    if value is None or isinstance(value, bool):
        return value
    word = str(text_of(value)).strip().lower()
    if word in _TRUE:
        return True
    if word in _FALSE:
        return False
    return None if word in ABSENT else BAD


def truths(values: Values, what: str, faults: Faults) -> Array:
    """A column of booleans."""
    found = each(values, truth)
    return pa.array(without_bad(found, values, f"{what} is not true or false", faults), BOOL)


# --- lists and JSON


def lists(values: Values) -> Array:
    """A column of lists of texts; a single text is a list of one."""
    rows = [value if isinstance(value, list) else None if value is None else [value] for value in values]
    clean = [row and [text if text is None else scrub(str(text_of(text))) for text in row] for row in rows]
    return pa.array(clean, TEXTS)


def jsons(values: Values) -> Array:
    """A column of JSON texts. Text that is JSON already stays; an empty one or `[]` says nothing, so it is null."""
    return text_array([json_text(value) for value in values])


def json_text(value: object) -> str | None:
    """One value as JSON; null where it says nothing."""
    if value is None or value == "" or value == []:
        return None
    if isinstance(value, str):
        stripped = value.strip()
        return None if stripped in ("[]", "{}", "null", "") else value
    return dump(value)
