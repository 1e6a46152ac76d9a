"""A watcher as a whole: rows once, findings once, cases that grow, and what it does when something fails."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path

import pytest

from perilune.model.rules import RuleSet
from perilune.service.live import casing, status
from perilune.service.live.watcher import Watcher
from perilune.store.cases import CaseStore
from tests.service.live.build import event, lines, pids, rules, watch


@pytest.fixture
def ruleset(tmp_path: Path) -> RuleSet:
    return rules(tmp_path)


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'cases.db'}"


def finding_ids(url: str) -> list[str]:
    path = url.removeprefix("sqlite:///")
    with sqlite3.connect(path) as connection:
        return sorted(row[0] for row in connection.execute("select id from findings"))


def test_a_log_becomes_rows_and_cases_and_a_second_run_adds_nothing(tmp_path: Path, ruleset: RuleSet, url: str) -> None:
    log, lake = tmp_path / "a.jsonl", tmp_path / "lake"
    log.write_bytes(lines(0, 200))
    assert watch(lake, url, str(log), ruleset=ruleset).counts() == {"findings": 20, "cases": 1, "suppressed": 0}
    before = finding_ids(url)
    assert watch(lake, url, str(log), ruleset=ruleset).counts()["findings"] == 0
    assert (pids(lake), finding_ids(url)) == ([1000 + n for n in range(200)], before)
    told = status.load(lake)
    assert told.state == "stopped"
    assert told.sources[f"file:{log}"]["rows"] == 200


def test_a_case_grows_as_events_arrive(tmp_path: Path, ruleset: RuleSet, url: str) -> None:
    log, lake = tmp_path / "a.jsonl", tmp_path / "lake"
    for first in (0, 100, 200):
        with log.open("ab") as stream:
            stream.write(lines(first, 100))
        watch(lake, url, str(log), ruleset=ruleset)
    cases = CaseStore(url)
    (summary,) = cases.queue()
    case = cases.load(summary.id)
    assert (summary.findings, [entry.kind for entry in case.entries]) == (30, ["hunt", "hunt", "hunt"])
    cases.close()


def test_what_one_rule_finds_without_end_is_counted(tmp_path: Path, ruleset: RuleSet, url: str) -> None:
    log, lake = tmp_path / "a.jsonl", tmp_path / "lake"
    for first in (0, 200):
        with log.open("ab") as stream:
            stream.write(lines(first, 200, bad_every=1))
        watch(lake, url, str(log), ruleset=ruleset)
    cases = CaseStore(url)
    (summary,) = cases.queue()
    assert summary.findings <= 2 * casing.LISTED
    assert len(finding_ids(url)) == 400, "each finding is known once, listed or counted"
    counted = [entry.body["not_listed"] for entry in cases.load(summary.id).entries if entry.kind == "repeats"]
    assert sum(sum(rules.values()) for rules in counted) == 400 - summary.findings  # type: ignore[attr-defined]
    cases.close()


def test_a_case_of_many_hosts_has_an_end(tmp_path: Path, ruleset: RuleSet, url: str) -> None:
    """The same address on every host is one case; it lists so many findings, and counts the rest."""
    log, lake = tmp_path / "a.jsonl", tmp_path / "lake"
    total = casing.MOST_OF_CASE + 60
    for first in (0, total // 2):
        with log.open("ab") as stream:
            for number in range(first, first + total // 2):
                line = event(number, bad=True, host=f"host-{number}").replace(
                    b"id %d" % number, b"curl 198.51.100.7/x.lua"
                )
                stream.write(line)
        watch(lake, url, str(log), ruleset=ruleset)
    cases = CaseStore(url)
    summaries = cases.queue(limit=1000)
    assert len(finding_ids(url)) == total
    assert max(summary.findings for summary in summaries) <= casing.MOST_OF_CASE
    assert len(summaries) <= 3
    cases.close()


def test_killed_between_any_two_steps(tmp_path: Path, ruleset: RuleSet, url: str) -> None:
    """Rows in the lake, cases not saved; cases saved, not noted as looked at: a restart puts both right."""
    log, lake = tmp_path / "a.jsonl", tmp_path / "lake"
    log.write_bytes(lines(0, 100))
    first = watch(lake, url, str(log), ruleset=ruleset, once=False)
    first._take()
    _die(first)
    assert pids(lake) == [1000 + n for n in range(100)]
    second = watch(lake, url, str(log), ruleset=ruleset, once=False)
    second.refill()
    second._look()
    assert len(second.detector.settle(())) == 1
    _die(second)  # before the batch was noted as looked at
    known = finding_ids(url)
    assert len(known) == 10
    third = watch(lake, url, str(log), ruleset=ruleset)
    assert third.counts()["findings"] == 0
    assert (finding_ids(url), pids(lake)) == (known, [1000 + n for n in range(100)])


def _die(watcher: Watcher) -> None:
    """What the system does to a process that was killed."""
    watcher.lake.close()
    watcher.detector.close()


def test_a_case_store_that_is_locked_is_waited_for(tmp_path: Path, ruleset: RuleSet, url: str) -> None:
    log, lake = tmp_path / "a.jsonl", tmp_path / "lake"
    log.write_bytes(lines(0, 50))
    made = watch(lake, url, str(log), ruleset=ruleset, once=False)
    made.turn()
    assert made.counts()["findings"] == 5
    other = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    _hurry(made)
    with log.open("ab") as stream:
        stream.write(lines(50, 50))
    made.turn()
    assert "locked" in made.problems["cases"]
    assert len(pids(lake)) == 100, "rows are taken in all the same"
    status.write(made, "watching")
    assert "locked" in str(status.load(lake).watcher["problems"])
    assert status.load(lake).watcher["not_looked_at"] == 50
    other.execute("ROLLBACK")
    made.turn()
    assert made.problems == {}
    assert made.counts()["findings"] == 10
    _die(made)


def _hurry(made: Watcher) -> None:
    """A second is as good as the half minute that a locked store is waited for."""
    for store in (made.detector.casing.cases, made.detector.casing.sightings):
        with store._database.engine.connect() as connection:  # type: ignore[union-attr]
            connection.exec_driver_sql("PRAGMA busy_timeout=200")


def test_a_full_disk_stops_reading_until_there_is_room(tmp_path: Path, ruleset: RuleSet, url: str) -> None:
    import resource
    import signal

    log, lake = tmp_path / "a.jsonl", tmp_path / "lake"
    log.write_bytes(lines(0, 50))
    made = watch(lake, url, str(log), ruleset=ruleset, once=False)
    made.turn()
    with log.open("ab") as stream:
        stream.write(lines(50, 50))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    segment = max((lake / "log").iterdir())
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (segment.stat().st_size + 10, before[1]))
        made.turn()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert "lake" in made.problems
    made.turn()
    assert made.problems == {}
    assert made.counts()["findings"] == 10
    assert pids(lake) == [1000 + n for n in range(100)]
    _die(made)


def test_a_source_that_is_gone_is_told_and_comes_back(tmp_path: Path, ruleset: RuleSet, url: str) -> None:
    log, lake = tmp_path / "a.jsonl", tmp_path / "lake"
    made = watch(lake, url, str(log), ruleset=ruleset, once=False)
    made.turn()
    status.write(made, "watching")
    assert status.load(lake).sources[f"file:{log}"]["doing"] == "gone"
    log.write_bytes(lines(0, 20))
    made.turn()
    status.write(made, "watching")
    assert status.load(lake).sources[f"file:{log}"]["doing"] == "waiting"
    assert len(pids(lake)) == 20
    _die(made)


def test_clocks_that_step(tmp_path: Path, ruleset: RuleSet, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Events from before and after, and a watcher whose own clock goes back a day: rows and findings are whole."""
    from datetime import UTC, datetime, timedelta

    log, lake = tmp_path / "a.jsonl", tmp_path / "lake"
    now = datetime.now(UTC)
    days = (0, -1, 1, -30, 0)
    log.write_bytes(b"".join(event(n, bad=True, when=now + timedelta(days=day)) for n, day in enumerate(days)))
    made = watch(lake, url, str(log), ruleset=ruleset, once=False)
    made.turn()
    monkeypatch.setattr(time, "time", lambda: now.timestamp() - 86_400)
    with log.open("ab") as stream:
        stream.write(event(5, bad=True))
    made.turn()
    made.finish()
    assert (len(pids(lake)), made.counts()["findings"]) == (6, 6)
    _die(made)


def test_a_watcher_that_was_killed_is_silent(tmp_path: Path, ruleset: RuleSet, url: str) -> None:
    made = watch(tmp_path / "lake", url, str(tmp_path), ruleset=ruleset, once=False)
    status.write(made, "watching")
    _die(made)
    assert status.load(tmp_path / "lake").state == "watching"
    later = time.time() + status.SILENT + 1
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "time", lambda: later)
        assert status.load(tmp_path / "lake").state == "silent"
    assert status.load(tmp_path / "nothing").state == "never"
