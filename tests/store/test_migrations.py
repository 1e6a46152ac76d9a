"""A store that an older Perilune wrote is brought up to date with what is in it."""

from __future__ import annotations

from importlib.resources import as_file, files
from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config

from perilune.model.roles import Role
from perilune.store import schema
from perilune.store.database import Database
from perilune.store.queue import Wanted, find_cases
from perilune.store.users import UserStore


def _older(path: Path, revision: str) -> sa.Engine:
    engine = sa.create_engine(f"sqlite:///{path}")
    with as_file(files("perilune.store") / "migrations") as folder, engine.begin() as connection:
        config = Config()
        config.set_main_option("script_location", str(folder))
        config.set_main_option("path_separator", "os")
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
    return engine


def test_cases_from_before_there_were_owners_have_none(tmp_path: Path) -> None:
    engine = _older(tmp_path / "cases.db", "0002")
    with engine.begin() as connection:
        connection.execute(
            sa.text(
                "INSERT INTO cases (key, status, level, score, title, host, users, techniques, findings, updated) "
                "VALUES ('k', 'new', 3, 70, 'Old', 'web-1', 'ana', 'T1059.011', 1, '2026-11-01T00:00:00+00:00')"
            )
        )
    engine.dispose()
    database = Database(f"sqlite:///{tmp_path / 'cases.db'}")
    (one,) = find_cases(database, Wanted(), limit=5).cases
    assert (one.title, one.owner) == ("Old", "")
    made = {column["name"] for column in sa.inspect(database.engine).get_columns("cases")}
    assert made == set(schema.cases.columns.keys())


def test_cases_from_before_there_was_a_search_are_found_by_it(tmp_path: Path) -> None:
    """The store of the last release: what is in it stays, and its lines can be searched in every script."""
    engine = _older(tmp_path / "cases.db", "0003")
    with engine.begin() as connection:
        row = "('k', 'open', 3, 70, :title, 'WEB-1', 'ana', 'T1059.011', 1, '2026-11-01T00:00:00+00:00', 'ana')"
        columns = "key, status, level, score, title, host, users, techniques, findings, updated, owner"
        connection.execute(sa.text(f"INSERT INTO cases ({columns}) VALUES {row}"), {"title": "ÄRGER mit Lua"})
        user = "('ana', 'analyst', 'hash', false, false, 0, '2026-11-01T00:00:00+00:00')"
        columns = "name, role, password, must_change, disabled, tries, created"
        connection.execute(sa.text(f"INSERT INTO users ({columns}) VALUES {user}"))
    engine.dispose()
    database = Database(f"sqlite:///{tmp_path / 'cases.db'}")
    for words in ("ärger", "web-1", "C-1", "ANA lua"):
        (one,) = find_cases(database, Wanted(words=words), limit=5).cases
        assert (one.title, one.owner) == ("ÄRGER mit Lua", "ana")
    found = UserStore(database).find("ana")
    assert found is not None
    assert found.role is Role.ANALYST
    for table in schema.metadata.tables.values():
        made = {column["name"] for column in sa.inspect(database.engine).get_columns(table.name)}
        assert made == set(table.columns.keys())
        indexes = {str(index["name"]) for index in sa.inspect(database.engine).get_indexes(table.name)}
        assert {str(index.name) for index in table.indexes} <= indexes
