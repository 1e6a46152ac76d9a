"""How a store is opened: SQLite or PostgreSQL by its URL, migrated, and written by one writer at a time."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import as_file, files

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from perilune.errors import StoreError
from perilune.store import schema


class Database:
    """Opened with a URL; migrated on opening. Safe for several processes on one file."""

    def __init__(self, url: str) -> None:
        self._url = url
        try:
            self.engine = _engine(url)
            with self.engine.begin() as connection:
                _lock(connection)
                _migrate(connection)
        except (SQLAlchemyError, OSError) as error:
            raise StoreError(
                f"the case store cannot be opened: {_first_line(error)}",
                where=_shown(url),
                hint="set PERILUNE_STORE to a file that you may write, or use --no-store",
            ) from error

    @property
    def shown(self) -> str:
        """Its address without a password."""
        return _shown(self._url)

    def close(self) -> None:
        self.engine.dispose()

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        try:
            with self.engine.connect() as connection:
                yield connection
        except SQLAlchemyError as error:
            raise StoreError(f"the case store cannot be read: {_first_line(error)}", where=_shown(self._url)) from error

    @contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """One transaction, with the write lock from its start."""
        try:
            with self.engine.begin() as connection:
                _lock(connection)
                yield connection
        except SQLAlchemyError as error:
            raise StoreError(
                f"the case store cannot be written: {_first_line(error)}",
                where=_shown(self._url),
                hint="is the disk full, or the file read-only?",
            ) from error


def _engine(url: str) -> sa.Engine:
    parsed = sa.make_url(url)
    if parsed.get_backend_name() != "sqlite":
        return sa.create_engine(url)
    if parsed.database and parsed.database != ":memory:":
        from pathlib import Path

        Path(parsed.database).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    engine = sa.create_engine(url, connect_args={"timeout": 30})
    sa.event.listen(engine, "connect", _prepare_sqlite)
    return engine


def _lock(connection: sa.Connection) -> None:
    """Takes SQLite's write lock at once, so that two writers wait for each other instead of failing half-way."""
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("BEGIN IMMEDIATE")


def _prepare_sqlite(connection: sqlite3.Connection, _: object) -> None:
    connection.isolation_level = None  # transactions begin where we say, not at the first write
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=NORMAL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.execute("PRAGMA cache_size=-16000")  # 16 MB of pages
    cursor.close()


def _migrate(connection: sa.Connection) -> None:
    """Brings the store to the newest migration; refuses one that a newer Perilune wrote."""
    found = _version(connection)
    if found == schema.HEAD:
        return
    if found is not None and found > schema.HEAD:
        raise StoreError(
            f"the case store is at version {found}, this Perilune knows up to {schema.HEAD}",
            hint="upgrade Perilune, or use another store",
        )
    from alembic import command  # imported late: needed once in a store's life
    from alembic.config import Config

    with as_file(files("perilune.store") / "migrations") as folder:
        config = Config()
        config.set_main_option("script_location", str(folder).replace("%", "%%"))
        config.set_main_option("path_separator", "os")
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def _version(connection: sa.Connection) -> str | None:
    if not sa.inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar()


def _shown(url: str) -> str:
    return sa.make_url(url).render_as_string(hide_password=True) if "://" in url else url


def _first_line(error: Exception) -> str:
    origin = getattr(error, "orig", None) or error
    return str(origin).splitlines()[0] if str(origin) else type(origin).__name__
