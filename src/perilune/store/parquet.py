"""Tables as Parquet: a folder per table, files of bounded size, the table's name in each file's own metadata."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from types import TracebackType

import pyarrow as pa
import pyarrow.parquet as pq

from perilune.model.tables import TABLES, Table

MARK = b"perilune.table"
_GROUP_ROWS = 65_536
_GROUP_BYTES = 64 << 20
_FILE_ROWS = 4_000_000


class ParquetFolder:
    """Writes batches as they come; nothing but one row group of each table is held."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._held: dict[str, list[pa.Table]] = defaultdict(list)
        self._held_rows: dict[str, int] = defaultdict(int)
        self._writers: dict[str, pq.ParquetWriter] = {}
        self._file_rows: dict[str, int] = defaultdict(int)
        self._files: dict[str, int] = defaultdict(int)
        self.rows: dict[str, int] = defaultdict(int)

    def __enter__(self) -> ParquetFolder:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        for name in list(self._held):
            self._write(name)
        for writer in self._writers.values():
            writer.close()
        self._writers.clear()

    def add(self, table: Table) -> None:
        """Takes a batch."""
        name = table.name
        self._held[name].append(table.data)
        self._held_rows[name] += len(table)
        self.rows[name] += len(table)
        held = sum(one.nbytes for one in self._held[name])
        if self._held_rows[name] >= _GROUP_ROWS or held >= _GROUP_BYTES:
            self._write(name)

    def _write(self, name: str) -> None:
        """The held batches as one row group."""
        batches = self._held.pop(name, [])
        self._held_rows[name] = 0
        if not batches:
            return
        data = _complete(name, pa.concat_tables(batches, promote_options="default"))
        if self._file_rows[name] + data.num_rows > _FILE_ROWS and name in self._writers:
            self._writers.pop(name).close()
            self._file_rows[name] = 0
        if name not in self._writers:
            self._writers[name] = self._open(name)
        self._writers[name].write_table(data)
        self._file_rows[name] += data.num_rows

    def _open(self, name: str) -> pq.ParquetWriter:
        self._files[name] += 1
        path = self._folder / name / f"part-{self._files[name]:05}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        return pq.ParquetWriter(path, _schema(name), compression="zstd")


def _schema(name: str) -> pa.Schema:
    return TABLES[name].arrow.with_metadata({MARK: name.encode()})


def _complete(name: str, data: pa.Table) -> pa.Table:
    """Every column of the table in its order, null where the batches lack it."""
    schema = _schema(name)
    arrays = [
        data.column(field.name).cast(field.type)
        if field.name in data.column_names
        else pa.nulls(data.num_rows, field.type)
        for field in schema
    ]
    return pa.Table.from_arrays(arrays, schema=schema)
