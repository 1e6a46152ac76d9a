"""The rows of one run, so that an investigation can go back to them. In memory while they are few, else on disk."""

from __future__ import annotations

import tempfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from perilune.model.tables import TABLES, Table

compute: Any = pc  # whose stubs ask for arrays where Arrow takes plain values

DEFAULT_BYTES = 128 * 1024 * 1024


class Spool:
    """Takes batches as they are read; gives back the rows of one host, or a whole table.

    Batches beyond `memory_bytes` are written as Parquet into a temporary folder that goes with the spool.
    """

    def __init__(self, memory_bytes: int = DEFAULT_BYTES) -> None:
        self._limit = memory_bytes
        self._held: dict[str, list[pa.Table]] = defaultdict(list)
        self._bytes = 0
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._files: dict[str, list[str]] = defaultdict(list)
        self._spilled: dict[str, int] = defaultdict(int)
        self.rows: dict[str, int] = defaultdict(int)

    def add(self, table: Table) -> int:
        """Keeps a batch; returns the place of its first row among the table's rows."""
        start = self.rows[table.name]
        self._held[table.name].append(table.data)
        self._bytes += table.data.nbytes
        self.rows[table.name] += len(table)
        if self._bytes > self._limit:
            self._spill()
        return start

    def take(self, name: str, places: Sequence[int], columns: Sequence[str] = ()) -> Table:
        """The rows at these places, which must ascend; all columns, or the named ones that there are."""
        on_disk = [place for place in places if place < self._spilled[name]]
        held = [place - self._spilled[name] for place in places[len(on_disk) :]]
        parts: list[pa.Table] = []
        if on_disk:
            found = ds.dataset(self._files[name], schema=TABLES[name].arrow)
            parts.append(found.take(pa.array(on_disk), columns=list(columns) or None))
        if held:
            data = pa.concat_tables([_only(batch, columns) for batch in self._held[name]], promote_options="default")
            parts.append(data.take(pa.array(held, pa.int64())))
        if not parts:
            return Table(name, TABLES[name].arrow.empty_table())
        return Table(name, pa.concat_tables(parts, promote_options="default"))

    def table(self, name: str) -> Table:
        """All rows of a table, in the order they were read."""
        return self._collect(name, None, None)

    def parts(self, name: str, columns: Sequence[str]) -> Iterator[Table]:
        """All rows of a table in bounded pieces, with these columns where they are filled."""
        wanted = [c for c in columns if c in TABLES[name].columns]
        for path in self._files[name]:
            yield Table(name, pq.read_table(path, columns=wanted))
        for batch in self._held[name]:
            yield Table(name, batch.select([c for c in wanted if c in batch.column_names]))

    def compact(self, name: str) -> pa.Table:
        """All rows of a table in order, texts as numbers into their distinct values: a fraction of the memory."""
        texts = [f.name for f in TABLES[name].arrow if pa.types.is_string(f.type)]
        parts = [pq.read_table(path, read_dictionary=texts) for path in self._files[name]]
        parts += [_encoded(batch) for batch in self._held[name]]
        return _without_empty(pa.concat_tables(parts, promote_options="default"))

    def of_host(self, name: str, host: str | None, source: str, columns: Sequence[str] = ()) -> Table:
        """One host's rows. Rows that name no host belong to their file: pass `host=None` and the file."""
        return self._collect(name, _Host(host, source), columns or None)

    def close(self) -> None:
        self._held.clear()
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    def _spill(self) -> None:
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="perilune-")
        for name, batches in self._held.items():
            path = Path(self._folder.name) / f"{name}-{len(self._files[name]):06}.parquet"
            pq.write_table(_complete(name, batches), path, compression="zstd")
            self._files[name].append(str(path))
            self._spilled[name] = self.rows[name]
        self._held.clear()
        self._bytes = 0

    def _collect(self, name: str, host: _Host | None, columns: Sequence[str] | None) -> Table:
        found = [part for part in self._parts(name, host, columns) if part.num_rows]
        if not found:
            chosen = columns or TABLES[name].columns
            schema = TABLES[name].arrow
            return Table(name, pa.schema([schema.field(c) for c in chosen if c in schema.names]).empty_table())
        return Table(name, _without_empty(pa.concat_tables(found, promote_options="default")))

    def _parts(self, name: str, host: _Host | None, columns: Sequence[str] | None) -> Iterator[pa.Table]:
        schema = TABLES[name].arrow
        wanted = [c for c in columns if c in schema.names] if columns else None
        if self._files[name]:
            held = host.expression() if host else None
            yield ds.dataset(self._files[name], schema=schema).to_table(columns=wanted, filter=held)
        for batch in self._held[name]:
            part = batch.filter(host.mask(batch)) if host else batch
            yield part.select([c for c in wanted if c in part.column_names]) if wanted else part


@dataclass(frozen=True, slots=True)
class _Host:
    """Whose rows are wanted: a host's by name, or where a log names none, a file's."""

    name: str | None
    source: str

    def expression(self) -> ds.Expression:
        if self.name is not None:
            return pc.field("DeviceName") == self.name
        return pc.field("DeviceName").is_null() & (pc.field("XSourceFile") == self.source)

    def mask(self, batch: pa.Table) -> Any:
        """The same for rows in memory; ten times faster on small batches than an expression."""
        table = Table("", batch)
        if self.name is not None:
            return compute.fill_null(compute.equal(table.column("DeviceName"), self.name), False)
        of_file = compute.fill_null(compute.equal(table.column("XSourceFile"), self.source), False)
        return compute.and_(compute.is_null(table.column("DeviceName")), of_file)


def _only(batch: pa.Table, columns: Sequence[str]) -> pa.Table:
    return batch.select([name for name in columns if name in batch.column_names]) if columns else batch


def _encoded(batch: pa.Table) -> pa.Table:
    columns: list[Any] = [
        column.dictionary_encode() if pa.types.is_string(column.type) else column for column in batch.columns
    ]
    return pa.Table.from_arrays(columns, names=batch.column_names)


def _complete(name: str, batches: list[pa.Table]) -> pa.Table:
    """All batches with every column of the table, as a file needs them."""
    data = pa.concat_tables(batches, promote_options="default")
    schema = TABLES[name].arrow
    arrays = [
        data.column(f.name).cast(f.type) if f.name in data.column_names else pa.nulls(data.num_rows, f.type)
        for f in schema
    ]
    return pa.Table.from_arrays(arrays, schema=schema)


def _without_empty(data: pa.Table) -> pa.Table:
    return data.select([c for c in data.column_names if data.column(c).null_count < data.num_rows])
