"""A lake's Parquet files: each table's rows by the day and hour of their time, written beside and then put in place."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from perilune.errors import StoreError
from perilune.model.tables import LONG, TABLES, Table
from perilune.store.lake_manifest import File
from perilune.store.parquet import MARK
from perilune.store.pieces import complete

compute: Any = pc  # whose stubs ask for arrays where Arrow takes plain values

OTHER = "other"  # rows without a time, or with one that cannot be: they may not make a folder each
GROUP_ROWS = 65_536
_HOUR = 3_600_000_000
_EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
_AHEAD = timedelta(days=2)  # a clock that is wrong by more than this
_MOST_HOURS = 24 * 400  # before the newest hour; a hostile log may not make a folder for each hour since 2000

Hour = tuple[str, str]


def write(folder: Path, name: str, batches: Sequence[pa.Table], now: datetime) -> list[File]:
    """Writes one table's rows, a file for each of their hours; on disk for good when it returns."""
    made: list[File] = []
    try:
        for hour, part in by_hour(complete(name, batches), now):
            made.append(write_hour(folder, name, hour, part))
    except StoreError:
        for file in made:
            (folder / file.path).unlink(missing_ok=True)
        raise
    return made


def write_hour(folder: Path, name: str, hour: Hour, data: pa.Table, *, learned: bool = False) -> File:
    """One file of rows of one hour, those of a host together. A StoreError where the disk is full."""
    relative = f"table={name}/day={hour[0]}/hour={hour[1]}/part-{secrets.token_hex(8)}.parquet"
    path = folder / relative
    beside = path.with_name(f".{path.name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        ordered = data.sort_by([("DeviceName", "ascending"), ("Timestamp", "ascending")])
        schema = TABLES[name].arrow.with_metadata({MARK: name.encode()})
        with pq.ParquetWriter(beside, schema, compression="zstd") as writer:
            writer.write_table(ordered.replace_schema_metadata(schema.metadata), row_group_size=GROUP_ROWS)
        _sync(beside)
        beside.rename(path)
        for above in path.relative_to(folder).parents:
            _sync(folder / above)
        return File(relative, name, hour[0], hour[1], data.num_rows, path.stat().st_size, learned)
    except (OSError, pa.ArrowException) as error:
        beside.unlink(missing_ok=True)
        raise StoreError(f"the lake cannot be written: {error}", where=str(path)) from error


def by_hour(data: pa.Table, now: datetime) -> Iterator[tuple[Hour, pa.Table]]:
    """The rows of each hour of their own time, and those that have none that can be."""
    times = data.column("Timestamp").cast(LONG)
    hours = np.floor_divide(compute.fill_null(times, -1).to_numpy(), _HOUR)
    newest = _hour_of(now + _AHEAD)
    usable = (hours >= max(_hour_of(_EARLIEST), newest - _MOST_HOURS)) & (hours <= newest)
    hours = np.where(usable, hours, -1)
    for number in np.unique(hours).tolist():
        places = np.flatnonzero(hours == number)
        yield _name_of(int(number)), data if len(places) == data.num_rows else data.take(places)


def read(folder: Path, files: Sequence[File]) -> pa.Table:
    """The rows of files of one table."""
    try:
        return pa.concat_tables([pq.ParquetFile(folder / file.path).read() for file in files])
    except (OSError, pa.ArrowException) as error:
        raise StoreError(f"a file of the lake cannot be read: {error}", where=str(folder)) from error


def read_newest(folder: Path, files: Sequence[File], rows: int) -> list[Table]:
    """About so many rows with the newest times, of the files of the newest hours, in the order of their times."""
    chosen: list[File] = []
    ordered = sorted((f for f in files if f.day != OTHER), key=lambda f: (f.day, f.hour), reverse=True)
    for file in ordered:
        if sum(one.rows for one in chosen) >= rows and (file.day, file.hour) != (chosen[-1].day, chosen[-1].hour):
            break
        chosen.append(file)
    if not chosen:
        return []
    try:
        times = pa.concat_tables([pq.ParquetFile(folder / file.path).read(["Timestamp"]) for file in chosen])
        newest = times.sort_by([("Timestamp", "descending")]).slice(0, rows)
        least = newest.column("Timestamp")[-1]
        found = []
        for name in sorted({file.table for file in chosen}):
            paths = [str(folder / file.path) for file in chosen if file.table == name]
            data = ds.dataset(paths, schema=TABLES[name].arrow).to_table(filter=ds.field("Timestamp") >= least)
            if data.num_rows:
                found.append(Table(name, _filled(data.sort_by("Timestamp"))))
        return found
    except (OSError, pa.ArrowException) as error:
        raise StoreError(f"a file of the lake cannot be read: {error}", where=str(folder)) from error


def _filled(data: pa.Table) -> pa.Table:
    """Without the columns that hold nothing."""
    return data.select(
        [name for at, name in enumerate(data.schema.names) if data.column(at).null_count < data.num_rows]
    )


def _hour_of(when: datetime) -> int:
    return int(when.timestamp()) // 3600


def _name_of(number: int) -> Hour:
    if number < 0:
        return OTHER, OTHER
    when = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(hours=number)
    return f"{when:%Y-%m-%d}", f"{when:%H}"


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
