"""The chain: every kind of tampering is found and named."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

import pytest
import sqlalchemy as sa

from perilune.store import audit
from perilune.store.database import Database
from tests.build import at


@pytest.fixture
def database(tmp_path: Path) -> Database:
    found = Database(f"sqlite:///{tmp_path / 'cases.db'}")
    for number in range(5):
        write(found, number)
    return found


def write(database: Database, number: int, who: str = "ana") -> None:
    with database.writing() as connection:
        audit.append(connection, "note", {"n": number}, at=at(number), who=who)


def tamper(database: Database, statement: str) -> None:
    """What somebody with the file can do: the triggers go first."""
    with database.writing() as connection:
        for verb in ("update", "delete"):
            connection.exec_driver_sql(f"DROP TRIGGER IF EXISTS audit_no_{verb}")
        connection.exec_driver_sql(statement)


def test_a_log_that_nobody_touched_is_whole(database: Database) -> None:
    count, head, breaks = audit.verify(database)
    assert (count, breaks) == (5, [])
    assert head == list(audit.lines(database))[-1].hash


@pytest.mark.parametrize("statement", ["UPDATE audit SET who = 'bo'", "DELETE FROM audit"])
def test_the_database_itself_refuses_changes(database: Database, statement: str) -> None:
    from perilune.errors import StoreError

    with pytest.raises(StoreError, match="append-only"), database.writing() as connection:
        connection.exec_driver_sql(statement)


@pytest.mark.parametrize(
    ("statement", "says", "line"),
    [
        ("UPDATE audit SET who = 'bo' WHERE number = 3", "was changed", "line 3"),
        ("UPDATE audit SET body = '{\"n\":9}' WHERE number = 2", "was changed", "line 2"),
        ("UPDATE audit SET at = '2020-01-01T00:00:00+00:00' WHERE number = 1", "was changed", "line 1"),
        ("DELETE FROM audit WHERE number = 3", "lines are missing", "line 4"),
        ("UPDATE audit SET number = 9 WHERE number = 5", "lines are missing", "line 9"),
        ("UPDATE audit SET previous = hash WHERE number = 4", "not bound", "line 4"),
    ],
)
def test_tampering_is_found_and_named(database: Database, statement: str, says: str, line: str) -> None:
    tamper(database, statement)
    breaks = audit.verify(database)[2]
    assert any(says in one.what and one.where.startswith(line) for one in breaks), breaks


def test_a_rewritten_end_is_found_with_a_head_that_was_kept_elsewhere(database: Database) -> None:
    head = audit.verify(database)[1]
    tamper(database, "DELETE FROM audit WHERE number = 5")
    assert audit.verify(database)[2] == []
    assert audit.verify(database, head)[2][0].where == "the end"


def _write_many(url: str, who: str) -> None:
    database = Database(url)
    for number in range(20):
        write(database, number, who)


def test_several_writers_make_one_chain(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'many.db'}"
    Database(url).close()
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_write_many, args=(url, f"worker {n}")) for n in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    database = Database(url)
    count, _, breaks = audit.verify(database)
    assert (count, breaks) == (60, [])
    assert {line.who for line in audit.lines(database)} == {"worker 0", "worker 1", "worker 2"}


def test_the_tables_are_those_of_the_migrations(database: Database) -> None:
    from perilune.store import schema

    inspector = sa.inspect(database.engine)
    for table in schema.metadata.sorted_tables:
        assert {c["name"] for c in inspector.get_columns(table.name)} == {c.name for c in table.columns}
