"""Columns of raw values in, the columns of a table out, over a whole batch at once.

Nearly all raw columns are texts or whole numbers of one type: those stay in Arrow from here on, and what has to be
done in Python is done once per distinct value. A column of mixed types takes the way over Python objects, which
says what is right; a test proves both ways equal.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import pyarrow as pa
import pyarrow.compute

from perilune.model.tables import COLUMNS, TEXT, TIME
from perilune.readers import coded as arrow
from perilune.readers import values as convert
from perilune.readers.coded import Coded
from perilune.readers.derivations import DERIVED, IN_ARROW, derived
from perilune.readers.fields import Array, Block, RawColumn, Wanted, is_array
from perilune.readers.mappings import Column, FieldPath, Joined
from perilune.readers.times import cast_times, times

pc: Any = pyarrow.compute  # its stubs know no array of which the type is found only when it runs


class Batch:
    """Many blocks of one map, seen as one; what was made of a raw column is kept for the columns beside it."""

    def __init__(self, blocks: Sequence[Block]) -> None:
        self._blocks = blocks
        self._columns: dict[FieldPath, RawColumn] = {}
        self._coded: dict[FieldPath, Coded] = {}
        self._times: dict[FieldPath, Array | None] = {}
        self.rows = sum(len(block.numbers) for block in blocks)

    def names(self) -> set[str]:
        """The fields of the records themselves."""
        return {path[0] for block in self._blocks for path in block.columns if len(path) == 1}

    def column(self, path: FieldPath) -> RawColumn:
        known = self._columns.get(path)
        if known is None:
            known = self._columns[path] = _joined(
                [block.columns.get(path, len(block.numbers)) for block in self._blocks]
            )
        return known

    def objects(self, path: FieldPath) -> Sequence[object]:
        """The same as Python objects."""
        found = self.column(path)
        return found.to_pylist() if is_array(found) else cast("list[object]", found)

    def extra(self) -> Array:
        parts = [pa.nulls(len(b.numbers), TEXT) if b.extra is None else b.extra for b in self._blocks]
        return cast(Array, pa.concat_arrays(parts))

    def coded(self, path: FieldPath, column: Array) -> Coded:
        """The column's distinct values."""
        known = self._coded.get(path)
        if known is None:
            known = self._coded[path] = Coded.of(column)
        return known

    def times(self, path: FieldPath, column: Array) -> Array | None:
        if path not in self._times:
            self._times[path] = cast_times(column)
        return self._times[path]


def _joined(parts: Sequence[RawColumn | int]) -> RawColumn:
    """One column of the blocks' parts; a number stands for so many nulls."""
    arrays = [part for part in parts if not isinstance(part, int | list)]
    kinds = {part.type for part in arrays if part.null_count < len(part)} or {TEXT}
    if len(kinds) > 1 or any(isinstance(part, list) for part in parts):
        return [value for part in parts for value in _objects(part)]
    (kind,) = kinds
    return pa.concat_arrays([_of_kind(part, kind) for part in parts if not isinstance(part, list)])


def _of_kind(part: Array | int, kind: pa.DataType) -> Array:
    if isinstance(part, int):
        return _nulls(part, kind)
    return part if part.type == kind else _nulls(len(part), kind)


def _nulls(rows: int, kind: Any) -> Array:
    return cast(Array, pa.nulls(rows, kind))


def _objects(part: RawColumn | int) -> Sequence[object]:
    if isinstance(part, int):
        return [None] * part
    return part.to_pylist() if is_array(part) else cast("list[object]", part)


def to_columns(batch: Batch, wanted: Wanted, faults: convert.Faults) -> dict[str, Array]:
    """The rows of one batch under one map."""
    one = wanted.map
    arrays = {column.name: fill(column, batch, faults) for column in one.columns}
    for name in wanted.same_names(batch.names()) if one.as_is else ():
        arrays[name] = fill(Column(name, ((name,),), _how_as_is(name)), batch, faults)
    for name, value in one.constants.items():
        arrays[name] = repeat(value, name, batch.rows)
    if one.extra is not None:
        arrays["AdditionalFields"] = batch.extra()
    return arrays


def repeat(value: object, name: str, rows: int) -> Array:
    """A column that holds the same value in every row."""
    scalar: Any = pa.scalar(value, COLUMNS[name])
    return cast(Array, pa.repeat(scalar, rows))


_HOW_AS_IS = {str(COLUMNS[name]): how for name, how in (
    ("FileName", "text"), ("ProcessId", "int"), ("XSigned", "bool"), ("Timestamp", "time"), ("XArguments", "texts"),
)}  # fmt: skip


def _how_as_is(name: str) -> str:
    return "json" if name == "AdditionalFields" else _HOW_AS_IS[str(COLUMNS[name])]


def fill(column: Column, batch: Batch, faults: convert.Faults) -> Array:
    """One column of the table."""
    found = _fill_in_arrow(column, batch) if column.how != "texts" else None
    return _fill_by_objects(column, batch, faults) if found is None else found


# --- the way within Arrow


def _fill_in_arrow(column: Column, batch: Batch) -> Array | None:
    """The column, or None when it needs the other way: mixed types, or a value that is a fault."""
    first, *others = column.sources
    if column.how == "time" and others and (times := _times_in_arrow(column, batch)) is not None:
        return times
    if isinstance(first, Joined):
        found = _join_in_arrow(first, batch, column.absent)
        return None if found is None else _rest_in_arrow(found, column, batch)
    raw = batch.column(first)
    if not is_array(raw):
        return None
    if others and _has_gaps(raw, column.absent):
        return _rest_in_arrow(raw, column, batch)
    return _converted(column, raw, batch, first)


def _rest_in_arrow(found: Array, column: Column, batch: Batch) -> Array | None:
    """Fills the gaps of the first source from the others."""
    found = _without(found, column.absent)
    for source in column.sources[1:]:
        if not _has_gaps(found, frozenset()):
            break
        other = _candidate_in_arrow(source, batch, column.absent)
        if other is None:
            return None
        if other.null_count == len(other):
            other = _nulls(len(other), found.type)
        elif found.null_count == len(found):
            found = _nulls(len(found), other.type)
        if found.type != other.type:
            return None
        gaps = pc.or_kleene(pc.is_null(found), pc.equal(found, "")) if found.type == TEXT else pc.is_null(found)
        found = pc.if_else(gaps, other, found)
    return _converted(column, found, batch, None)


def _times_in_arrow(column: Column, batch: Batch) -> Array | None:
    """Times of several sources that are each of one form, though not of the same."""
    found: Array | None = None
    for source in column.sources:
        raw = batch.column(source) if not isinstance(source, Joined) else []
        if not is_array(raw) or column.absent or isinstance(source, Joined):
            return None
        times = _nulls(len(raw), TIME) if raw.null_count == len(raw) else batch.times(source, raw)
        if times is None:
            return None
        found = times if found is None else pc.coalesce(found, times)
        if found is not None and not found.null_count:
            return found
    return found


def _candidate_in_arrow(source: FieldPath | Joined, batch: Batch, absent: frozenset[str]) -> Array | None:
    if isinstance(source, Joined):
        return _join_in_arrow(source, batch, absent)
    raw = batch.column(source)
    return _without(raw, absent) if is_array(raw) else None


def _join_in_arrow(source: Joined, batch: Batch, absent: frozenset[str]) -> Array | None:
    """The parts put together; null where one of them is null, empty or `-`."""
    parts = [batch.column(path) for path in source.paths]
    if not all(is_array(part) and part.type == TEXT for part in parts):
        return None
    said = [_without(cast(Array, part), frozenset(("", "-"))) for part in parts]
    return _without(cast(Array, pc.binary_join_element_wise(*said, source.by)), absent)


def _has_gaps(column: Array, absent: frozenset[str]) -> bool:
    if column.null_count:
        return True
    if column.type != TEXT or not len(column):
        return False
    if absent:
        return bool(pc.any(pc.is_in(column, pa.array([*absent, ""], TEXT))).as_py())
    return bool(pc.min(pc.binary_length(column)).as_py() == 0)


def _without(column: Array, absent: frozenset[str]) -> Array:
    if not absent or column.type != TEXT:
        return column
    said = pc.is_in(column, pa.array(sorted(absent), TEXT))
    if not pc.any(said).as_py():
        return column
    return cast(Array, pc.if_else(said, pa.scalar(None, TEXT), column))


def _converted(column: Column, raw: Array, batch: Batch, path: FieldPath | None) -> Array | None:
    """The raw column converted; `path` is where it comes from when nothing was changed in it."""
    if column.values or column.otherwise is not None:
        replaced = _coded(raw, batch, path).replace(lambda value: _replace(_unless(value, column.absent), column))
        return arrow.convert(column.how, replaced)
    if raw.null_count == len(raw):
        return _nulls(len(raw), COLUMNS[column.name])
    if raw.type != TEXT or column.how == "text":
        return arrow.convert(column.how, _without(raw, column.absent))
    if column.how == "time":
        whole = None if column.absent else batch.times(path, raw) if path else cast_times(raw)
        if whole is not None:
            return whole
    if column.how in IN_ARROW and not column.absent and (made := IN_ARROW[column.how](raw)) is not None:
        return made
    if column.how == "int" and (whole := arrow.cast_wholes(raw)) is not None:
        return whole
    return _coded(raw, batch, path).convert(column.how, column.absent)


def _coded(raw: Array, batch: Batch, path: FieldPath | None) -> Coded:
    return batch.coded(path, raw) if path else Coded.of(raw)


def _unless(value: object, absent: frozenset[str]) -> object:
    return None if type(value) is str and value in absent else value


# --- the way over objects


def _fill_by_objects(column: Column, batch: Batch, faults: convert.Faults) -> Array:
    values = _first(column, batch)
    if column.values or column.otherwise is not None:
        values = [_replace(value, column) for value in values]
    return _CONVERSIONS.get(column.how, _derived)(column, values, faults)


def _first(column: Column, batch: Batch) -> Sequence[object]:
    """For each record the first source that holds something."""
    first, *others = column.sources
    values = [_unless(value, column.absent) for value in _candidate(first, batch)]
    for source in others:
        if None not in values and "" not in values:
            break
        other = [_unless(value, column.absent) for value in _candidate(source, batch)]
        values = [b if a is None or a == "" else a for a, b in zip(values, other, strict=True)]
    return values


def _candidate(source: FieldPath | Joined, batch: Batch) -> Sequence[object]:
    if not isinstance(source, Joined):
        return batch.objects(source)
    return [_join(row, source.by) for row in zip(*(batch.objects(path) for path in source.paths), strict=True)]


def _join(parts: tuple[object, ...], by: str) -> str | None:
    texts = [convert.text_of(part) for part in parts]
    found = [text for text in texts if text and text != "-"]
    return by.join(found) if len(found) == len(parts) else None


def _replace(value: object, column: Column) -> str | None:
    if value is None:
        return column.otherwise
    text = convert.text_of(value) or ""
    return column.values.get(text, column.otherwise if column.otherwise is not None else text)


_Conversion = Callable[[Column, Sequence[object], convert.Faults], Array]
_CONVERSIONS: Mapping[str, _Conversion] = {
    "text": lambda column, values, faults: convert.texts(values),
    "int": lambda column, values, faults: convert.wholes(values, column.name, faults),
    "bool": lambda column, values, faults: convert.truths(values, column.name, faults),
    "time": lambda column, values, faults: times(values, column.name, faults),
    "texts": lambda column, values, faults: convert.lists(values),
    "json": lambda column, values, faults: convert.jsons(values),
}


def _derived(column: Column, values: Sequence[object], faults: convert.Faults) -> Array:
    return derived(values, DERIVED[column.how])
