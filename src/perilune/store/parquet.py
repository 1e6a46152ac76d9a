"""Tables as Parquet: a folder per table and day, files of bounded size, each with the table's name in its metadata."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

import pyarrow as pa
import pyarrow.compute
import pyarrow.parquet as pq

from perilune.model.tables import LONG, TABLES, Table

pc: Any = pyarrow.compute  # its stubs know no array of which the type is found only when it runs

MARK = b"perilune.table"
UNDATED = "undated"
_GROUP_ROWS = 65_536
_GROUP_BYTES = 64 << 20
_HELD_BYTES = 128 << 20
_FILE_ROWS = 4_000_000
_OPEN = 32  # files written at the same time
_DAY = 86_400_000_000

Key = tuple[str, str]


class ParquetFolder:
    """Writes batches as they come, each row to its table's and its day's folder; little of them is held."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._held: dict[Key, list[pa.Table]] = defaultdict(list)
        self._held_rows: dict[Key, int] = defaultdict(int)
        self._held_bytes: dict[Key, int] = defaultdict(int)
        self._writers: dict[Key, pq.ParquetWriter] = {}
        self._file_rows: dict[Key, int] = defaultdict(int)
        self._files: dict[Key, int] = defaultdict(int)
        self.rows: dict[str, int] = defaultdict(int)

    def __enter__(self) -> ParquetFolder:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        for key in list(self._held):
            self._write(key)
        for key in list(self._writers):
            self._close(key)

    def add(self, table: Table) -> None:
        """Takes a batch."""
        self.rows[table.name] += len(table)
        for day, data in by_day(table):
            self._hold((table.name, day), data)
        while sum(self._held_bytes.values()) > _HELD_BYTES:
            self._write(max(self._held_bytes, key=self._held_bytes.__getitem__))

    def _hold(self, key: Key, data: pa.Table) -> None:
        self._held[key].append(data)
        self._held_rows[key] += data.num_rows
        self._held_bytes[key] += data.nbytes
        if self._held_rows[key] >= _GROUP_ROWS or self._held_bytes[key] >= _GROUP_BYTES:
            self._write(key)

    def _write(self, key: Key) -> None:
        """The held batches as one row group."""
        batches = self._held.pop(key, [])
        self._held_rows.pop(key, None)
        self._held_bytes.pop(key, None)
        if not batches:
            return
        data = _complete(key[0], pa.concat_tables(batches, promote_options="default"))
        if self._file_rows[key] + data.num_rows > _FILE_ROWS:
            self._close(key)
        self._writer(key).write_table(data)
        self._file_rows[key] += data.num_rows

    def _writer(self, key: Key) -> pq.ParquetWriter:
        """The file that is open for the key, as the last used of those that are."""
        writer = self._writers.pop(key, None)
        if writer is None:
            if len(self._writers) >= _OPEN:
                self._close(next(iter(self._writers)))
            writer = self._open(key)
        self._writers[key] = writer
        return writer

    def _open(self, key: Key) -> pq.ParquetWriter:
        self._files[key] += 1
        self._file_rows[key] = 0
        name, day = key
        path = self._folder / name / f"day={day}" / f"part-{self._files[key]:05}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        return pq.ParquetWriter(path, _schema(name), compression="zstd")

    def _close(self, key: Key) -> None:
        writer = self._writers.pop(key, None)
        if writer is not None:
            writer.close()


def by_day(table: Table) -> Iterator[tuple[str, pa.Table]]:
    """The rows of each day (UTC) that the batch has, and those without a time."""
    days: Any = pc.floor(pc.divide(pc.cast(table.column("Timestamp").cast(LONG), pa.float64()), float(_DAY)))
    for day in sorted(pc.unique(days).to_pylist(), key=lambda one: (one is None, one or 0)):
        mask = pc.is_null(days) if day is None else pc.fill_null(pc.equal(days, day), False)
        whole = pc.all(mask).as_py()
        yield _name_of(day), table.data if whole else table.data.filter(mask)


def _name_of(day: float | None) -> str:
    if day is None:
        return UNDATED
    return str(pa.scalar(int(day), pa.int32()).cast(pa.date32()).as_py())


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
