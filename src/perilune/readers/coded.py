"""Columns that are in Arrow already, converted there: Python sees each distinct value once, if at all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

import pyarrow as pa
import pyarrow.compute

from perilune.model.tables import BOOL, LONG, TEXT, TIME
from perilune.readers.derivations import DERIVED, IN_ARROW
from perilune.readers.times import cast_times, time_of
from perilune.readers.values import BAD, Array, json_text, text_array, text_of, truth, whole

pc: Any = pyarrow.compute  # its stubs know no array of which the type is found only when it runs


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
    made = IN_ARROW[how](column) if how in IN_ARROW and column.type == TEXT else None
    return made if made is not None else Coded.of(column).convert(how, frozenset())


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
        column: Any = text_array(found) if kind is None else pa.array(found, kind)
        column = column.take(self.indices)
        return cast(Array, column.cast(TIME) if how == "time" else column)

    def replace(self, change: Callable[[object], str | None]) -> Array:
        """Each distinct value changed, null too."""
        found: Any = text_array([*map(change, self.values), change(None)])
        return cast(Array, found.take(self.indices.fill_null(len(self.values))))


def _deriving(derive: Callable[[str], str | None]) -> Callable[[object], object]:
    def one(value: object) -> object:
        text = text_of(value)
        return None if text is None else derive(text)

    return one


_ONE: dict[str, Callable[[object], object]] = {"int": whole, "bool": truth, "time": time_of, "json": json_text}
_KIND = {"int": LONG, "bool": BOOL, "time": LONG}
