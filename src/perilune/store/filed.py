"""Rows that stay where they are: in row groups of a Parquet file that somebody else wrote."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from perilune.model.tables import COLUMNS, TABLES
from perilune.store.pieces import Host, Places

compute: Any = pc  # whose stubs ask for arrays where Arrow takes plain values


@dataclass(frozen=True, slots=True)
class Filed:
    """Some row groups of one file of one table. Each call reads; nothing is kept."""

    name: str
    path: Path
    groups: tuple[int, ...]
    rows: int

    def of_host(self, host: Host, columns: Sequence[str] | None) -> pa.Table | None:
        found = self.of_hosts([host], columns)
        return found if found.num_rows else None

    def of_hosts(self, hosts: Sequence[Host], columns: Sequence[str] | None) -> pa.Table:
        """The rows of several hosts, in the order of the file."""
        wanted = of_hosts(self._read(["DeviceName", "XSourceFile"]), hosts)
        return self._columns(columns, wanted)

    def at(self, places: Places, columns: Sequence[str] | None) -> pa.Table:
        chosen: Any = pa.array(places, pa.int64())
        return self._columns(columns, chosen)

    def read(self, columns: Sequence[str] | None = None, *, encoded: bool = False) -> pa.Table:
        return self._read(self._known(columns), encoded=encoded)

    def _columns(self, columns: Sequence[str] | None, chosen: Any) -> pa.Table:
        """Chosen rows, a row group at a time, so that the others are let go of at once."""
        parts, first = [], 0
        for group, size in zip(self.groups, self._sizes(), strict=True):
            mine = _share(chosen, first, size)
            first += size
            if len(mine):
                parts.append(self._read(self._known(columns), groups=[group]).take(mine))
        return pa.concat_tables(parts) if parts else self._read(self._known(columns), groups=[])

    def _sizes(self) -> Iterator[int]:
        metadata = pq.read_metadata(self.path)
        return (metadata.row_group(group).num_rows for group in self.groups)

    def _known(self, columns: Sequence[str] | None) -> list[str]:
        return [c for c in (columns or TABLES[self.name].columns) if c in TABLES[self.name].columns]

    def _read(self, columns: Sequence[str], *, groups: Sequence[int] | None = None, encoded: bool = False) -> pa.Table:
        with pq.ParquetFile(self.path) as file:
            there = [c for c in columns if c in file.schema_arrow.names]
        texts = [c for c in there if pa.types.is_string(COLUMNS[c])] if encoded else None
        with pq.ParquetFile(self.path, read_dictionary=texts, memory_map=True) as file:
            return file.read_row_groups(list(self.groups if groups is None else groups), columns=there)


@dataclass(frozen=True, slots=True)
class Gone:
    """Rows that could not be read: they keep their places and give nothing."""

    name: str
    rows: int

    def of_host(self, host: Host, columns: Sequence[str] | None) -> pa.Table | None:
        return None

    def at(self, places: Places, columns: Sequence[str] | None) -> pa.Table:
        return self.read(columns)

    def read(self, columns: Sequence[str] | None = None, *, encoded: bool = False) -> pa.Table:
        known = TABLES[self.name].columns
        kinds = [(c, COLUMNS[c]) for c in (columns or known) if c in known]
        codes = pa.dictionary(pa.int32(), pa.string())
        return pa.schema([(c, codes if encoded and pa.types.is_string(t) else t) for c, t in kinds]).empty_table()


def of_hosts(data: pa.Table, hosts: Sequence[Host]) -> Any:
    """The places of the rows of these hosts; who names no host is its file's."""
    named = pa.array([name for name, _ in hosts if name is not None], pa.string())
    sources = pa.array([source for name, source in hosts if name is None], pa.string())
    size = data.num_rows
    device, source = (
        data.column(c) if c in data.column_names else pa.nulls(size, pa.string()) for c in ("DeviceName", "XSourceFile")
    )
    unnamed = compute.and_(compute.is_null(device), compute.is_in(source, value_set=sources))
    return compute.indices_nonzero(compute.or_(compute.is_in(device, value_set=named), unnamed)).cast(pa.int64())


def _share(chosen: Any, first: int, size: int) -> Any:
    """Of ascending places those of one row group, counted from its beginning."""
    inside = compute.and_(compute.greater_equal(chosen, first), compute.less(chosen, first + size))
    return compute.subtract(chosen.filter(inside), first)
