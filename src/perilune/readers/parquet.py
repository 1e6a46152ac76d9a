"""Tables that Perilune wrote as Parquet (`perilune convert`), read back as they are.

Told by the table's name in the file's own metadata. Columns that the table does not have are left out, and said.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import BinaryIO, cast

import pyarrow as pa
import pyarrow.parquet as pq

from perilune.model.sources import Problem
from perilune.model.tables import COLUMNS, TABLES
from perilune.ports import Count, Limits, Lost, Read, Rows
from perilune.readers.streams import spooled

MARK = b"perilune.table"


class ParquetReader:
    """Perilune's own tables."""

    name = "parquet"
    looks_for = "a table written by `perilune convert`"

    def recognises(self, head: bytes) -> bool:
        return head.startswith(b"PAR1")

    def read(self, stream: BinaryIO, limits: Limits) -> Iterator[Read]:
        stream, fault = (stream, None) if stream.seekable() else spooled(stream, limits)
        if fault:
            yield Lost(Problem(fault))
        try:
            file = pq.ParquetFile(pa.PythonFile(cast(io.IOBase, stream), mode="r"))
        except (pa.ArrowException, OSError, ValueError) as error:
            yield Lost(Problem(f"broken Parquet: {' '.join(str(error).split())[:150]}"))
            return
        name = (file.schema_arrow.metadata or {}).get(MARK, b"").decode("utf-8", "replace")
        if name not in TABLES:
            yield Lost(Problem("Parquet that Perilune did not write: its metadata names no table"))
            return
        yield from _rows(file, name, limits)


def _rows(file: pq.ParquetFile, name: str, limits: Limits) -> Iterator[Read]:
    known = [column for column in file.schema_arrow.names if column in TABLES[name].columns]
    for column in file.schema_arrow.names:
        if column not in TABLES[name].columns:
            yield Count(0, {f"column {column!r}, which {name} does not have": 1})
    found = 0
    try:
        for batch in file.iter_batches(limits.batch_rows, columns=known):
            data = pa.Table.from_batches([batch])
            found += data.num_rows
            yield Rows(name, _typed(data, found - data.num_rows).replace_schema_metadata({MARK: name}))
    except (pa.ArrowException, OSError, ValueError) as error:
        yield Lost(Problem(f"broken Parquet: {' '.join(str(error).split())[:150]}", 1, f"after row {found}"))
    yield Count(found)


def _typed(data: pa.Table, first: int) -> pa.Table:
    """The columns in their declared types; rows that lost their place in a file get their place in this one."""
    arrays = {column: data.column(column).cast(COLUMNS[column]) for column in data.column_names}
    if "XSourceRecord" not in arrays:
        numbers = pa.array(range(first + 1, first + 1 + data.num_rows), COLUMNS["XSourceRecord"])
        arrays["XSourceRecord"] = pa.chunked_array([numbers])
    return pa.table(arrays)
