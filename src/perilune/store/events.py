"""The event lake: every row that live sources gave, once, as Parquet by table, day and hour, the newest in a log.

    with EventLake(folder) as lake:                    # one writer
        lake.commit(tables, positions)                 # rows and where their sources were read to, as one
        lake.flush(now)                                # the log becomes Parquet
    with reading(folder) as held:                      # any number of readers beside it
        held.files, held.recent()

Anything that reads Parquet reads the files; what is still in the log, and which file counts, is in the manifest.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pyarrow as pa

from perilune.errors import StoreError
from perilune.model.tables import Table
from perilune.store import lake_log, lake_parts
from perilune.store.lake_manifest import NAME, Batch, File, Manifest, Position

__all__ = ["EventLake", "File", "Held", "is_lake", "reading"]

SMALL_FILES = 8  # of one hour, from which they are put together
MERGED_BYTES = 256 << 20  # a file that is larger is left as it is
_READERS = "readers.lock"
_WRITER = "writer.lock"
_FLUSH_BYTES = 256 << 20  # of the log that are turned into Parquet at once


def is_lake(path: Path) -> bool:
    """Whether a folder is a lake."""
    try:
        return (path / NAME).is_file()
    except (OSError, ValueError):
        return False


class EventLake:
    """The writer's side: one at a time, which a lock holds."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = _locked(folder)
        try:
            self.manifest = Manifest(folder, write=True)
            self._log = lake_log.Log(folder, self.manifest.batches())
            self._remove_strays()
        except BaseException:
            os.close(self._lock)
            raise

    def __enter__(self) -> EventLake:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._log.close()
        self.manifest.close()
        os.close(self._lock)

    def commit(self, tables: Sequence[Table], positions: Mapping[tuple[str, str], Position]) -> int:
        """Takes rows and the positions of their sources after them, both or neither; gives the batch's number."""
        rows = sum(map(len, tables))
        if not rows:
            return self.manifest.add_batch("", 0, 0, 0, positions)
        segment, start, length = self._log.append(tables)
        seq = self.manifest.add_batch(segment, start, length, rows, positions)
        self._log.keep(length)
        return seq

    def batches(self, after: int, limit: int) -> Iterator[tuple[Batch, list[Table]]]:
        """Batches that are still in the log, read again."""
        yield from lake_log.read(self.folder, self.manifest.batches(after, limit))

    def newest(self, rows: int) -> list[Table]:
        """About so many of the newest rows that became Parquet."""
        return lake_parts.read_newest(self.folder, self.manifest.files(), rows)

    def flush(self, now: datetime) -> list[File]:
        """Turns what has been detected in into Parquet; what has not stays in the log. Returns the new files."""
        self._log.close_segment()
        made: list[File] = []
        for batches in _in_portions(self._whole_segments()):
            made += self._write(batches, now)
        return made

    def _whole_segments(self) -> list[Batch]:
        """The batches of segments of which all is detected."""
        detected, batches = self.manifest.detected, self.manifest.batches()
        open_ones = {batch.segment for batch in batches if batch.seq > detected}
        return [batch for batch in batches if batch.segment not in open_ones]

    def _write(self, batches: Sequence[Batch], now: datetime) -> list[File]:
        tables: dict[str, list[pa.Table]] = defaultdict(list)
        for _, held in lake_log.read(self.folder, batches):
            for table in held:
                tables[table.name].append(table.data)
        files: list[File] = []
        try:
            for name, parts in tables.items():
                files += lake_parts.write(self.folder, name, parts, now)
            self.manifest.replace(batches=[batch.seq for batch in batches], new=files)
        except StoreError:
            for file in files:
                (self.folder / file.path).unlink(missing_ok=True)
            raise
        left = {batch.segment for batch in self.manifest.batches()}
        self._log.remove({batch.segment for batch in batches} - left)
        return files

    def compact(self, stop: Callable[[], bool] = lambda: False) -> int:
        """Puts the small files of an hour together; returns how many went."""
        groups: dict[tuple[str, str, str], list[File]] = defaultdict(list)
        for file in self.manifest.files("bytes < ?", (MERGED_BYTES // SMALL_FILES,)):
            groups[file.table, file.day, file.hour].append(file)
        gone = 0
        for (name, day, hour), files in groups.items():
            if len(files) >= SMALL_FILES and not stop():
                data = lake_parts.read(self.folder, files)
                learned = all(file.learned for file in files)
                new = lake_parts.write_hour(self.folder, name, (day, hour), data, learned=learned)
                self.manifest.replace(old=files, new=[new])
                gone += len(files)
        return gone

    def retain(self, days: int) -> int:
        """Drops all but the newest `days` days that hold rows; returns how many rows went.

        Days are counted by the rows and not by the clock: one that steps ahead must not empty the lake.
        """
        known = sorted({file.day for file in self.manifest.files("day <> ?", (lake_parts.OTHER,))})
        if len(known) <= days:
            return 0
        old = self.manifest.files("day < ?", (known[-days],))
        self.manifest.replace(old=old)
        return sum(file.rows for file in old)

    def sweep(self) -> None:
        """Deletes files that were replaced or dropped, unless somebody is reading."""
        paths = self.manifest.dropped()
        if not paths or not (lock := _try_lock(self.folder / _READERS)):
            return
        try:
            for path in paths:
                (self.folder / path).unlink(missing_ok=True)
                _remove_empty((self.folder / path).parent, self.folder)
            self.manifest.forget_dropped(paths)
        finally:
            os.close(lock)

    def _remove_strays(self) -> None:
        """Files that a crash left and no manifest names."""
        named = {file.path for file in self.manifest.files()} | set(self.manifest.dropped())
        for path in self.folder.glob("table=*/day=*/hour=*/*part-*.parquet"):
            if path.relative_to(self.folder).as_posix() not in named:
                path.unlink()


# --- readers


@dataclass(frozen=True, slots=True)
class Held:
    """A lake as it was at one moment; while it is held no file of it is deleted."""

    folder: Path
    files: tuple[File, ...]
    tables: tuple[Table, ...]  # what is still in the log

    def paths(self, table: str | None = None) -> list[Path]:
        return [self.folder / file.path for file in self.files if table in (None, file.table)]


@contextmanager
def reading(folder: Path) -> Iterator[Held]:
    """The lake as it is now, beside whoever writes it."""
    with (folder / _READERS).open("ab") as lock:
        _share(lock.fileno())
        manifest = Manifest(folder, write=False)
        try:
            files, tables = _moment(manifest, folder)
        finally:
            manifest.close()
        yield Held(folder, tuple(files), tuple(tables))


def _moment(manifest: Manifest, folder: Path) -> tuple[list[File], list[Table]]:
    for _ in range(5):
        with manifest.snapshot():
            files, batches = manifest.files(), manifest.batches()
        try:
            return files, [table for _, tables in lake_log.read(folder, batches) for table in tables]
        except FileNotFoundError:  # turned into Parquet in between: ask again
            continue
    raise StoreError("the lake's log is gone", where=str(folder), hint="is it being written by a broken program?")


def _share(handle: int) -> None:
    try:
        import fcntl
    except ImportError:  # pragma: no cover  no such lock on Windows
        return
    fcntl.flock(handle, fcntl.LOCK_SH)


def _try_lock(path: Path) -> int:
    """The lock's handle, or 0 where another holds it."""
    handle = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        import fcntl

        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except ImportError:  # pragma: no cover  no such lock on Windows
        return handle
    except OSError:
        os.close(handle)
        return 0
    return handle


def _locked(folder: Path) -> int:
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle = _try_lock(folder / _WRITER)
    except OSError as error:
        raise StoreError(f"the lake cannot be written: {error.strerror}", where=str(folder)) from error
    if not handle:
        raise StoreError("another watcher writes this lake", where=str(folder), hint="give each watcher its own --lake")
    return handle


def _in_portions(batches: Iterable[Batch]) -> Iterator[list[Batch]]:
    held: list[Batch] = []
    size = 0
    for batch in batches:
        held.append(batch)
        size += batch.length
        if size >= _FLUSH_BYTES:
            yield held
            held, size = [], 0
    if held:
        yield held


def _remove_empty(folder: Path, top: Path) -> None:
    while folder != top and folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()
        folder = folder.parent
