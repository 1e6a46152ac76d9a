"""Alerts of other products become cases with our analysis on them."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import pytest

from perilune import alerts
from perilune.alerts import Imported
from perilune.model.case import Case
from perilune.model.rules import Level

FOLDER = Path(__file__).parent / "readers" / "alerts"
TODAY = date(2026, 11, 22)


def triaged(*names: str, tmp_path: Path) -> Imported:
    files = [alerts.load(FOLDER / name) for name in names]
    return alerts.triage(files, cache=tmp_path / "cache", today=TODAY)


@pytest.fixture(scope="module")
def every(tmp_path_factory: pytest.TempPathFactory) -> Imported:
    return triaged(*sorted(one.name for one in FOLDER.iterdir()), tmp_path=tmp_path_factory.mktemp("alerts"))


def of_host(found: Imported, host: str) -> Case:
    (case,) = [one for one in found.cases if one.host == host]
    return case


def test_every_alert_is_in_a_case(every: Imported) -> None:
    titles = {finding.rule_title for case in every.cases for finding in case.findings}
    assert {one.title for one in every.alerts} <= titles
    assert {one.host for one in every.cases} >= {"FIN-WS-07", "web-42.corp.example", "dev-9.corp.example", "db-1"}


def test_an_alert_is_explained_and_our_rules_agree(every: Imported) -> None:
    case = of_host(every, "web-42.corp.example")
    theirs = next(one for one in case.findings if one.rule_author == "Microsoft Defender")
    assert theirs.analysis is not None
    assert theirs.analysis.score >= 70
    assert theirs.techniques[:2] == ("T1059.011", "T1071")
    assert theirs.rule_source == "alert da637_1 of incident 9001"
    assert any(one.rule_source.startswith("pack:") for one in case.findings)
    assert case.level >= Level.HIGH, "what was medium there weighs more once its command line is read"
    assert case.verdict is not None
    assert case.answers
    assert {node.name for node in case.tree} >= {"lua54.exe"}


def test_techniques_come_from_the_command_line_where_the_alert_names_none(every: Imported) -> None:
    found = [f for case in every.cases for f in case.findings if f.rule_title == "Encoded PowerShell"]
    assert "T1059.001" in found[0].techniques
    assert found[0].analysis is not None
    assert any("DownloadString" in layer.text for layer in found[0].analysis.layers)


def test_an_alert_that_names_no_event_is_a_case_and_nothing_is_made_up(every: Imported) -> None:
    case = of_host(every, "kiosk-2")
    (finding,) = case.findings
    assert finding.event.table == "DeviceEvents"
    assert finding.row["ActionType"] == "AlertReported"
    assert finding.time is None
    assert finding.analysis is None


def test_the_same_alert_is_the_same_finding(tmp_path: Path, every: Imported) -> None:
    again = triaged("defender_endpoint.json", tmp_path=tmp_path)
    ids = {f.id for case in again.cases for f in case.findings}
    assert ids <= {f.id for case in every.cases for f in case.findings}


def test_a_known_use_lowers_an_alert_too(tmp_path: Path) -> None:
    file = tmp_path / "nmap.json"
    process = {"executable": "/usr/bin/nmap", "command_line": "nmap -sV --script default 10.0.0.0/24"}
    alert = {"title": "Lua script engine used", "severity": "medium", "host": "scan-1", "process": process}
    file.write_text(json.dumps(alert))
    (case,) = alerts.triage([alerts.load(file)], cache=tmp_path / "cache", today=TODAY).cases
    (finding,) = case.findings
    assert finding.context, "nmap runs its own scripts"
    assert finding.score < 48
