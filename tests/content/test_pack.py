"""Each rule of the pack hits what its events say it hits, and misses what they say it misses.

`<rule>.events.yml` beside each rule holds `hit:` and `miss:`, lists of `{table, row}` in the columns of
`perilune.model.tables`. The rule is parsed by the real parser and held against the row by the oracle.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from pathlib import Path

import pyarrow as pa
import pytest
import yaml

from perilune.detection import matching, oracle, sigma
from perilune.model.rules import Role, Rule, RuleSet
from perilune.model.tables import COLUMNS, Table

CONTENT = Path(str(files("perilune") / "content"))
RULES = sorted(p for p in (CONTENT / "sigma").rglob("*.yml") if not p.name.endswith(".events.yml"))
KNOWN_HOSTS = sorted(p for p in (CONTENT / "known_hosts").rglob("*.yml") if not p.name.endswith(".events.yml"))


@cache
def parsed(path: Path) -> Rule:
    found = sigma.parse(path.read_text(encoding="utf-8"), path.name)
    assert not found.refused, f"{path.name} is refused: {found.refused[0].reason}"
    assert len(found.rules) == 1, f"{path.name}: one rule a file"
    return found.rules[0]


@cache
def events_of(path: Path) -> dict[str, list[dict[str, object]]]:
    return yaml.safe_load(path.with_name(f"{path.stem}.events.yml").read_text(encoding="utf-8"))


def cases() -> Iterator[object]:
    for path in (*RULES, *KNOWN_HOSTS):
        for kind, events in events_of(path).items():
            for number, event in enumerate(events, start=1):
                yield pytest.param(path, kind == "hit", event, id=f"{path.stem}-{kind}-{number}")


@pytest.mark.parametrize("path, hits, event", list(cases()))
def test_a_rule_does_what_its_events_say(path: Path, hits: bool, event: dict) -> None:
    rule = parsed(path)
    assert oracle.rule_holds(rule, event["table"], event["row"]) is hits


@pytest.mark.parametrize("path", RULES, ids=lambda p: p.stem)
def test_a_rule_of_the_pack_detects(path: Path) -> None:
    assert parsed(path).role is Role.DETECTION


@pytest.mark.parametrize("path", KNOWN_HOSTS, ids=lambda p: p.stem)
def test_a_known_host_lowers_and_says_by_how_much(path: Path) -> None:
    rule = parsed(path)
    assert rule.role is Role.CONTEXT
    assert 0 < rule.lowers <= 30, "a known use explains a finding; it must not be able to hide one"


def test_no_known_host_explains_a_script_from_shared_memory() -> None:
    row = {
        "FolderPath": "/usr/bin/nmap",
        "ProcessCommandLine": "nmap --script /dev/shm/x.nse 192.0.2.1",
        "InitiatingProcessFolderPath": "/usr/bin/bash",
        "XPlatform": "linux",
    }
    explained = [p.stem for p in KNOWN_HOSTS if oracle.rule_holds(parsed(p), "DeviceProcessEvents", row)]
    assert explained == []


def test_no_known_host_explains_a_hit_of_a_strong_rule() -> None:
    """What a high rule must hit is an attack; if a known host covers it too, that host is drawn too wide."""
    hosts = [parsed(path) for path in KNOWN_HOSTS]
    wide = [
        (path.stem, host.title)
        for path in RULES
        if parsed(path).level.word in ("high", "critical")
        for event in events_of(path)["hit"]
        for host in hosts
        if oracle.rule_holds(host, event["table"], event["row"])
    ]
    assert wide == []


def test_the_fast_matcher_agrees_on_every_event() -> None:
    """All rules over all events at once, as a hunt does it, and one rule at a time over one row."""
    rules = RuleSet(tuple(parsed(path) for path in (*RULES, *KNOWN_HOSTS)))
    rows: dict[str, list[dict]] = {}
    for path in (*RULES, *KNOWN_HOSTS):
        for event in (e for group in events_of(path).values() for e in group):
            rows.setdefault(event["table"], []).append(event["row"])
    for name, of_table in rows.items():
        names = sorted({column for row in of_table for column in row})
        schema = pa.schema([(column, COLUMNS[column]) for column in names])
        table = Table(name, pa.Table.from_pylist(of_table, schema))
        fast = {(rule.title, index) for rule, index in matching.match(rules, table)}
        slow = {
            (rule.title, index)
            for index, row in enumerate(of_table)
            for rule in rules.rules
            if oracle.rule_holds(rule, name, row)
        }
        assert fast == slow


def test_a_rule_of_one_systems_shell_holds_on_no_other_system() -> None:
    """T1059.003 is the command prompt of Windows and T1059.004 the shells of Unix; a finding names what ran."""
    rows = [event for path in RULES for event in events_of(path)["hit"] if event["table"] == "DeviceProcessEvents"]
    wrong = [
        (path.stem, row["XPlatform"], row.get("ProcessCommandLine"))
        for path in RULES
        for technique, platforms in (("T1059.003", ("linux", "macos")), ("T1059.004", ("windows",)))
        if technique in parsed(path).techniques
        for row in (event["row"] for event in rows)
        if row["XPlatform"] in platforms and oracle.rule_holds(parsed(path), "DeviceProcessEvents", row)
    ]
    assert wrong == []
