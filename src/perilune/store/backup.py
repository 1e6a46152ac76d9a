"""A copy of the store, taken while others write to it, and looked at before it is called good."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from perilune.errors import StoreError, UsageError
from perilune.store import audit, schema
from perilune.store.database import Database

PAGES = 1000  # copied at once; writers come between


@dataclass(frozen=True, slots=True)
class Copied:
    """What a good copy holds. `head`: the hash of the audit log's last line, to be kept elsewhere."""

    bytes: int
    cases: int
    lines: int
    head: str


def copy(url: str, target: Path) -> Copied:
    """Copies a SQLite store by its own means: the copy is one moment of it. No file that is there is written over."""
    source = sa.make_url(url)
    if source.get_backend_name() != "sqlite" or not source.database:
        raise UsageError("only a SQLite store is copied here", hint="use pg_dump for PostgreSQL")
    if target.exists():
        raise UsageError("there is a file already", where=str(target))
    if not Path(source.database).is_file():
        raise UsageError("there is no store", where=source.database)
    part = target.with_name(f".{target.name}.part")
    try:
        part.touch(0o600)
        with closing(sqlite3.connect(source.database, timeout=30)) as one, closing(sqlite3.connect(part)) as other:
            one.backup(other, pages=PAGES, sleep=0.01)
            other.execute("PRAGMA journal_mode=DELETE")  # one file, nothing beside it
        found = check(part)
        part.rename(target)
    except (OSError, sqlite3.Error) as error:
        raise StoreError(f"the copy cannot be made: {error}", where=str(target)) from error
    finally:
        part.unlink(missing_ok=True)
    return found


def check(path: Path) -> Copied:
    """What a copy holds, if it is whole: the database itself, and the audit log's chain."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as one:
        found = one.execute("PRAGMA integrity_check").fetchone()[0]
    if found != "ok":
        raise StoreError(f"the copy is damaged: {found}", where=str(path))
    database = Database(f"sqlite:///{path}")
    try:
        lines, head, breaks = audit.verify(database)
        with database.reading() as connection:
            cases = connection.execute(sa.select(sa.func.count()).select_from(schema.cases)).scalar_one()
    finally:
        database.close()
    if breaks:
        raise StoreError(f"the audit log in it was changed: {breaks[0].where} {breaks[0].what}", where=str(path))
    return Copied(path.stat().st_size, int(cases), lines, head)
