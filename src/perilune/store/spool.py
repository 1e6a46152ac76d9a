"""The rows of one run, so that an investigation can go back to them. In memory while they are few, else on disk."""

from __future__ import annotations

import tempfile
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from perilune.model.tables import TABLES, Table
from perilune.store.pieces import Held, Host, Piece, Written

DEFAULT_BYTES = 64 << 20  # three times as much while they are put in order and written


class Spool:
    """Takes batches as they are read; gives back the rows of one host, or a whole table.

    Batches beyond `memory_bytes` are written as Parquet into a temporary folder that goes with the spool.
    """

    def __init__(self, memory_bytes: int = DEFAULT_BYTES) -> None:
        self._limit = memory_bytes
        self._held: dict[str, list[Held]] = defaultdict(list)
        self._written: dict[str, list[Piece]] = defaultdict(list)
        self._bytes = 0
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self.rows: dict[str, int] = defaultdict(int)

    def add(self, table: Table) -> int:
        """Keeps a batch; returns the place of its first row among the table's rows."""
        start = self.rows[table.name]
        self._held[table.name].append(Held(table.data))
        self._bytes += table.data.nbytes
        self.rows[table.name] += len(table)
        if self._bytes > self._limit:
            self._spill()
        return start

    def refer(self, name: str, piece: Piece) -> int:
        """Keeps where rows are that lie in a file of their own; before any batch of their table is added."""
        if self._held.get(name):
            raise ValueError(f"rows of {name} were added before")
        start = self.rows[name]
        self._written[name].append(piece)
        self.rows[name] += piece.rows
        return start

    def take(self, name: str, places: Sequence[int], columns: Sequence[str] = ()) -> Table:
        """The rows at these places, which must ascend; all columns, or the named ones that there are."""
        wanted, parts, first = np.array(places, np.intp), [], 0
        for piece in self._pieces(name):
            begin, end = np.searchsorted(wanted, [first, first + piece.rows])
            if begin < end:
                parts.append(piece.at(wanted[begin:end] - first, list(columns) or None))
            first += piece.rows
        return _joined(name, parts, columns)

    def table(self, name: str) -> Table:
        """All rows of a table, in the order they were read."""
        return Table(name, _without_empty(_joined(name, [piece.read() for piece in self._pieces(name)]).data))

    def parts(self, name: str, columns: Sequence[str]) -> Iterator[Table]:
        """All rows of a table in bounded pieces, with these columns where they are filled."""
        for piece in self._pieces(name):
            yield Table(name, piece.read(columns))

    def compact(self, name: str, columns: Sequence[str] | None = None) -> pa.Table:
        """All rows of a table in order, texts as numbers into their distinct values: a fraction of the memory."""
        parts = [piece.read(columns, encoded=True) for piece in self._pieces(name)]
        return _without_empty(pa.concat_tables(parts, promote_options="default"))

    def place(self, name: str, row: int) -> int:
        """The place of a row of the `compact` table."""
        return row

    def of_host(self, name: str, host: str | None, source: str, columns: Sequence[str] = ()) -> Table:
        """One host's rows. Rows that name no host belong to their file: pass `host=None` and the file."""
        key = (host, "" if host is not None else source)
        each = (piece.of_host(key, list(columns) or None) for piece in self._pieces(name))
        found = _joined(name, [part for part in each if part is not None], columns)
        return Table(name, _without_empty(found.data)) if len(found) else found

    def expect(self, hosts: Collection[Host]) -> None:
        """Told which hosts will be asked for, for a spool that can bring them together."""

    def close(self) -> None:
        self._held.clear()
        self._written.clear()
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    def _pieces(self, name: str) -> list[Piece]:
        return [*self._written.get(name, ()), *self._held.get(name, ())]

    def _spill(self) -> None:
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="perilune-")
        for name, batches in self._held.items():
            path = Path(self._folder.name) / f"{name}-{len(self._written[name]):06}.parquet"
            self._written[name].append(Written(name, path, [batch.read() for batch in batches]))
        self._held.clear()
        self._bytes = 0


def _joined(name: str, parts: Sequence[pa.Table], columns: Sequence[str] = ()) -> Table:
    """The parts as one; without any, an empty table of the chosen columns."""
    if parts:
        return Table(name, pa.concat_tables(parts, promote_options="default"))
    schema = TABLES[name].arrow
    chosen = [schema.field(c) for c in columns or TABLES[name].columns if c in TABLES[name].columns]
    return Table(name, pa.schema(chosen).empty_table())


def _without_empty(data: pa.Table) -> pa.Table:
    return data.select(
        [name for at, name in enumerate(data.schema.names) if data.column(at).null_count < data.num_rows]
    )
