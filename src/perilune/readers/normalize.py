"""Raw records and a mapping in, Tables out: the last place where a record is a dictionary.

Columns, not records: one list per raw field, one conversion per column. Objects on the way to a nested field
are looked up once per batch and shared by all fields in them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby, pairwise, repeat
from operator import itemgetter
from typing import Any, cast

import pyarrow as pa

from perilune.model.sources import Problem
from perilune.model.tables import COLUMNS, TABLES, Table
from perilune.ports import Columns, Limits, Records
from perilune.readers import values as convert
from perilune.readers.mappings import Column, Extra, FieldPath, Joined, Map, Mappings

Raw = Mapping[str, object]


class Fields:
    """One batch of raw records, seen as columns.

    `siblings` names the fields that are wanted of each object: they are taken in one pass over the records,
    while each record is in the processor's cache, instead of one pass per field.
    """

    def __init__(self, records: Sequence[Raw], siblings: Mapping[FieldPath, Sequence[str]]) -> None:
        self._known: dict[FieldPath, Sequence[object]] = {(): records}
        self._siblings = siblings

    def __len__(self) -> int:
        return len(self._known[()])

    def get(self, path: FieldPath) -> Sequence[object]:
        """The values at a path, null where it leads nowhere."""
        found = self._known.get(path)
        if found is not None:
            return found
        *above, key = path
        parent = tuple(above)
        names = self._siblings.get(parent, ())
        if key not in names:
            names = (key,)
        for name, values in zip(names, take(self.get(parent), names), strict=True):
            self._known[(*parent, name)] = values
        return self._known[path]


def take(objects: Sequence[object], names: Sequence[str]) -> Sequence[Sequence[object]]:
    """One column per name: the objects' values under it, null where an object lacks it or is none."""
    try:
        return _columns(objects, names)
    except (KeyError, TypeError, IndexError):
        pass
    shapes = [frozenset(shape) for shape in {tuple(one) if type(one) is dict else () for one in objects}]
    common = shapes[0].intersection(*shapes)
    somewhere = shapes[0].union(*shapes)
    everywhere = [name for name in names if name in common]
    known = dict(zip(everywhere, _columns(objects, everywhere) if everywhere else (), strict=True))
    return [known[name] if name in known else _sparse(objects, name, name in somewhere) for name in names]


def _columns(objects: Sequence[object], names: Sequence[str]) -> Sequence[Sequence[object]]:
    """The columns, where every object has every name; else a KeyError, or a TypeError where one is no object."""
    rows = [*map(itemgetter(*names), objects)]  # type: ignore[arg-type]  # what is no object raises
    return list(zip(*rows, strict=True)) if len(names) > 1 else [rows]


def _sparse(objects: Sequence[object], name: str, exists: bool) -> Sequence[object]:
    if not exists:
        return [None] * len(objects)
    return [one.get(name) if type(one) is dict else None for one in objects]


class ColumnFields(Fields):
    """One batch that was decoded to columns already."""

    def __init__(self, data: pa.Table) -> None:
        super().__init__((), {})
        self._data = data

    def __len__(self) -> int:
        return self._data.num_rows

    def column(self, name: str) -> convert.Array | None:
        """The raw column as it is."""
        if name not in self._data.column_names:
            return None
        return self._data.column(name).combine_chunks()

    def get(self, path: FieldPath) -> Sequence[object]:
        if path not in self._known:
            column = self.column(path[0]) if len(path) == 1 else None
            self._known[path] = [None] * len(self) if column is None else column.to_pylist()
        return self._known[path]


def to_table(records: Sequence[Raw], numbers: Sequence[int], one: Map, faults: convert.Faults) -> pa.Table:
    """The rows of one batch under one map."""
    same = _same_names(_names_in(records), one) if one.as_is else []
    fields = Fields(records, {**one.siblings, (): (*one.siblings.get((), ()), *same)} if same else one.siblings)
    return _filled(fields, same, numbers, one, faults)


def columns_to_table(data: pa.Table, numbers: Sequence[int], one: Map, faults: convert.Faults) -> pa.Table:
    """The same from columns."""
    return _filled(ColumnFields(data), _same_names(set(data.column_names), one), numbers, one, faults)


def _filled(fields: Fields, same: Sequence[str], numbers: Sequence[int], one: Map, faults: convert.Faults) -> pa.Table:
    arrays = {column.name: _fill(column, fields, faults) for column in one.columns}
    for name in same:
        arrays[name] = _as_is(name, fields, faults)
    for name, value in one.constants.items():
        arrays[name] = _repeat(value, name, len(fields))
    if one.extra is not None:
        arrays["AdditionalFields"] = extra_fields(fields, one.extra, one.taken)
    arrays["XSourceRecord"] = pa.array(numbers, COLUMNS["XSourceRecord"])
    return pa.table(arrays)


def _as_is(name: str, fields: Fields, faults: convert.Faults) -> convert.Array:
    how = _how_as_is(name)
    column = fields.column(name) if isinstance(fields, ColumnFields) else None
    if column is not None and (column.type == COLUMNS[name] and how != "json"):
        return column
    if column is not None and how == "time":
        found = convert.cast_times(column)
        if found is not None:
            return found
    return _convert(how, fields.get((name,)), name, faults)


def _repeat(value: object, name: str, rows: int) -> convert.Array:
    """A column that holds the same value in every row."""
    scalar: Any = pa.scalar(value, COLUMNS[name])
    return cast(convert.Array, pa.repeat(scalar, rows))


def _fill(column: Column, fields: Fields, faults: convert.Faults) -> convert.Array:
    if column.how == "time" and isinstance(fields, ColumnFields):
        found = _time_column(column, fields)
        if found is not None:
            return found
    values = _first(column, fields)
    if column.values or column.otherwise is not None:
        values = [_replace(value, column) for value in values]
    return _convert(column.how, values, column.name, faults)


def _time_column(column: Column, fields: ColumnFields) -> convert.Array | None:
    """A column of times from the only raw column that there is for it."""
    raw = [fields.column(source[0]) for source in column.sources if not isinstance(source, Joined) and len(source) == 1]
    there = [one for one in raw if one is not None]
    return convert.cast_times(there[0]) if len(there) == 1 else None


def _first(column: Column, fields: Fields) -> Sequence[object]:
    """For each record the first source that holds something."""
    first, *others = column.sources
    values = _without(_candidate(first, fields), column.absent)
    for source in others:
        if None not in values and "" not in values:
            break
        other = _without(_candidate(source, fields), column.absent)
        values = [b if a is None or a == "" else a for a, b in zip(values, other, strict=True)]
    return values


def _without(values: Sequence[object], absent: frozenset[str]) -> Sequence[object]:
    if not absent:
        return values
    return [None if type(value) is str and value in absent else value for value in values]


def _candidate(source: FieldPath | Joined, fields: Fields) -> Sequence[object]:
    if not isinstance(source, Joined):
        return fields.get(source)
    rows = list(zip(*(fields.get(path) for path in source.paths), strict=True))
    try:
        known = {row: _join(row, source.by) for row in set(rows)}
    except TypeError:  # a list or an object among them
        return [_join(row, source.by) for row in rows]
    return [known[row] for row in rows]


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


def extra_fields(fields: Fields, extra: Extra, taken: frozenset[str]) -> convert.Array:
    """AdditionalFields: the object's fields that no column takes, as JSON text; null where none is left."""
    objects = fields.get(extra.of)
    beside = _beside(fields, extra)
    names = _names_in(objects)
    left = sorted(names - taken)
    if len(left) == len(names) and not extra.drop:  # nothing to leave out: the objects as they are
        found = [{**add, **one} if type(one) is dict else add for add, one in zip(beside, objects, strict=True)]
    else:
        columns = take(objects, left) if left else []
        rows: Iterable[tuple[object, ...]] = zip(*columns, strict=True) if left else repeat((), len(objects))
        found = [{**add, **_kept(left, row, extra.drop)} for add, row in zip(beside, rows, strict=True)]
    return convert.texts([convert.dump(one) if one else None for one in found])


def _beside(fields: Fields, extra: Extra) -> list[Raw]:
    """The added fields of each record, as objects."""
    if not extra.add:
        return [{}] * len(fields)
    columns = [fields.get(path) for path in extra.add.values()]
    names = tuple(extra.add)
    return [
        {name: value for name, value in zip(names, row, strict=True) if value is not None}
        for row in zip(*columns, strict=True)
    ]


def _kept(names: Sequence[str], row: Sequence[object], drop: frozenset[str]) -> dict[str, object]:
    return {
        name: value
        for name, value in zip(names, row, strict=True)
        if value is not None and not (type(value) is str and value in drop)
    }


def _names_in(objects: Sequence[object]) -> set[str]:
    """All field names of a batch; batches have few different shapes, so shapes are told apart first."""
    shapes = {tuple(one) for one in objects if type(one) is dict}
    return {name for shape in shapes for name in shape}


def _same_names(names: set[str], one: Map) -> list[str]:
    """The raw fields that are named as a column of the table is, and that no other column rule fills."""
    names = names - {column.name for column in one.columns}
    return [name for name in TABLES[one.table].columns if name in names]


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
    columns: list[Columns] = field(default_factory=list)


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

    def add(self, records: Records | Columns) -> Iterator[Table]:
        """Takes records in, and gives the Tables that became full."""
        rows = len(records.fields) if isinstance(records, Records) else records.data.num_rows
        one = self._mappings.find(records.kind)
        if one is None:
            self.skipped[f"no mapping for {records.kind}"] += rows
            return
        known = self._waiting.get(id(one))
        if known and (known[1].fields if isinstance(records, Columns) else known[1].columns):
            yield from self.flush()  # what came another way goes first, to keep the file's order
        _, gathered = self._waiting.setdefault(id(one), (one, _Gathered()))
        if isinstance(records, Columns):
            gathered.columns.append(records)
        else:
            gathered.fields.extend(records.fields)
            gathered.numbers.extend(records.numbers)
        self._rows += rows
        self._bytes += records.size
        if self._rows >= self._limits.batch_rows or self._bytes >= self._limits.batch_bytes:
            yield from self.flush()

    def flush(self) -> Iterator[Table]:
        """Gives everything that is waiting."""
        waiting, self._waiting = self._waiting, {}
        self._rows = self._bytes = 0
        most = self._limits.batch_rows
        for one, gathered in waiting.values():
            for data, numbers in _alike(gathered.columns, most):
                faults = convert.Faults(numbers)
                yield self._finished(one, columns_to_table(data, numbers, one, faults), faults)
            for begin in range(0, len(gathered.fields), most):
                records, numbers = _in_order(
                    gathered.fields[begin : begin + most], gathered.numbers[begin : begin + most]
                )
                faults = convert.Faults(numbers)
                yield self._finished(one, to_table(records, numbers, one, faults), faults)

    def _finished(self, one: Map, data: pa.Table, faults: convert.Faults) -> Table:
        for name, value in (("XSourceFile", self._path), ("XSourceFormat", self._format)):
            data = data.append_column(name, _repeat(value, name, data.num_rows))
        self._remember(faults)
        self.counts[one.table] += data.num_rows
        return Table(one.table, data)

    def _remember(self, faults: convert.Faults) -> None:
        for what, count in faults.counts.items():
            known = self.faults.get(what)
            self.faults[what] = (
                Problem(what, known.count + count, known.where)
                if known
                else Problem(what, count, faults.examples[what])
            )


def _alike(columns: Sequence[Columns], most: int) -> Iterator[tuple[pa.Table, Sequence[int]]]:
    """Blocks of the same names put together, at most so many rows at once."""
    for _, alike in groupby(columns, key=lambda one: one.data.schema):
        blocks = list(alike)
        data = pa.concat_tables([one.data for one in blocks])
        numbers = [n for one in blocks for n in range(one.first, one.first + one.data.num_rows)]
        for begin in range(0, len(numbers), most):
            yield data.slice(begin, most), numbers[begin : begin + most]


def _in_order(records: list[Raw], numbers: list[int]) -> tuple[list[Raw], list[int]]:
    """Sorted as in the file: kinds that share a map were gathered one after the other."""
    if all(a <= b for a, b in pairwise(numbers)):
        return records, numbers
    order = sorted(range(len(numbers)), key=numbers.__getitem__)
    return [records[n] for n in order], [numbers[n] for n in order]
