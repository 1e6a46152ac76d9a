"""What a lake holds, in one small SQLite file: batches, files, where each source was read to, and what became of it.

A batch of rows and the positions after it are one transaction, so that a batch that is read again after a crash is
not there twice. Whatever lies in the folder and is not named here does not exist.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec

from perilune.errors import StoreError

NAME = "lake.db"
VERSION = "1"
_SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS batches (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, segment TEXT NOT NULL, start INTEGER NOT NULL, length INTEGER NOT NULL,
    rows INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS files (
    path TEXT PRIMARY KEY, tbl TEXT NOT NULL, day TEXT NOT NULL, hour TEXT NOT NULL, rows INTEGER NOT NULL,
    bytes INTEGER NOT NULL, learned INTEGER NOT NULL DEFAULT 0);
CREATE TABLE IF NOT EXISTS dropped (path TEXT PRIMARY KEY);
CREATE TABLE IF NOT EXISTS positions (
    source TEXT NOT NULL, stream TEXT NOT NULL, state BLOB NOT NULL, PRIMARY KEY (source, stream));
CREATE TABLE IF NOT EXISTS notes (kind TEXT NOT NULL, name TEXT NOT NULL, body BLOB NOT NULL, PRIMARY KEY (kind, name));
"""

Position = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows that were taken in together: `length` bytes of a segment of the log from `start`."""

    seq: int
    segment: str
    start: int
    length: int
    rows: int


@dataclass(frozen=True, slots=True)
class File:
    """One Parquet file; its path is relative to the lake."""

    path: str
    table: str
    day: str
    hour: str
    rows: int
    bytes: int
    learned: bool = False


class Manifest:
    """The file, opened for a writer or, where `write` is false, for readers beside one."""

    def __init__(self, folder: Path, *, write: bool) -> None:
        self._path = folder / NAME
        try:
            if write:
                folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            target = str(self._path) if write else f"file:{_quoted(self._path)}?mode=ro"
            self._connection = sqlite3.connect(target, timeout=30, isolation_level=None, uri=not write)
            if write:
                self._connection.execute("PRAGMA journal_mode=WAL")
                self._connection.execute("PRAGMA synchronous=FULL")  # a batch that was acknowledged outlives the power
                self._connection.executescript(_SCHEMA)
                self._connection.execute("INSERT OR IGNORE INTO meta VALUES ('version', ?)", (VERSION,))
            found = self._meta("version")
        except (sqlite3.Error, OSError) as error:
            raise StoreError(f"the lake cannot be opened: {error}", where=str(self._path)) from error
        if found != VERSION:
            raise StoreError(f"the lake is of version {found}, and this program knows {VERSION}", where=str(self._path))

    def close(self) -> None:
        self._connection.close()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All or nothing; a StoreError where it is nothing."""
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise
        except sqlite3.Error as error:
            raise StoreError(f"the lake cannot be written: {error}", where=str(self._path)) from error

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """What is asked inside is of one moment."""
        self._connection.execute("BEGIN")
        try:
            yield
        finally:
            self._connection.execute("ROLLBACK")

    def _meta(self, name: str) -> str | None:
        row = self._connection.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
        return None if row is None else str(row[0])

    # --- batches

    def batches(self, after: int = 0, limit: int = -1) -> list[Batch]:
        """The batches that are not yet in files, oldest first."""
        query = "SELECT seq, segment, start, length, rows FROM batches WHERE seq > ? ORDER BY seq LIMIT ?"
        return [Batch(*row) for row in self._connection.execute(query, (after, limit))]

    def add_batch(
        self, segment: str, start: int, length: int, rows: int, positions: Mapping[tuple[str, str], Position]
    ) -> int:
        """Notes a batch and where its sources were read to, as one."""
        with self.transaction() as connection:
            insert = "INSERT INTO batches (segment, start, length, rows) VALUES (?, ?, ?, ?)"
            seq = connection.execute(insert, (segment, start, length, rows)).lastrowid if rows else None
            put_positions(connection, positions)
        return int(seq or 0)

    @property
    def detected(self) -> int:
        """The last batch whose findings are in the case store."""
        return int(self._meta("detected") or 0)

    def set_detected(self, seq: int) -> None:
        with self.transaction() as connection:
            connection.execute("INSERT OR REPLACE INTO meta VALUES ('detected', ?)", (str(seq),))

    # --- files

    def files(self, where: str = "1", values: Iterable[object] = ()) -> list[File]:
        query = f"SELECT path, tbl, day, hour, rows, bytes, learned FROM files WHERE {where} ORDER BY path"  # noqa: S608
        found = self._connection.execute(query, tuple(values))
        return [
            File(path, tbl, day, hour, rows, size, bool(known)) for path, tbl, day, hour, rows, size, known in found
        ]

    def replace(self, *, batches: Iterable[int] = (), old: Iterable[File] = (), new: Iterable[File] = ()) -> None:
        """Puts new files in the place of batches or of older files; what is dropped is deleted later."""
        with self.transaction() as connection:
            connection.executemany("DELETE FROM batches WHERE seq = ?", [(seq,) for seq in batches])
            gone = [(file.path,) for file in old]
            connection.executemany("DELETE FROM files WHERE path = ?", gone)
            connection.executemany("INSERT OR REPLACE INTO dropped VALUES (?)", gone)
            rows = [(f.path, f.table, f.day, f.hour, f.rows, f.bytes, int(f.learned)) for f in new]
            connection.executemany("INSERT INTO files VALUES (?, ?, ?, ?, ?, ?, ?)", rows)

    def learned(self, files: Iterable[File]) -> None:
        with self.transaction() as connection:
            connection.executemany("UPDATE files SET learned = 1 WHERE path = ?", [(f.path,) for f in files])

    def dropped(self) -> list[str]:
        return [str(row[0]) for row in self._connection.execute("SELECT path FROM dropped")]

    def forget_dropped(self, paths: Iterable[str]) -> None:
        with self.transaction() as connection:
            connection.executemany("DELETE FROM dropped WHERE path = ?", [(path,) for path in paths])

    # --- sources, and what is told of them

    def positions(self, source: str) -> dict[str, Position]:
        """By stream, where reading goes on."""
        rows = self._connection.execute("SELECT stream, state FROM positions WHERE source = ?", (source,))
        return {str(stream): msgspec.json.decode(state) for stream, state in rows}

    def note(self, kind: str, bodies: Mapping[str, object]) -> None:
        """Keeps what is told of each of these names."""
        with self.transaction() as connection:
            rows = [(kind, name, msgspec.json.encode(body)) for name, body in bodies.items()]
            connection.executemany("INSERT OR REPLACE INTO notes VALUES (?, ?, ?)", rows)

    def notes(self, kind: str) -> dict[str, dict[str, object]]:
        rows = self._connection.execute("SELECT name, body FROM notes WHERE kind = ? ORDER BY name", (kind,))
        return {str(name): msgspec.json.decode(body) for name, body in rows}

    def forget_notes(self, kind: str, names: Iterable[str]) -> None:
        with self.transaction() as connection:
            connection.executemany("DELETE FROM notes WHERE kind = ? AND name = ?", [(kind, name) for name in names])


def put_positions(connection: sqlite3.Connection, positions: Mapping[tuple[str, str], Position]) -> None:
    rows = [(source, stream, msgspec.json.encode(state)) for (source, stream), state in positions.items()]
    connection.executemany("INSERT OR REPLACE INTO positions VALUES (?, ?, ?)", rows)


def _quoted(path: Path) -> str:
    from urllib.parse import quote

    return quote(str(path))
