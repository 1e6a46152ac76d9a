"""Cases worked through over the bundled samples: answers rest on what was read, and on nothing else."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import date
from functools import cache
from importlib.resources import files
from itertools import combinations
from pathlib import Path

import pytest

from perilune import casework, pipeline
from perilune.investigation.gathering import Around
from perilune.model.answers import Part, Said, Word
from perilune.model.case import Case
from perilune.model.facts import Kind, Source
from perilune.model.findings import Judged, Reason
from perilune.model.tables import EventRef, Table
from perilune.store.spool import Spool
from tests.build import finding, process, table

SAMPLES = Path(str(files("perilune") / "content" / "samples"))
WINDOWS = "windows-sysmon.jsonl"
LINUX = "linux-auditd.log"
TABLE_OF = {
    Source.PROCESSES: "DeviceProcessEvents", Source.NETWORK: "DeviceNetworkEvents", Source.FILES: "DeviceFileEvents",
    Source.REGISTRY: "DeviceRegistryEvents", Source.SCRIPTS: "XScriptEvents",
}  # fmt: skip


@cache
def hunted(name: str) -> pipeline.Hunt:
    return pipeline.hunt([SAMPLES / name], today=date(2026, 11, 22))


def without(found: pipeline.Hunt, tables: Iterable[str]) -> tuple[Case, ...]:
    """The cases of the same findings, had these tables not been read."""
    gone = set(tables)
    spool = Spool()
    for name in found.spool.rows:
        if name not in gone:
            spool.add(Table(name, found.spool.table(name).data))
    findings = tuple(f for f in found.findings if f.event.table not in gone)
    cases, _ = casework.investigate(Judged(findings, (), {}), spool, (), Around())
    return cases


def top(cases: Iterable[Case]) -> Case:
    return max(cases, key=lambda case: (case.score, len(case.findings)))


def answers(case: Case) -> dict[str, object]:
    return {answer.id.partition("/")[2]: answer for answer in case.answers}


def test_every_row_of_the_runbook_is_answered_for_the_bundled_intrusions() -> None:
    for name in (WINDOWS, LINUX):
        case = top(hunted(name).cases)
        assert {answer.part for answer in case.answers} == set(Part)
        assert all(answer.sentence for answer in case.answers)
        assert all(bool(answer.needs) == (answer.said is Said.UNKNOWN) for answer in case.answers)
        assert sum(reason.points for reason in case.reasons) == case.score


def test_the_bundled_intrusion_is_told_in_plain_words_and_escalated() -> None:
    case = top(hunted(WINDOWS).cases)
    assert case.verdict is not None
    assert case.verdict.word is Word.MALICIOUS
    assert case.verdict.sentence.startswith("luajit.exe, started by ")
    assert "ran uix.txt" in case.verdict.sentence
    assert case.escalation is not None
    assert case.escalation.said is Said.YES
    met = {one.id for one in case.escalation.criteria if one.said is Said.YES}
    assert {"escalate-unusual-host", "persistence", "verdict"} <= met


def test_what_the_windows_intrusion_planted_and_reached_is_named() -> None:
    case = top(hunted(WINDOWS).cases)
    names = {fact.name for facts in case.facts.found.values() for fact in facts if fact.own}
    assert {
        "Scheduled task",
        "Run key",
        "Windows Setup script",
        "Connection",
        "Name lookup",
        "Program brought in",
    } <= names


def test_what_the_linux_intrusion_planted_is_named() -> None:
    case = top(hunted(LINUX).cases)
    names = {fact.name for facts in case.facts.found.values() for fact in facts if fact.own}
    assert {"Cron", "Shell profile", "Connection", "Address in the code"} <= names


@pytest.mark.parametrize("gone", [pair for n in (1, 2) for pair in combinations(TABLE_OF, n)])
def test_no_answer_speaks_of_a_source_that_was_not_read(gone: tuple[Source, ...]) -> None:
    tables = {TABLE_OF[source] for source in gone}
    for case in without(hunted(WINDOWS), tables):
        for answer in case.answers:
            assert not tables & {event.table for event in answer.events}, answer
            if answer.said is Said.NO and answer.id.partition("/")[2] not in DECIDED_BY_FINDINGS:
                assert not any(source.value in answer.sentence for source in gone), answer
        assert not set(gone) & set(case.facts.coverage)


# Whose `no` speaks of the findings and the score, not of what was read.
DECIDED_BY_FINDINGS = ("isolate", "legitimate-use", "other-alerts", "system-logs")

NEEDED = [
    (Source.NETWORK, ("unexpected-connection", "network-logs", "command-and-control", "known-bad-address")),
    (Source.FILES, ("credentials", "persistence", "system-changes", "recently-installed")),
    (Source.REGISTRY, ("persistence", "system-changes")),
    (Source.PROCESSES, ("child-processes", "credentials")),
]


@pytest.mark.parametrize(("source", "ids"), NEEDED, ids=lambda value: str(value))
def test_without_its_source_an_answer_is_unknown_or_rests_on_others(source: Source, ids: tuple[str, ...]) -> None:
    cases = without(hunted(WINDOWS), [TABLE_OF[source]])
    for id_ in ids:
        answer = answers(top(cases))[id_]
        assert answer.said is not Said.NO, answer  # type: ignore[attr-defined]
        if answer.said is Said.UNKNOWN:  # type: ignore[attr-defined]
            assert source.value in answer.needs, answer  # type: ignore[attr-defined]


def test_without_network_events_the_connection_questions_are_unknown() -> None:
    case = top(without(hunted(WINDOWS), ["DeviceNetworkEvents", "DeviceEvents"]))
    for id_ in ("unexpected-connection", "network-logs", "command-and-control"):
        answer = answers(case)[id_]
        assert answer.said is Said.UNKNOWN  # type: ignore[attr-defined]
        assert answer.needs == ("network events",)  # type: ignore[attr-defined]


def test_a_case_taken_apart_and_joined_again_is_whole() -> None:
    case = top(hunted(WINDOWS).cases)
    ids = {f.id for f in case.findings[:3]}
    rest, taken = casework.part(case, ids)
    assert {f.id for f in taken.findings} == ids
    assert not ids & {f.id for f in rest.findings}
    assert not ids & {id_ for node in rest.tree for id_ in node.findings}
    joined = casework.join([rest, taken])
    assert {f.id for f in joined.findings} == {f.id for f in case.findings}
    assert (joined.score, joined.host, joined.techniques[0]) == (case.score, case.host, case.techniques[0])


def test_the_same_intrusion_on_two_hosts_is_one_case_that_names_both(tmp_path: Path) -> None:
    text = (SAMPLES / WINDOWS).read_text(encoding="utf-8")
    (tmp_path / "one.jsonl").write_text(text)
    (tmp_path / "two.jsonl").write_text(text.replace("FIN-PC-12", "FIN-PC-44"))
    found = pipeline.hunt([tmp_path], today=date(2026, 11, 22))
    case = top(found.cases)
    assert {host.split(".")[0] for host in case.hosts} == {"FIN-PC-12", "FIN-PC-44"}
    other = case.hosts[1]
    assert any(node.host == other and node.findings for node in case.tree)
    assert any(entry.host == other for entry in case.timeline)
    marked = {id_ for node in case.tree for id_ in node.findings}
    assert marked == {f.id for f in case.findings if f.process is not None}
    assert answers(case)["other-systems"].said is Said.YES  # type: ignore[attr-defined]
    assert sum(one.score >= 70 for one in found.cases) <= 4


CONTENT = {
    "lists/bad.csv": "indicator,note\n203.0.113.61,loader\n",
    "people/staff.yml": "people:\n  - {name: Lea, accounts: ['X\\lea.brandt'], hours: {mon-fri: '18:00-22:00'}}\n",
    "assets/hosts.yml": "assets:\n  - {host: fin-pc-12, criticality: high, interpreters: [powershell]}\n",
    "suppressions/broken.yml": "suppressions: 7\n",
}


def test_what_the_site_knows_answers_what_the_logs_cannot(tmp_path: Path) -> None:
    for name, text in CONTENT.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    found = pipeline.hunt([SAMPLES / WINDOWS], content=tmp_path, today=date(2026, 11, 22))
    said = answers(top(found.cases))
    for id_ in ("known-bad-address", "escalate-known-bad", "times-and-users", "host-usual"):
        assert said[id_].said is Said.YES, said[id_]  # type: ignore[attr-defined]
    assert said["schedule"].said is Said.NO  # type: ignore[attr-defined]
    escalation = top(found.cases).escalation
    assert escalation is not None
    assert {"escalate-known-bad", "critical-host"} <= {one.id for one in escalation.criteria if one.said is Said.YES}
    assert [refusal.title for refusal in found.refused if "suppressions" in refusal.source] == ["broken.yml"]


def test_a_sensor_that_saw_an_address_of_the_case_is_heard(tmp_path: Path) -> None:
    """The endpoint's log has no connections; Zeek saw one to the address that the command line names."""
    lines = (SAMPLES / LINUX).read_text(encoding="utf-8").splitlines(keepends=True)
    (tmp_path / "audit.log").write_text("".join(line for line in lines if "SOCKADDR" not in line))
    stamp = max(f.time for f in hunted(LINUX).findings if f.time is not None).timestamp()
    (tmp_path / "conn.log").write_text(
        json.dumps({"_path": "conn", "ts": stamp, "uid": "C1", "id.orig_h": "10.1.2.3", "id.orig_p": 5, "proto": "tcp",
                    "id.resp_h": "203.0.113.77", "id.resp_p": 80, "conn_state": "SF"}) + "\n"
    )  # fmt: skip
    case = top(pipeline.hunt([tmp_path], today=date(2026, 11, 22)).cases)
    (seen,) = [fact for fact in case.facts.of(Kind.CONNECTION) if "sensor" in fact.tags]
    assert seen.own is None
    assert "10.1.2.3 reached 203.0.113.77" in seen.text
    assert answers(case)["unexpected-connection"].said is Said.YES  # type: ignore[attr-defined]


def test_a_host_with_very_many_cases_has_the_heaviest_worked_through() -> None:
    """Cases that are not worked through are still there, and say so by having no verdict."""
    starts = [process(100 + n, 1, "/usr/bin/lua5.4", n * 20_000, DeviceName="web-01") for n in range(80)]
    spool = Spool()
    spool.add(table("DeviceProcessEvents", *starts))
    findings = [
        finding(
            str(n), seconds=n * 20_000, rule_id=f"r{n}", score=30 + n, row=start,
            event=EventRef("DeviceProcessEvents", "test.log", n + 1), reasons=(Reason(30 + n, "r"),),
        )
        for n, start in enumerate(starts)
    ]  # fmt: skip
    cases, _ = casework.investigate(Judged(tuple(findings), (), {}), spool, ())
    assert len(cases) == 80
    worked = [case for case in cases if case.verdict is not None]
    assert len(worked) == casework.MAX_OF_HOST
    assert min(f.score for case in worked for f in case.findings) == 80
