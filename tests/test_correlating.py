"""Correlations as findings: on which host, with which events and what is left out; and why one did not hold."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from perilune import correlating, pipeline
from perilune.detection import linking, sigma, stories
from perilune.errors import RuleError
from perilune.model.rules import RuleSet
from tests.build import at
from tests.test_pipeline import CORRELATION, write

HOSTS = """
title: Everywhere
id: 9a1c1c52-5a36-4f3e-8a44-5b9ad1f4c001
correlation:
  type: value_count
  rules: [run]
  group-by: [CommandLine]
  timespan: 1h
  condition: {field: Computer, gte: 3}
---
title: Run
name: run
logsource: {category: process_creation}
detection:
  any: {CommandLine|contains: lua}
  condition: any
"""


def loaded(text: str) -> RuleSet:
    return linking.link(sigma.parse(text, "r.yml"))


def run(host: str, seconds: float = 0) -> tuple[str, dict[str, object]]:
    return "DeviceProcessEvents", {"Timestamp": at(seconds), "DeviceName": host, "ProcessCommandLine": "lua x.lua"}


def test_each_host_that_has_a_part_gets_the_finding() -> None:
    found = correlating.try_out(loaded(HOSTS), [run(host) for host in ("a", "b", "c")])
    assert {finding.host for finding in found} == {"a", "b", "c"}
    assert len({finding.id for finding in found}) == 3
    assert all([member.host for member in finding.members] == ["a", "b", "c"] for finding in found)
    assert found[0].group == {"CommandLine": "lua x.lua"}
    assert "3 different values of Computer" in {piece.test for piece in found[0].evidence}


def test_many_hosts_are_cut_and_events_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    found = correlating.try_out(loaded(HOSTS), [run(f"h{n:03}", n) for n in range(120)])
    assert len(found) == correlating.MAX_HOSTS
    assert {(len(finding.members), finding.members_cut) for finding in found} == {(50, 70)}


def test_a_stretch_beyond_the_limit_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("perilune.detection.correlate.MAX_STRETCHES", 2)
    rules = loaded(HOSTS.replace("gte: 3", "gte: 1"))
    rows = [("DeviceProcessEvents", run("a", n)[1] | {"ProcessCommandLine": f"lua {n}"}) for n in range(5)]
    assert len(correlating.try_out(rules, rows)) == 2


def test_why_a_correlation_does_not_hold(tmp_path: Path) -> None:
    rules = tmp_path / "r.yml"
    rules.write_text(CORRELATION)
    log = write(tmp_path / "a.log", 4)
    (one,) = pipeline.explain(str(rules), log, limit=1)
    assert not one.why.held
    assert "4 events, asked for is at least 5" in one.why.parts[0].test
    assert len(one.why.parts[0].parts) == 4
    write(tmp_path / "a.log", 8)
    assert pipeline.explain(str(rules), log, limit=1)[0].why.held


def test_without_a_window_its_rules_are_explained(tmp_path: Path) -> None:
    rules = tmp_path / "r.yml"
    rules.write_text(CORRELATION.replace("/lua5.4", "/nothing"))
    found = pipeline.explain(str(rules), write(tmp_path / "a.log", 2))
    assert {(one.rule.title, one.why.held) for one in found} == {("Lua", False)}


def test_a_story_repeats_an_event(tmp_path: Path) -> None:
    path = tmp_path / "r.events.yml"
    path.write_text("hit:\n- - {table: DeviceProcessEvents, at: 5, times: 3, every: 10, row: {DeviceName: a}}\n")
    (story,) = stories.load(path)
    times = [row["Timestamp"] for _, row in story.rows]
    assert times == [stories.BEGIN + timedelta(seconds=n) for n in (5, 15, 25)]


@pytest.mark.parametrize(
    "text",
    ["[]", "hit: 3", "other: []", "hit: [3]", "hit: [[]]", "hit: [[{table: X, at: 0, row: {}}]]", "hit: [[", "\x00",
     "hit: [[{table: DeviceProcessEvents, at: -1, row: {}}]]", "hit: [[{table: DeviceProcessEvents, row: {}}]]",
     "hit: [[{table: DeviceProcessEvents, at: 0, times: 100000, row: {}}]]",
     "hit: [[{table: DeviceProcessEvents, at: 0, row: {Nope: 1}}]]"],
)  # fmt: skip
def test_a_wrong_story_says_where(tmp_path: Path, text: str) -> None:
    path = tmp_path / "r.events.yml"
    path.write_text(text)
    with pytest.raises(RuleError) as raised:
        stories.load(path)
    assert raised.value.where
    assert str(path) in raised.value.where
