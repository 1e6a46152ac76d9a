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
