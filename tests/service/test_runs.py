"""Runs in the store: leases, approvals bound to the plan, expiry, epochs, and playbooks that change under a run."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest

from perilune.connectors.simulated import Fault, Simulated
from perilune.errors import ContentError, LostLease, StoreError, UsageError
from perilune.model.actions import Approval, Kind, Outcome
from perilune.service.runs import LEASE, Runner, StoredJournal
from perilune.store import audit
from perilune.store.database import Database
from perilune.store.runs import RunStore
from tests.response.test_plan import plan


@pytest.fixture
def database(tmp_path: Path) -> Database:
    return Database(f"sqlite:///{tmp_path / 'cases.db'}")


@pytest.fixture
def runner(database: Database, tmp_path: Path) -> Runner:
    return Runner(RunStore(database), Simulated(tmp_path / "fleet.json"), patience=0)


def begun(runner: Runner, **inputs: str) -> str:
    return runner.start(plan(**inputs), "T1059", who="ana").id


def calls(runner: Runner) -> list[str]:
    connector = runner.connector
    assert isinstance(connector, Simulated)
    with connector._open() as fleet:
        return [kind for kind, _, _ in fleet.calls]


def outcomes(runner: Runner, run: str) -> set[Outcome]:
    return {one.outcome for one in runner.store.results(run).values()}


def test_a_run_waits_for_approval_and_then_does_everything_once(runner: Runner, database: Database) -> None:
    run = begun(runner)
    runner.advance(run)
    assert runner.store.load(run).waiting.startswith("approval of action 1")
    assert calls(runner) == []
    runner.decide(run, who="ana", granted=True, reason="seen")
    runner.advance(run)
    assert runner.store.load(run).status == "finished"
    assert len(calls(runner)) == len(set(calls(runner))) == 7
    assert outcomes(runner, run) == {Outcome.DONE}
    assert runner.advance(run) is None
    assert audit.verify(database)[2] == []


def test_an_approval_of_another_plan_is_not_taken(runner: Runner) -> None:
    run = begun(runner)
    now = runner.now()
    with pytest.raises(StoreError, match="another plan"):
        runner.store.decide(run, Approval("0" * 64, "ana", True, "x", now, now + timedelta(hours=1)))


def test_an_approval_that_is_over_does_nothing_and_says_so(runner: Runner) -> None:
    run = begun(runner)
    runner.decide(run, who="ana", granted=True, reason="x", holds=timedelta(seconds=-1))
    runner.advance(run)
    assert calls(runner) == ["collect-evidence"]
    assert runner.store.load(run).status == "finished"


def test_approvals_are_looked_at_again_right_before_the_act(runner: Runner) -> None:
    run = begun(runner)
    runner.decide(run, who="ana", granted=True, reason="x")
    record = runner.store.load(run)
    runner.store.take(run, runner.owner, at=runner.now(), lease=LEASE)
    journal = StoredJournal(runner.store, record, runner.owner)
    one = record.plan.actions[0]
    later = runner.now() + timedelta(hours=9)
    runner.store.take(run, runner.owner, at=later, lease=LEASE)
    leave = runner.store.intend(run, one, owner=runner.owner, at=later, hourly=60)
    assert "expired" in leave.refused
    assert journal.decide(one) is not None


def test_two_people_are_two_people(runner: Runner) -> None:
    run = begun(runner, FileRemediation="Delete")
    for who in ("ana", " ANA "):
        runner.decide(run, who=who, granted=True, reason="x")
    runner.advance(run)
    assert "delete-file" in runner.store.load(run).waiting
    runner.decide(run, who="bo", granted=True, reason="x")
    runner.advance(run)
    assert "delete-file" in calls(runner)


def test_one_denial_outweighs_approvals_and_ends_it(runner: Runner) -> None:
    run = begun(runner)
    runner.decide(run, who="ana", granted=True, reason="x")
    runner.decide(run, who="bo", granted=False, reason="that is the pay server", actions=[1])
    runner.advance(run)
    assert "isolate-host" not in calls(runner)
    assert "block-indicator" in calls(runner)


def test_a_wait_of_a_day_without_approval_is_over(runner: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    run = begun(runner)
    runner.advance(run)
    later = runner.now() + timedelta(hours=25)
    monkeypatch.setattr(StoredJournal, "now", lambda self: later)
    monkeypatch.setattr(Runner, "now", lambda self: later)
    runner.advance(run)
    assert "isolate-host" not in calls(runner)


def test_only_one_worker_drives_and_one_that_lost_its_lease_stops(runner: Runner) -> None:
    run = begun(runner)
    now = runner.now()
    assert runner.store.take(run, "one", at=now, lease=LEASE)
    assert not runner.store.take(run, "two", at=now, lease=LEASE)
    assert runner.advance(run) is None
    assert runner.store.take(run, "two", at=now + 2 * LEASE, lease=LEASE)
    with pytest.raises(LostLease):
        runner.store.keep(run, 0, "x", "{}", owner="one", at=now + 2 * LEASE)
    with pytest.raises(LostLease):
        first = runner.store.load(run).plan.actions[0]
        runner.store.intend(run, first, owner="one", at=now + 2 * LEASE, hourly=60)


def test_undo_takes_back_and_the_undone_run_can_never_act_again(runner: Runner) -> None:
    run = begun(runner)
    runner.advance(run)
    runner.decide(run, who="ana", granted=True, reason="x", actions=[1])
    runner.advance(run)
    undoing = runner.undo(run, who="ana", reason="mistake")
    runner.advance(undoing.id)
    assert calls(runner) == ["isolate-host", "collect-evidence", "release-host"]
    runner.store.take(run, "zombie", at=runner.now(), lease=LEASE)
    record = runner.store.load(run)
    leave = runner.store.intend(run, record.plan.actions[0], owner="zombie", at=runner.now(), hourly=60)
    assert "released by a later run" in leave.refused
    with pytest.raises(UsageError, match="nothing that can be taken back"):
        runner.undo(undoing.id, who="ana", reason="x", only=[9])


def test_the_hours_cap_counts_over_all_runs(runner: Runner) -> None:
    run = begun(runner)
    runner.decide(run, who="ana", granted=True, reason="x")
    runner.advance(run)
    other = begun(runner)
    runner.decide(other, who="ana", granted=True, reason="x")
    runner.store.take(other, "w", at=runner.now(), lease=LEASE)
    first = runner.store.load(other).plan.actions[0]
    assert "last hour" in runner.store.intend(other, first, owner="w", at=runner.now(), hourly=1).refused


def test_a_playbook_that_was_edited_or_deleted_does_not_strand_a_run(runner: Runner) -> None:
    """The run goes on with the bytes it was planned with, wherever the file is now."""
    run = begun(runner)
    runner.advance(run)
    record = runner.store.load(run)
    assert all(json.loads(one.text)["type"] == "playbook" for one in record.plan.documents)
    runner.decide(run, who="ana", granted=True, reason="x")
    runner.advance(run)  # nothing but the store is asked
    assert runner.store.load(run).status == "finished"


def test_a_pinned_playbook_that_was_changed_in_the_store_is_refused(runner: Runner, database: Database) -> None:
    run = begun(runner)
    with database.writing() as connection:
        connection.exec_driver_sql("UPDATE runs SET plan = replace(plan, 'Isolate the host', 'Isolate the hosts')")
    with pytest.raises(ContentError, match="was changed"):
        runner.advance(run)
    named = " ".join(one.where for one in audit.verify(database)[2])
    assert "run R-1" in named
    assert "T1059 - Command and Scripting Interpreter" in named


@pytest.mark.parametrize(
    ("statement", "named"),
    [
        ("UPDATE decisions SET approver = 'bo' WHERE number = 1", "run R-1, decision 1 of bo: is not what was decided"),
        ("UPDATE decisions SET expires = '2099-01-01T00:00:00+00:00'", "run R-1, decision 1 of ana: is not what"),
        ("DELETE FROM decisions", "run R-1, decision 1: is in the log and was deleted"),
        ("UPDATE intents SET outcome = 'failed' WHERE action = 1", "run R-1, action 1: its outcome is not what"),
        ("UPDATE runs SET plan_hash = 'x'", "run R-1: its plan is not the one that was made"),
        ("UPDATE intents SET outcome = NULL WHERE action = 1", "run R-1, action 1: its outcome is not what"),
        ("DELETE FROM intents WHERE action = 2", "run R-1, what came of action 2: is in the log and was deleted"),
        (
            "INSERT INTO decisions SELECT run, 2, plan_hash, 'bo', granted, reason, at, expires, actions"
            " FROM decisions",
            "run R-1, decision 2 of bo: is not what was decided",
        ),
        ("INSERT INTO answers VALUES (1, 's', 'yes')", "run R-1, the answer at s: is not what was answered"),
    ],
)
def test_a_change_of_an_approval_an_outcome_or_a_plan_is_named(
    runner: Runner, database: Database, statement: str, named: str
) -> None:
    run = begun(runner)
    runner.decide(run, who="ana", granted=True, reason="x")
    runner.advance(run)
    with database.writing() as connection:
        for verb in ("update", "delete"):
            connection.exec_driver_sql(f"DROP TRIGGER decisions_no_{verb}")
        connection.exec_driver_sql(statement)
    assert any(f"{one.where}: {one.what}".startswith(named) for one in audit.verify(database)[2])


@pytest.mark.parametrize(
    ("statement", "named"),
    [
        ("UPDATE answers SET answer = 'no'", "run R-1, the answer at s: is not what was answered"),
        ("DELETE FROM answers", "run R-1, the answer at s: is in the log and was deleted"),
    ],
)
def test_a_changed_answer_is_named(runner: Runner, database: Database, statement: str, named: str) -> None:
    runner.store.answer(begun(runner), "s", "yes", at=runner.now(), who="ana")
    assert audit.verify(database)[2] == []
    with database.writing() as connection:
        connection.exec_driver_sql(statement)
    assert [f"{one.where}: {one.what}" for one in audit.verify(database)[2]] == [named]


@pytest.mark.parametrize("column", ["at", "who", "kind", "run", "body", "previous", "hash", "number"])
def test_a_change_of_any_column_of_any_audit_line_is_named(runner: Runner, database: Database, column: str) -> None:
    run = begun(runner)
    runner.decide(run, who="ana", granted=True, reason="x")
    runner.advance(run)
    count = audit.verify(database)[0]
    value = "number + 1000" if column == "number" else f"{column} || ' '"
    for number in (1, count // 2, count):
        with database.writing() as connection:
            for verb in ("update", "delete"):
                connection.exec_driver_sql(f"DROP TRIGGER IF EXISTS audit_no_{verb}")
            connection.exec_driver_sql("CREATE TEMP TABLE IF NOT EXISTS kept AS SELECT * FROM audit")
            connection.exec_driver_sql(f"UPDATE audit SET {column} = {value} WHERE number = {number}")
        where = f"line {number + 1000 if column == 'number' else number} "
        assert any(one.where.startswith(where) for one in audit.verify(database)[2]), (column, number)
        with database.writing() as connection:
            connection.exec_driver_sql("DELETE FROM audit")
            connection.exec_driver_sql("INSERT INTO audit SELECT * FROM kept")
    assert audit.verify(database)[2] == []


def test_a_run_that_would_go_another_way_than_it_went_is_stopped(runner: Runner, database: Database) -> None:
    run = begun(runner)
    runner.advance(run)
    with database.writing() as connection:
        connection.exec_driver_sql("UPDATE journal SET step = 'Tell|elsewhere' WHERE number = 1")
    with pytest.raises(StoreError, match="another version"):
        runner.advance(run)


def test_effects_end_with_their_time(runner: Runner) -> None:
    run = begun(runner)
    runner.decide(run, who="ana", granted=True, reason="x")
    runner.advance(run)
    block = next(a for a in runner.store.load(run).plan.actions if a.kind is Kind.BLOCK_INDICATOR)
    assert runner.store.overdue(runner.now()) == []
    later = runner.now() + timedelta(seconds=(block.lasts or 0) + 60)
    assert runner.store.overdue(later) == [(run, block.number)]
    runner.advance(runner.undo(run, who="perilune", reason="over", only=[block.number]).id)
    assert runner.store.overdue(later) == []


def test_a_half_answer_is_a_failure_in_the_store_too(runner: Runner) -> None:
    connector = runner.connector
    assert isinstance(connector, Simulated)
    with connector._open() as fleet:
        fleet.faults.append(Fault("isolate-host", "half"))
    run = begun(runner)
    runner.decide(run, who="ana", granted=True, reason="x")
    runner.advance(run)
    assert runner.store.results(run)[1].outcome is Outcome.FAILED
