"""Raw records and a mapping in, Tables out: the last place where a record is a dictionary.

Columns, not records: one list per raw field, one conversion per column. Objects on the way to a nested field
are looked up once per batch and shared by all fields in them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, cast

import pyarrow as pa

from perilune.model.sources import Problem
from perilune.model.tables import COLUMNS, TABLES, Table
from perilune.ports import Limits, Records
from perilune.readers import values as convert
from perilune.readers.mappings import Column, Extra, FieldPath, Joined, Map, Mappings

Raw = Mapping[str, object]


class Fields:
    """One batch of raw records, seen as columns."""

    def __init__(self, records: Sequence[Raw]) -> None:
        self._known: dict[FieldPath, list[object]] = {(): list(records)}

    def __len__(self) -> int:
        return len(self._known[()])

    def get(self, path: FieldPath) -> list[object]:
        """The values at a path, null where it leads nowhere."""
        found = self._known.get(path)
        if found is None:
            key = path[-1]
            inside = self.get(path[:-1])
            found = [one.get(key) if type(one) is dict else None for one in inside]
            self._known[path] = found
        return found


def to_table(records: Sequence[Raw], numbers: Sequence[int], one: Map, faults: convert.Faults) -> pa.Table:
    """The rows of one batch under one map."""
    fields = Fields(records)
    arrays = {column.name: _fill(column, fields, faults) for column in one.columns}
    if one.as_is:
        arrays |= _same_names(fields, one, arrays, faults)
    for name, value in one.constants.items():
        arrays[name] = _repeat(value, name, len(fields))
    if one.extra is not None:
        arrays["AdditionalFields"] = extra_fields(fields, one.extra, _used(one))
    arrays["XSourceRecord"] = pa.array(numbers, COLUMNS["XSourceRecord"])
    return pa.table(arrays)


def _repeat(value: object, name: str, rows: int) -> convert.Array:
    """A column that holds the same value in every row."""
    scalar: Any = pa.scalar(value, COLUMNS[name])
    return cast(convert.Array, pa.repeat(scalar, rows))


def _fill(column: Column, fields: Fields, faults: convert.Faults) -> convert.Array:
    values = _first(column, fields)
    if column.values or column.otherwise is not None:
        values = [_replace(value, column) for value in values]
    return _convert(column.how, values, column.name, faults)


def _first(column: Column, fields: Fields) -> list[object]:
    """For each record the first source that holds something."""
    candidates = [_candidate(source, fields) for source in column.sources]
    values = candidates[0]
    if column.absent:
        absent = column.absent
        values = [None if type(v) is str and v in absent else v for v in values]
    for other in candidates[1:]:
        nothing = column.absent | {""}
        values = [
            (None if type(b) is str and b in column.absent else b)
            if a is None or (type(a) is str and a in nothing)
            else a
            for a, b in zip(values, other, strict=True)
        ]
    return values


def _candidate(source: FieldPath | Joined, fields: Fields) -> list[object]:
    if not isinstance(source, Joined):
        return fields.get(source)
    parts = [fields.get(path) for path in source.paths]
    return [_join(row, source.by) for row in zip(*parts, strict=True)]


def _join(parts: tuple[object, ...], by: str) -> str | None:
    texts = [convert.text_of(part) for part in parts]
    found = [text for text in texts if text and text != "-"]
    return by.join(found) if len(found) == len(parts) else None


def _replace(value: object, column: Column) -> object:
    if value is None:
        return column.otherwise
    text = convert.text_of(value) or ""
    return column.values.get(text, column.otherwise if column.otherwise is not None else text)


def _convert(how: str, values: Sequence[object], name: str, faults: convert.Faults) -> convert.Array:
    match how:
        case "text":
            return convert.texts(values)
        case "int":
            return convert.wholes(values, name, faults)
        case "bool":
            return convert.truths(values, name, faults)
        case "time":
            return convert.times(values, name, faults)
        case "texts":
            return convert.lists(values)
        case "json":
            return convert.jsons(values)
        case _:
            return convert.derived(values, convert.DERIVED[how])


# --- what no column takes


def _used(one: Map) -> frozenset[FieldPath]:
    paths: set[FieldPath] = set()
    for column in one.columns:
        for source in column.sources:
            paths.update(source.paths if isinstance(source, Joined) else (source,))
    return frozenset(paths)


def extra_fields(fields: Fields, extra: Extra, used: frozenset[FieldPath]) -> convert.Array:
    """AdditionalFields: the object's fields that no column takes, as JSON text; null where none is left."""
    objects = fields.get(extra.of)
    added = {name: fields.get(path) for name, path in extra.add.items()}
    names = _names_in(objects)
    taken = {path[-1] for path in used if path[:-1] == extra.of}
    if not added and not extra.drop and not taken & names:
        return convert.texts([convert.dump(one) if type(one) is dict and one else None for one in objects])
    left = sorted(names - taken)
    return convert.texts([_leftover(one, left, added, row, extra.drop) for row, one in enumerate(objects)])


def _names_in(objects: Sequence[object]) -> set[str]:
    """All field names of a batch; batches have few different shapes, so shapes are told apart first."""
    shapes = {tuple(one) for one in objects if type(one) is dict}
    return {name for shape in shapes for name in shape}


def _leftover(
    one: object, left: Sequence[str], added: Mapping[str, list[object]], row: int, drop: frozenset[str]
) -> str | None:
    found: dict[str, object] = {}
    if type(one) is dict:
        for name in left:
            value = one.get(name)
            if value is not None and not (type(value) is str and value in drop):
                found[name] = value
    for name, values in added.items():
        if values[row] is not None:
            found.setdefault(name, values[row])
    return convert.dump(found) if found else None


def _same_names(
    fields: Fields, one: Map, taken: Mapping[str, object], faults: convert.Faults
) -> dict[str, convert.Array]:
    """Columns for raw fields that are named as the table's columns are."""
    names = _names_in(fields.get(())) & set(TABLES[one.table].columns) - set(taken)
    return {
        name: _convert(_how_as_is(name), fields.get((name,)), name, faults)
        for name in TABLES[one.table].columns
        if name in names
    }


_HOW_AS_IS = {str(COLUMNS[name]): how for name, how in (
    ("FileName", "text"), ("ProcessId", "int"), ("XSigned", "bool"), ("Timestamp", "time"), ("XArguments", "texts"),
)}  # fmt: skip


def _how_as_is(name: str) -> str:
    return "json" if name == "AdditionalFields" else _HOW_AS_IS[str(COLUMNS[name])]


# --- one file's records


@dataclass(slots=True)
class _Gathered:
    """Records waiting for one map."""

    fields: list[Raw] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)


class Normalizer:
    """Gathers the records of one file by map and gives Tables of bounded size; says what could not be converted."""

    def __init__(self, mappings: Mappings, path: str, file_format: str, limits: Limits) -> None:
        self._mappings = mappings
        self._path = path
        self._format = file_format
        self._limits = limits
        self._waiting: dict[int, tuple[Map, _Gathered]] = {}
        self._rows = 0
        self._bytes = 0
        self.counts: Counter[str] = Counter()
        self.skipped: Counter[str] = Counter()
        self.faults: dict[str, Problem] = {}

    def add(self, records: Records) -> Iterator[Table]:
        """Takes records in, and gives the Tables that became full."""
        one = self._mappings.find(records.kind)
        if one is None:
            self.skipped[f"no mapping for {records.kind}"] += len(records.fields)
            return
        _, gathered = self._waiting.setdefault(id(one), (one, _Gathered()))
        gathered.fields.extend(records.fields)
        gathered.numbers.extend(records.numbers)
        self._rows += len(records.fields)
        self._bytes += records.size
        if self._rows >= self._limits.batch_rows or self._bytes >= self._limits.batch_bytes:
            yield from self.flush()

    def flush(self) -> Iterator[Table]:
        """Gives everything that is waiting."""
        waiting, self._waiting = self._waiting, {}
        self._rows = self._bytes = 0
        for one, gathered in waiting.values():
            for begin in range(0, len(gathered.fields), self._limits.batch_rows):
                part = slice(begin, begin + self._limits.batch_rows)
                yield self._table(one, gathered.fields[part], gathered.numbers[part])

    def _table(self, one: Map, records: list[Raw], numbers: list[int]) -> Table:
        records, numbers = _in_order(records, numbers)
        faults = convert.Faults(numbers)
        data = to_table(records, numbers, one, faults)
        for name, value in (("XSourceFile", self._path), ("XSourceFormat", self._format)):
            data = data.append_column(name, _repeat(value, name, len(records)))
        self._remember(faults)
        self.counts[one.table] += len(records)
        return Table(one.table, data)

    def _remember(self, faults: convert.Faults) -> None:
        for what, count in faults.counts.items():
            known = self.faults.get(what)
            self.faults[what] = (
                Problem(what, known.count + count, known.where)
                if known
                else Problem(what, count, faults.examples[what])
            )


def _in_order(records: list[Raw], numbers: list[int]) -> tuple[list[Raw], list[int]]:
    """Sorted as in the file: kinds that share a map were gathered one after the other."""
    if all(a <= b for a, b in pairwise(numbers)):
        return records, numbers
    order = sorted(range(len(numbers)), key=numbers.__getitem__)
    return [records[n] for n in order], [numbers[n] for n in order]
