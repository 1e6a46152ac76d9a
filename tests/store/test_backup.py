"""A copy taken while others write is one moment of the store, works, and has a whole audit log."""

from __future__ import annotations

import sqlite3
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from perilune.errors import StoreError, UsageError
from perilune.model.case import Status
from perilune.store import audit, backup
from perilune.store.cases import CaseStore
from perilune.store.database import Database
from tests.build import at, case, finding


def test_a_copy_taken_while_it_is_written_works_as_the_store_does(tmp_path: Path) -> None:
    url, stop = f"sqlite:///{tmp_path / 'cases.db'}", threading.Event()
    store = CaseStore(url)

    def write() -> None:
        own, number = CaseStore(url), 0
        while not stop.is_set():
            number += 1
            own.save(case(finding(f"f{number}"), key=f"k{number}"), at=at(number))
        own.close()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        while store.count() < 20:
            pass
        found = backup.copy(url, tmp_path / "copy.db")
    finally:
        stop.set()
        writer.join()
    assert 20 <= found.cases <= store.count()
    restored = CaseStore(f"sqlite:///{tmp_path / 'copy.db'}")
    assert restored.count() == found.cases
    restored.set_status("C-1", Status.CLOSED, {}, at=at(1), who="ana")
    lines, _, breaks = audit.verify(Database(f"sqlite:///{tmp_path / 'copy.db'}"), found.head)
    assert (lines, breaks) == (found.lines + 1, [])
    assert not list(tmp_path.glob(".*.part"))


def test_a_copy_that_was_changed_is_no_good_one(tmp_path: Path) -> None:
    store = CaseStore(f"sqlite:///{tmp_path / 'cases.db'}")
    store.save(replace(case(finding("f")), key="k"), at=at(0))
    target = tmp_path / "copy.db"
    backup.copy(f"sqlite:///{tmp_path / 'cases.db'}", target)
    with sqlite3.connect(target) as connection:
        for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            connection.execute(f"DROP TRIGGER {name}")
        connection.execute("UPDATE audit SET who = 'mallory'")
    connection.close()
    with pytest.raises(StoreError, match="was changed"):
        backup.check(target)


def test_what_cannot_be_copied_is_said(tmp_path: Path) -> None:
    (tmp_path / "there").write_text("x")
    CaseStore(f"sqlite:///{tmp_path / 'cases.db'}").close()
    for url, target, words in (
        (f"sqlite:///{tmp_path / 'cases.db'}", "there", "there is a file already"),
        (f"sqlite:///{tmp_path / 'none.db'}", "new", "there is no store"),
        ("postgresql://nowhere/x", "new", "only a SQLite store"),
    ):
        with pytest.raises(UsageError, match=words):
            backup.copy(url, tmp_path / target)
    assert (tmp_path / "there").read_text() == "x"
