"""The values that matches are grouped by, and counted or computed with: from columns to numbers, many rows at once.

Texts are compared as Sigma compares them, without regard to case. Logs that name no host are on one host where they lie
in one folder: an error log beside an audit log is how a host is exported, and neither of them says its name.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from perilune.detection.fields import columns
from perilune.detection.values import as_number, as_text, fold, item, json_field, shorten
from perilune.errors import RuleError
from perilune.model.rules import Field, Rule
from perilune.model.tables import TABLES

Codes = npt.NDArray[np.int64]
HOST = "DeviceName"
NOTHING = -1  # the code of a row without a value
# The vocabulary of rules that say none (KQL hunts), and of fields that a rule's own lacks.
_USUAL = {
    "DeviceProcessEvents": "process",
    "DeviceNetworkEvents": "network",
    "DeviceFileEvents": "file",
    "DeviceImageLoadEvents": "image",
    "DeviceRegistryEvents": "registry",
    "DeviceEvents": "dns",
    "XScriptEvents": "script",
}


def fields_of(rule: Rule, name: str, table: str) -> tuple[Field, ...]:
    """The columns of a table that hold a field, in the vocabulary of the rule's log source; empty where none does."""
    pairs = (pair.split(":") for pair in rule.extra.get("sources", "").split())
    for vocabulary in (*(v for t, v in pairs if t == table), _USUAL.get(table, "log")):
        try:
            return columns(name, vocabulary, table)
        except RuleError:
            continue
    return (Field(name, name),) if name in TABLES[table].columns else ()


def columns_of(found: Sequence[Field]) -> set[str]:
    """The columns that reading the fields needs."""
    names = {one.column for one in found}
    return names | {"XSourceFile"} if HOST in names else names


@dataclass(slots=True)
class Numbering:
    """Gives each distinct value a number, the same for every table; keeps how it was first written."""

    numbers: dict[str, int] = field(default_factory=dict)
    written: list[str] = field(default_factory=list)

    def of(self, value: str) -> int:
        folded = fold(value)
        number = self.numbers.get(folded)
        if number is None:
            number = self.numbers[folded] = len(self.written)
            self.written.append(shorten(value))
        return number


def codes(data: pa.Table, found: Sequence[Field], numbering: Numbering) -> Codes:
    """The number of each row's value, the first of the columns that has one."""
    result = np.full(data.num_rows, NOTHING, np.int64)
    for one in found:
        missing = result == NOTHING
        if missing.any():
            result[missing] = _codes(data, one, numbering)[missing]
    if any(one.column == HOST for one in found):
        missing = result == NOTHING
        if missing.any():
            result[missing] = _hosts_by_folder(data, numbering)[missing]
    return result


def numbers(data: pa.Table, found: Sequence[Field]) -> list[int | float | None]:
    """Each row's value as a number; None where it has none, or none that is finite."""
    result: list[int | float | None] = [None] * data.num_rows
    for one in found:
        places, distinct = _distinct(data, one)
        read = [_finite(as_number(value)) for value in distinct]
        result = [
            read[place] if before is None and place != NOTHING else before
            for before, place in zip(result, places.tolist(), strict=True)
        ]
    return result


def _finite(value: int | float | None) -> int | float | None:
    return None if value is None or value != value or abs(value) == float("inf") else value


def _codes(data: pa.Table, one: Field, numbering: Numbering) -> Codes:
    places, distinct = _distinct(data, one)
    texts = [as_text(value) for value in distinct]
    table = np.array([NOTHING if not text else numbering.of(text) for text in texts] + [NOTHING], np.int64)
    return table[places]  # NOTHING is -1, the place of the last


def _hosts_by_folder(data: pa.Table, numbering: Numbering) -> Codes:
    places, distinct = _distinct(data, Field("", "XSourceFile"))
    names = [str(value).replace("\\", "/").rpartition("/")[0] for value in distinct]
    table = np.array([numbering.of(f"unknown ({name})") for name in names] + [numbering.of("unknown ()")], np.int64)
    return table[places]


def _distinct(data: pa.Table, one: Field) -> tuple[Codes, list[object]]:
    """By row the place of its value among the distinct ones; what a key names is taken out of each distinct object."""
    if one.column not in data.column_names:
        return np.full(data.num_rows, NOTHING, np.int64), []
    column = data.column(one.column)
    if pa.types.is_list(column.type):
        values = [_part(value, one.key) for value in column.to_pylist()]
        return np.arange(len(values)), values
    places, distinct = encoded(column)
    return places, [_part(value, one.key) for value in distinct]


def encoded(column: Any) -> tuple[Codes, list[object]]:
    """By row the place of its value among the distinct ones, `NOTHING` for null; and the distinct ones."""
    whole = column.unify_dictionaries().combine_chunks()
    if not pa.types.is_dictionary(whole.type):
        whole = whole.dictionary_encode()
    if isinstance(whole, pa.ChunkedArray):
        whole = whole.combine_chunks()
    places = whole.indices.fill_null(NOTHING).to_numpy(zero_copy_only=False).astype(np.int64)
    return places, whole.dictionary.to_pylist()


def _part(value: object, key: str | None) -> object:
    if key is None or value is None:
        return value
    if isinstance(value, list):
        return item(value, key)
    return json_field(value, key)


def together(parts: Sequence[Codes], rows: int) -> Codes:
    """One number for each combination; a row that lacks a part has none."""
    result = np.zeros(rows, np.int64)
    lacking = np.zeros(rows, bool)
    for part in parts:
        lacking |= part == NOTHING
        _, dense = np.unique(part, return_inverse=True)
        result = result * (int(dense.max(initial=0)) + 1) + dense
        _, result = np.unique(result, return_inverse=True)
    result[lacking] = NOTHING
    return result
