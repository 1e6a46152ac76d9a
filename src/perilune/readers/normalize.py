"""Raw records and a mapping in, Tables out: the last place where a record is a dictionary.

Records of many small files share a Table, since building one costs the same for three rows as for three hundred.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
import pyarrow as pa

from perilune.model.sources import Problem
from perilune.model.tables import BOOL, COLUMNS, LONG, TABLES, TEXT, Table
from perilune.ports import Columns, Halves, Limits, Records, Rows
from perilune.readers.fields import Array, Block, Projection, Raw, RawColumn, Wanted, left_over, to_block
from perilune.readers.filling import Batch, to_columns
from perilune.readers.halves import Taking
from perilune.readers.heads import whole_events
from perilune.readers.mappings import Extra, FieldPath, Map, Mappings
from perilune.readers.values import Faults

_HANDFUL = 512  # records taken apart at once: about as many as a processor's cache holds
_HANDFUL_BYTES = 4 << 20


@dataclass(slots=True)
class Origin:
    """One file, and what became of its records."""

    path: str
    format: str
    counts: Counter[str] = field(default_factory=Counter)
    skipped: Counter[str] = field(default_factory=Counter)
    faults: dict[str, Problem] = field(default_factory=dict)


@dataclass(slots=True)
class _Waiting:
    """What waits for one map: blocks, the records that are none yet, and at which row each file begins."""

    wanted: Wanted
    projection: Projection | None
    taking: Taking | None
    blocks: list[Block] = field(default_factory=list)
    records: list[Raw] = field(default_factory=list)
    values: list[tuple[object, ...]] = field(default_factory=list)
    extras: list[str | None] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)
    size: int = 0
    rows: int = 0
    starts: list[int] = field(default_factory=list)
    origins: list[Origin] = field(default_factory=list)

    def begin(self, origin: Origin) -> None:
        """The rows that come now are of this file."""
        if not self.origins or self.origins[-1] is not origin:
            self.starts.append(self.rows)
            self.origins.append(origin)

    def add(self, records: Records) -> None:
        self.numbers.extend(records.numbers)
        self.rows += len(records.fields)
        self.size += records.size
        if self.projection is None:  # which fields there are to take is known when all have come
            self.records.extend(records.fields)
        else:
            self.projection.take(records.fields, self.values, self.extras)
        if len(self.numbers) >= _HANDFUL or self.size >= _HANDFUL_BYTES:
            self.take_apart()

    def add_halves(self, events: Halves) -> None:
        if self.projection is None or self.taking is None:
            self.add(Records(events.kind, whole_events(events), events.numbers, events.size))
            return
        self.numbers.extend(events.numbers)
        self.rows += len(events.numbers)
        self.size += events.size
        self.taking.take(events, self.values, self.extras)
        if len(self.numbers) >= _HANDFUL or self.size >= _HANDFUL_BYTES:
            self.take_apart()

    def add_columns(self, columns: Columns) -> None:
        self.take_apart()
        self.blocks.append(_of_columns(columns, self.wanted))
        self.rows += columns.data.num_rows

    def take_apart(self) -> None:
        """Makes a block of the records."""
        if not self.numbers:
            return
        if self.projection is None:
            self.blocks.append(to_block(self.records, self.numbers, self.wanted))
        else:
            self.blocks.append(self.projection.block(self.values, self.numbers, self.extras))
        self.records, self.values, self.extras, self.numbers, self.size = [], [], [], [], 0


class Normalizer:
    """Gathers records by map and gives Tables of bounded size; says what could not be converted."""

    def __init__(self, mappings: Mappings, limits: Limits) -> None:
        self._mappings = mappings
        self._limits = limits
        self._waiting: dict[int, _Waiting] = {}
        self._known: dict[int, tuple[Wanted, Projection | None, Taking | None]] = {}
        self._origin = Origin("", "")
        self._bytes = 0
        self.rows = 0

    def begin(self, path: str, file_format: str) -> Origin:
        """The records that come now are of this file. What is known of them is whole after the next `flush`."""
        self._origin = Origin(path, file_format)
        return self._origin

    def add(self, records: Records | Columns | Halves) -> Iterator[Table]:
        """Takes records in, and gives the Tables that became full."""
        one = self._mappings.find(records.kind)
        rows = records.data.num_rows if isinstance(records, Columns) else len(records.numbers)
        if one is None:
            self._origin.skipped[f"no mapping for {records.kind}"] += rows
            return
        if self.rows and self.rows + rows > self._limits.batch_rows:
            yield from self.flush()
        self._origin.counts[one.table] += rows
        self._keep(records, one)
        self.rows += rows
        self._bytes += records.size
        if self.rows >= self._limits.batch_rows or self._bytes >= self._limits.batch_bytes:
            yield from self.flush()

    def _keep(self, records: Records | Columns | Halves, one: Map) -> None:
        waiting = self._waiting.get(id(one))
        if waiting is None:
            known = self._known.get(id(one))
            if known is None:
                known = self._known[id(one)] = _ways(one)
            waiting = self._waiting[id(one)] = _Waiting(*known)
        waiting.begin(self._origin)
        match records:
            case Columns():
                waiting.add_columns(records)
            case Halves():
                waiting.add_halves(records)
            case Records():
                waiting.add(records)

    def pass_on(self, rows: Rows) -> Table:
        """Rows that need no map, counted as the file's."""
        self._origin.counts[rows.table] += rows.data.num_rows
        return Table(rows.table, rows.data)

    def flush(self) -> Iterator[Table]:
        """Gives everything that is waiting."""
        waiting, self._waiting = self._waiting, {}
        self.rows = self._bytes = 0
        most = self._limits.batch_rows
        for one in waiting.values():
            one.take_apart()
            data = _rows(one)
            for begin in range(0, data.num_rows, most):
                yield Table(one.wanted.map.table, data.slice(begin, most) if data.num_rows > most else data)


def _ways(one: Map) -> tuple[Wanted, Projection | None, Taking | None]:
    """How raw records of a map are taken apart."""
    wanted = Wanted(one)
    if one.as_is:
        return wanted, None, None
    projection = Projection(wanted)
    return wanted, projection, Taking(one, projection)


def _rows(waiting: _Waiting) -> pa.Table:
    """All that waits for one map, in the order of the files."""
    blocks, wanted = waiting.blocks, waiting.wanted
    numbers = np.concatenate([np.asarray(block.numbers, np.int64) for block in blocks])
    faults = Faults(cast(Sequence[int], numbers), waiting.starts)
    arrays = to_columns(Batch(blocks), wanted, faults)
    arrays["XSourceRecord"] = pa.array(numbers, COLUMNS["XSourceRecord"])
    lengths = np.diff([*waiting.starts, len(numbers)])
    for name, said in (("XSourceFile", "path"), ("XSourceFormat", "format")):
        arrays[name] = _said(name, [getattr(origin, said) for origin in waiting.origins], lengths)
    _remember(faults, waiting.origins)
    names = [name for name in TABLES[wanted.map.table].columns if name in arrays]
    order = _order(numbers, lengths)
    data = pa.table({name: arrays[name] for name in names})
    return data if order is None else data.take(pa.array(order))


def _said(name: str, values: Sequence[str], lengths: Any) -> Array:
    """Each value so many times."""
    rows = np.repeat(np.arange(len(values)), lengths)
    return cast(Array, pa.array(values, COLUMNS[name]).take(rows))


def _order(numbers: Any, lengths: Any) -> Any:
    """How the rows stand in their files, where they do not already: kinds that share a map come one by one."""
    files = np.repeat(np.arange(len(lengths)), lengths)
    unsorted = (np.diff(numbers) < 0) & (np.diff(files) == 0)
    return np.lexsort((numbers, files)) if unsorted.any() else None


def _remember(faults: Faults, origins: Sequence[Origin]) -> None:
    """Gives each file its faults."""
    for (place, what), (count, example) in faults.found.items():
        known = origins[place].faults.get(what)
        origins[place].faults[what] = (
            Problem(what, known.count + count, known.where) if known else Problem(what, count, example)
        )


# --- what comes as columns


def _of_columns(columns: Columns, wanted: Wanted) -> Block:
    data, one = columns.data, wanted.map
    same = wanted.same_names(set(data.column_names))
    paths = (*wanted.paths, *((name,) for name in same))
    found = {path: _plain(leaf) for path in paths if (leaf := _leaf(data, path)) is not None}
    numbers = columns.numbers if columns.numbers is not None else range(columns.first, columns.first + data.num_rows)
    return Block(numbers, found, _extra(data, one.extra, one.taken) if one.extra else None)


def _leaf(data: pa.Table, path: FieldPath) -> Array | None:
    """The column at a path, which leads through structs."""
    place = data.schema.get_field_index(path[0])
    if place < 0:
        return None
    column = data.column(place)
    found: Any = column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
    for name in path[1:]:
        if not pa.types.is_struct(found.type) or found.type.get_field_index(name) < 0:
            return None
        found = found.field(name)
    return cast(Array, found)


def _plain(leaf: Array) -> RawColumn:
    return leaf if leaf.type in (TEXT, LONG, BOOL) else leaf.to_pylist()


def _extra(data: pa.Table, extra: Extra, taken: frozenset[str]) -> Array:
    """The same as `fields.extra_fields` from columns, in which a null and a missing value are the same."""
    added = {name: leaf.to_pylist() for name, path in extra.add.items() if (leaf := _leaf(data, path)) is not None}
    members = _members(data, extra.of)
    left = {name: members[name].to_pylist() for name in sorted(members) if name not in taken}
    return left_over(added, left, extra.drop, data.num_rows)


def _members(data: pa.Table, path: FieldPath) -> Mapping[str, Array]:
    """The columns of an object."""
    if not path:
        return {name: cast(Array, _leaf(data, (name,))) for name in data.column_names}
    found: Any = _leaf(data, path)
    if found is None or not pa.types.is_struct(found.type):
        return {}
    return {field.name: found.field(number) for number, field in enumerate(found.type)}
