import sqlite3
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import pytest
import sqlalchemy as sa

from perilune.errors import StoreError
from perilune.model.answers import Answer, Confidence, Part, Said
from perilune.model.case import ProcessNode, Status, TimelineEntry
from perilune.model.rules import Evidence, Level
from perilune.model.tables import EventRef
from perilune.store import audit, schema
from perilune.store.cases import CaseStore, Outcome
from perilune.store.changes import Change, new_owner, new_status
from perilune.store.database import Database
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


ANSWER = Answer(
    "t1059.011/persistence", "T1059.011", Part.T2_ACTION, "Planted?", Said.UNKNOWN, "needs", Confidence.LOW,
    needs=("file events",),
)  # fmt: skip


def test_a_hunt_that_knows_more_of_the_same_findings_is_kept(store: CaseStore) -> None:
    first, _ = store.save(case(answers=(ANSWER,)), at=at(100))
    known = replace(ANSWER, said=Said.NO, needs=(), sentence="none")
    again, outcome = store.save(case(answers=(known,)), at=at(200))
    assert (outcome, again.id, again.answers) == (Outcome.LEARNED, first.id, (known,))
    third, outcome = store.save(case(answers=(ANSWER,)), at=at(300))
    assert (outcome, third.answers) == (Outcome.KNOWN, (known,))  # knowing less changes nothing


def test_merged_cases_stay_merged_over_hunts(store: CaseStore) -> None:
    a, _ = store.save(case(finding("a")), at=at(1))
    b, _ = store.save(case(finding("b"), key="other"), at=at(2))
    store.join(replace(a, findings=(*a.findings, *b.findings)), [b.id], at=at(3), who="ana", note="one story")
    joined = store.load(a.id)
    assert {f.id for f in joined.findings} == {"a", "b"}
    assert joined.entries[-1].body == {"from": [b.id], "note": "one story"}
    for again in (case(finding("b"), key="other"), case(finding("a"))):
        kept, outcome = store.save(again, at=at(4))
        assert (kept.id, outcome) == (a.id, Outcome.KNOWN)
    old = store.load(b.id)
    assert (old.status, old.entries[-1].kind) == (Status.CLOSED, "merged")
    assert store.queue()[-1].title == f"Merged into {a.id}"


def test_split_cases_stay_apart_over_hunts(store: CaseStore) -> None:
    whole, _ = store.save(case(finding("a"), finding("b")), at=at(1))
    rest = replace(whole, findings=(finding("a"),))
    taken = replace(whole, id="", findings=(finding("b"),), key="taken")
    rest, taken = store.part(rest, taken, at=at(2), who="ana")
    assert [f.id for f in rest.findings] == ["a"]
    assert [f.id for f in taken.findings] == ["b"]
    again, outcome = store.save(case(finding("a"), finding("b")), at=at(3))
    assert outcome is Outcome.KNOWN
    assert {f.id for f in again.findings} in ({"a"}, {"b"})
    grown, _ = store.save(case(finding("a"), finding("b"), finding("c")), at=at(4))
    assert {f.id for f in grown.findings} in ({"a", "c"}, {"b", "c"})


def test_the_last_word_on_a_case_counts(store: CaseStore) -> None:
    a, _ = store.save(case(finding("a")), at=at(1))
    b, _ = store.save(case(finding("b"), key="other"), at=at(2))
    for one, true in ((a, True), (a, False), (b, True)):
        body = {"true": true, "rules": ["r1"], "note": ""}
        store.append(one.id, "feedback", body, at=at(3), who="ana")
    assert store.feedback() == {"r1": (1, 1)}
    assert [entry.kind for entry in store.load(a.id).entries] == ["hunt", "feedback", "feedback"]


def test_a_change_its_entry_and_its_audit_line_are_written_together_or_not_at_all(
    store: CaseStore, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved, _ = store.save(RICH, at=at(100))
    database = Database(url)
    before = (store.summary(saved.id), store.load(saved.id).entries, [line.kind for line in audit.lines(database)])
    assert before[2] == ["case new"]

    def full(*_: object, **__: object) -> None:
        raise sa.exc.OperationalError("INSERT", {}, Exception("the disk is full"))

    with monkeypatch.context() as broken:
        broken.setattr(audit, "append", full)
        with pytest.raises(StoreError, match="disk is full"):
            store.change(saved.id, new_owner("ana"), new_status(Status.CLOSED, {}), at=at(101), who="ana")
    assert (store.summary(saved.id), store.load(saved.id).entries) == before[:2]
    changes = (new_owner("ana"), Change("comment", {"text": "seen"}), new_status(Status.CLOSED, {"note": "over"}))
    line = store.change(saved.id, *changes, at=at(102), who="ana", through="api")
    assert (line.owner, line.status) == ("ana", Status.CLOSED)
    assert [entry.kind for entry in store.load(saved.id).entries[-3:]] == ["owner", "comment", "status"]
    told = list(audit.lines(database))[1:]
    assert [(one.kind, one.who, one.body["as"]) for one in told] == [
        ("case owner", "ana", "api"), ("case comment", "ana", "api"), ("case status", "ana", "api")
    ]  # fmt: skip
    assert told[0].at == at(102).isoformat()
