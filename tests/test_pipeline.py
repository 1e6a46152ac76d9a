"""The pipeline's own decisions; the rooms have tests of their own."""

from __future__ import annotations

from pathlib import Path

import pytest

import perilune
from perilune import pipeline
from perilune.model.rules import Level, Role, Rule
from perilune.pipeline import Choice

RULE = Rule(id="abc", title="Lua runs", level=Level.LOW, scopes=(), source="t", digest="d", tags=("attack.t1059.011",))
EXEC = (
    "type=SYSCALL msg=audit(1795278909.{n}:{n}): arch=c000003e syscall=59 success=yes exit=0 ppid=7 pid={pid} uid=0 "
    'comm="lua5.4" exe="/usr/bin/lua5.4" key="exec"\n'
    'type=EXECVE msg=audit(1795278909.{n}:{n}): argc=2 a0="lua5.4" a1="/tmp/x{n}.lua"\n'
)


@pytest.mark.parametrize(
    ("choice", "taken"),
    [
        (Choice(), True),
        (Choice(least=Level.MEDIUM), False),
        (Choice(tags=("t1059",)), True),
        (Choice(tags=("attack.t1059.011",)), True),
        (Choice(tags=("t1059.01",)), False),
        (Choice(exclude=("ABC",)), False),
        (Choice(exclude=("lua RUNS",)), False),
        (Choice(exclude=("t1059.011",)), False),
        (Choice(exclude=("lua",)), True),
    ],
)
def test_rules_are_chosen_by_level_tag_and_name(choice: Choice, taken: bool) -> None:
    assert choice.takes(RULE) is taken


def test_known_uses_are_used_whatever_the_level() -> None:
    known = Rule(
        id="k", title="Prosody", level=Level.INFORMATIONAL, scopes=(), source="t", digest="e", role=Role.CONTEXT
    )
    assert Choice(least=Level.CRITICAL, tags=("t1",)).takes(known)
    assert not Choice(exclude=("k",)).takes(known)


def write(path: Path, events: int) -> Path:
    path.write_text("".join(EXEC.format(n=100 + n, pid=1000 + n) for n in range(events)))
    return path


def test_the_same_log_twice_gives_each_finding_once(tmp_path: Path) -> None:
    one = write(tmp_path / "a.log", 3)
    copied = tmp_path / "copy" / "a.log"
    copied.parent.mkdir()
    copied.write_bytes(one.read_bytes())
    once = perilune.hunt([one])
    twice = perilune.hunt([one, copied])
    assert len(once.findings) > 0
    assert {f.id for f in once.findings} == {f.id for f in twice.findings}
    assert len(twice.findings) == len(once.findings)


def test_a_noisy_rule_is_counted_in_full_and_listed_in_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("perilune.judging.MAX_PER_RULE", 5)
    found = perilune.hunt([write(tmp_path / "a.log", 30)])
    assert found.cut
    assert set(found.cut.values()) == {25}
    (case,) = found.cases
    assert set(case.repeats.values()) == {25}


def test_tables_are_arrow_in_the_advanced_hunting_schema(tmp_path: Path) -> None:
    found = perilune.hunt([write(tmp_path / "a.log", 2)])
    table = found.tables["DeviceProcessEvents"]
    assert table.column("ProcessCommandLine").to_pylist() == ["lua5.4 /tmp/x100.lua", "lua5.4 /tmp/x101.lua"]


def test_the_pack_loads_whole() -> None:
    ruleset = pipeline.load_rules()
    assert not ruleset.refused
    assert all(rule.source.startswith("pack:") for rule in ruleset.rules)
    assert sum("T1059.011" in rule.techniques for rule in ruleset.rules) >= 12


CORRELATION = """
title: Lua Runs Again and Again
id: 3d4d9c0e-6a53-4c6f-9d0a-0d7e3f2b1a11
level: high
correlation:
  type: event_count
  rules: [lua]
  group-by: [Computer, ParentProcessId]
  timespan: 10s
  condition: {gte: 5}
---
title: Lua
name: lua
level: critical
logsource: {category: process_creation}
detection:
  image: {Image|endswith: /lua5.4}
  condition: image
"""


def test_a_correlation_s_finding_names_its_events_and_stands_in_their_case(tmp_path: Path) -> None:
    rules = tmp_path / "r.yml"
    rules.write_text(CORRELATION)
    found = perilune.hunt([write(tmp_path / "a.log", 8)], rules=[rules])
    (held,) = [finding for finding in found.findings if finding.rule_title == "Lua Runs Again and Again"]
    assert len(held.members) == 8
    assert held.group["ParentProcessId"] == "7"
    assert not any(finding.rule_title == "Lua" for finding in found.findings), "a part is no finding of its own"
    (case,) = [case for case in found.cases if held.id in {finding.id for finding in case.findings}]
    assert len(case.findings) > 8, "the findings on the same events are in the same case"
    marked = [entry for entry in case.timeline if held.id in entry.findings]
    assert len(marked) == 8
    again = perilune.hunt([tmp_path / "a.log"], rules=[rules])
    assert held.id in {finding.id for finding in again.findings}


def test_a_chosen_correlation_brings_its_parts(tmp_path: Path) -> None:
    rules = tmp_path / "r.yml"
    rules.write_text(CORRELATION.replace("level: critical", "level: informational"))
    log = write(tmp_path / "a.log", 8)
    found = perilune.hunt([log], rules=[rules], pack=False, choice=Choice(least=Level.HIGH))
    assert [finding.rule_title for finding in found.findings] == ["Lua Runs Again and Again"]
    assert found.rules == 1
    assert not perilune.hunt(
        [log], rules=[rules], pack=False, choice=Choice(exclude=("lua runs again and again",))
    ).findings
