"""Rows kept for a run: in memory, or in a Parquet file of their own, in both cases with the rows of each host at hand.

A file is written host by host, in small row groups, so that one host's rows are read without the others'. What is
asked for by place is given in the order of reading all the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from perilune.model.tables import TABLES

GROUP = 4096  # rows read together from a file

compute: Any = pc  # whose stubs ask for arrays where Arrow takes plain values

Places = npt.NDArray[np.intp]
Host = tuple[str | None, str]  # a host by name, or where a row names none, its file


class Piece(Protocol):
    """Some of a table's rows, in the order they were read."""

    @property
    def rows(self) -> int: ...

    def of_host(self, host: Host, columns: Sequence[str] | None) -> pa.Table | None:
        """One host's rows; None where there is none."""
        ...

    def at(self, places: Places, columns: Sequence[str] | None) -> pa.Table:
        """The rows at these places, which ascend."""
        ...

    def read(self, columns: Sequence[str] | None = None, *, encoded: bool = False) -> pa.Table:
        """All rows; texts as numbers into their distinct values where `encoded`."""
        ...


class Held:
    """Rows in memory; put in the order of their hosts when a host is first asked for."""

    def __init__(self, data: pa.Table) -> None:
        self._data = data
        self._where: Places | None = None  # of each row, once they are no longer in the order of reading

    @property
    def rows(self) -> int:
        return self._data.num_rows

    @cached_property
    def _spans(self) -> Mapping[Host, tuple[int, int]]:
        order, hosts, begins = _by_host(self._data)
        self._where = _inverse(order)
        self._data = self._data.take(order)
        return dict(zip(hosts, pairwise(begins), strict=True))

    def of_host(self, host: Host, columns: Sequence[str] | None) -> pa.Table | None:
        span = self._spans.get(host)
        return None if span is None else only(self._data, columns).slice(span[0], span[1] - span[0])

    def at(self, places: Places, columns: Sequence[str] | None) -> pa.Table:
        return only(self._data, columns).take(places if self._where is None else self._where[places])

    def read(self, columns: Sequence[str] | None = None, *, encoded: bool = False) -> pa.Table:
        data = only(self._data, columns)
        if self._where is not None:
            data = data.take(self._where)
        return _encoded(data) if encoded else data


class Written:
    """Rows in a file, host by host. `_order` says for each row of the file which one it was."""

    def __init__(self, name: str, path: Path, batches: Sequence[pa.Table]) -> None:
        self._name = name
        self._path = path
        data = complete(name, batches)
        self.rows: int = data.num_rows
        self._order, hosts, begins = _by_host(data)
        self._spans = dict(zip(hosts, pairwise(begins), strict=True))
        pq.write_table(data.take(self._order), path, compression="zstd", row_group_size=GROUP)

    @property
    def _file(self) -> pq.ParquetFile:
        return pq.ParquetFile(self._path)

    def of_host(self, host: Host, columns: Sequence[str] | None) -> pa.Table | None:
        span = self._spans.get(host)
        if span is None:
            return None
        first = span[0] // GROUP
        groups = self._file.read_row_groups(
            list(range(first, (span[1] - 1) // GROUP + 1)), columns=self._known(columns)
        )
        # Copied: a slice would keep the rows of other hosts in memory with its own.
        return groups.take(np.arange(span[0] - first * GROUP, span[1] - first * GROUP))

    def at(self, places: Places, columns: Sequence[str] | None) -> pa.Table:
        wanted = _inverse(self._order)[places]
        file, parts, came = self._file, [], []
        for group in np.unique(wanted // GROUP).tolist():
            mine = np.flatnonzero(wanted // GROUP == group)
            data = file.read_row_group(group, columns=self._known(columns))
            parts.append(data.take(wanted[mine] - group * GROUP))
            came.append(mine)
        back = np.argsort(np.concatenate(came)) if came else np.empty(0, np.intp)
        return pa.concat_tables(parts).take(back) if parts else TABLES[self._name].arrow.empty_table()

    def read(self, columns: Sequence[str] | None = None, *, encoded: bool = False) -> pa.Table:
        texts = [f.name for f in TABLES[self._name].arrow if pa.types.is_string(f.type)] if encoded else None
        data = pq.read_table(self._path, columns=self._known(columns), read_dictionary=texts)
        return data.take(_inverse(self._order))

    def _known(self, columns: Sequence[str] | None) -> list[str] | None:
        return None if columns is None else [c for c in columns if c in TABLES[self._name].columns]


def only(data: pa.Table, columns: Sequence[str] | None) -> pa.Table:
    """The named columns that there are, or all."""
    if columns is None:
        return data
    return data.select([name for name in columns if data.schema.get_field_index(name) >= 0])


def complete(name: str, batches: Sequence[pa.Table]) -> pa.Table:
    """All batches with every column of the table, as a file needs them."""
    data = pa.concat_tables(batches, promote_options="default")
    schema = TABLES[name].arrow
    arrays = [
        data.column(at).cast(f.type)
        if (at := data.schema.get_field_index(f.name)) >= 0
        else pa.nulls(len(data), f.type)
        for f in schema
    ]
    return pa.Table.from_arrays(arrays, schema=schema)


def _inverse(order: Places) -> Places:
    """Where each row went."""
    where = np.empty(len(order), np.intp)
    where[order] = np.arange(len(order))
    return where


def _encoded(data: pa.Table) -> pa.Table:
    columns: list[Any] = [c.dictionary_encode() if pa.types.is_string(c.type) else c for c in data.columns]
    return pa.Table.from_arrays(columns, names=data.schema.names)


def _by_host(data: pa.Table) -> tuple[Places, list[Host], list[int]]:
    """The rows in the order of their hosts, those hosts, and where each begins; at last, the end."""
    names, files = (_codes(data, column) for column in ("DeviceName", "XSourceFile"))
    of_file = np.where(names[0] < 0, files[0], -1)  # only what names no host belongs to its file
    keys = (names[0] + 1) * (len(files[1]) + 1) + of_file + 1
    order = np.argsort(keys, kind="stable")
    begins = np.flatnonzero(np.concatenate(([True], np.diff(keys[order]) != 0))) if len(order) else np.empty(0, np.intp)
    hosts = []
    for key in keys[order][begins].tolist():
        name, file = divmod(key, len(files[1]) + 1)
        hosts.append((names[1][name - 1], "") if name else (None, files[1][file - 1] if file else ""))
    return order, hosts, [*begins.tolist(), len(order)]


def _codes(data: pa.Table, column: str) -> tuple[Places, list[str]]:
    """A column's rows as numbers into its distinct values, -1 where there is none."""
    at = data.schema.get_field_index(column)
    if at < 0:
        return np.full(data.num_rows, -1, np.intp), []
    texts = data.column(at)
    encoded = compute.dictionary_encode(texts) if not pa.types.is_dictionary(texts.type) else texts
    whole: Any = encoded.unify_dictionaries().combine_chunks()
    return whole.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.intp), whole.dictionary.to_pylist()
