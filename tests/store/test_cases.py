import sqlite3
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import pytest

from perilune.errors import StoreError
from perilune.model.case import ProcessNode, TimelineEntry
from perilune.model.rules import Evidence, Level
from perilune.model.tables import EventRef
from perilune.store import schema
from perilune.store.cases import CaseStore, Outcome
from tests.build import at, case, finding

REF = EventRef("DeviceProcessEvents", "a.log", 3)
RICH = case(
    finding(evidence=(Evidence("Image", "FolderPath", "/usr/bin/lua", "endswith /lua"),)),
    tree=(ProcessNode("k", None, 0, 7, "lua", "/usr/bin/lua", "lua x", "ana", at(0), REF, ("f1",)),),
    timeline=(TimelineEntry(at(0), "DeviceProcessEvents", "ProcessCreated", "lua starts", REF, ("f1",)),),
    repeats={"rule-f1": 12},
)


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'cases.db'}"


@pytest.fixture
def store(url: str) -> CaseStore:
    return CaseStore(url)


def test_a_case_comes_back_as_it_was_saved(store: CaseStore) -> None:
    saved, outcome = store.save(RICH, at=at(100))
    assert outcome is Outcome.NEW
    loaded = store.load(saved.id)
    assert replace(loaded, id="", entries=()) == RICH
    assert [(e.kind, e.who, e.at) for e in loaded.entries] == [("hunt", "perilune", at(100))]


def test_the_same_hunt_twice_changes_nothing(store: CaseStore) -> None:
    first, _ = store.save(RICH, at=at(100))
    again, outcome = store.save(RICH, at=at(200))
    assert (outcome, again.id, store.count()) == (Outcome.KNOWN, first.id, 1)
    assert len(store.load(first.id).entries) == 1


def test_more_findings_grow_the_case_that_holds_some_of_them(store: CaseStore) -> None:
    first, _ = store.save(RICH, at=at(100))
    larger = case(finding(), finding("f2", seconds=500), score=78, last=at(500), key="other")
    grown, outcome = store.save(larger, at=at(200))
    assert (outcome, grown.id, grown.score) == (Outcome.GROWN, first.id, 78)
    assert {f.id for f in grown.findings} == {"f1", "f2"}
    assert grown.tree == RICH.tree
    assert [e.body.get("findings") for e in grown.entries] == [1, 1]
    assert store.queue()[0].findings == 2


def test_entries_are_append_only_in_the_database_itself(store: CaseStore, url: str) -> None:
    store.save(RICH, at=at(100))
    with sqlite3.connect(url.removeprefix("sqlite:///")) as raw:
        for statement in ("UPDATE entries SET who = 'x'", "DELETE FROM entries"):
            with pytest.raises(sqlite3.DatabaseError, match="append-only"):
                raw.execute(statement)
    raw.close()


def test_what_people_do_is_recorded(store: CaseStore) -> None:
    saved, _ = store.save(RICH, at=at(100))
    store.append(saved.id, "note", {"text": "called the owner"}, at=at(300), who="mira")
    assert [(e.number, e.who, e.kind) for e in store.load(saved.id).entries][-1] == (2, "mira", "note")


def test_the_queue_is_by_score_and_can_be_cut(store: CaseStore) -> None:
    store.save(case(finding("a"), score=30, level=Level.LOW, key="a"), at=at(0))
    store.save(case(finding("b"), score=90, level=Level.CRITICAL, key="b"), at=at(0))
    assert [s.score for s in store.queue()] == [90, 30]
    assert [s.score for s in store.queue(least=Level.HIGH)] == [90]
    assert len(store.queue(limit=1)) == 1


@pytest.mark.parametrize("wrong", ["C-99", "99", "C-x", "", "C-²", "C-" + "9" * 40])
def test_a_case_that_is_not_there_is_said(store: CaseStore, wrong: str) -> None:
    with pytest.raises(StoreError, match="C-"):
        store.load(wrong)


def test_a_store_of_a_newer_version_is_refused(store: CaseStore, url: str) -> None:
    store.close()
    with sqlite3.connect(url.removeprefix("sqlite:///")) as raw:
        raw.execute("UPDATE alembic_version SET version_num = '9999'")
    raw.close()
    with pytest.raises(StoreError, match="upgrade Perilune"):
        CaseStore(url)


def test_a_file_that_is_no_store_is_said(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("this is not a database, just some text that is long enough\n" * 40)
    with pytest.raises(StoreError, match="cannot be opened"):
        CaseStore(f"sqlite:///{tmp_path / 'notes.txt'}")


def test_the_newest_migration_is_the_schemas_head() -> None:
    versions = files("perilune.store") / "migrations" / "versions"
    names = [path.name for path in versions.iterdir() if path.name.endswith(".py")]
    assert max(names).startswith(schema.HEAD)
