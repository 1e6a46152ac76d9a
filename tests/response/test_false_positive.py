"""Proposals explain one command line, are valid rules, and are refused where they would explain an interpreter."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pyarrow as pa
import pytest
import yaml

from perilune import pipeline
from perilune.detection import oracle
from perilune.model.rules import Role
from perilune.model.tables import COLUMNS, Table
from perilune.response.false_positive import Proposal, propose
from perilune.service.subject import is_interpreter
from tests.build import case, finding

ROW = {
    "FileName": "lua5.4",
    "FolderPath": "/usr/bin/lua5.4",
    "ProcessCommandLine": "lua5.4 /opt/report/run.lua --all *.csv",
    "InitiatingProcessFolderPath": "/usr/sbin/cron",
    "XUser": "reports",
    "XPlatform": "linux",
}


def proposals(**row: str) -> tuple[Proposal, ...]:
    one = finding(row=ROW | row)
    return propose(case(one), author="ana", today=date(2026, 11, 21), is_interpreter=is_interpreter)


def test_a_proposal_is_a_rule_that_hits_its_event_and_not_the_next(tmp_path: Path) -> None:
    made = proposals()[0]
    path = tmp_path / "proposed.yml"
    path.write_text(made.rule)
    rules = pipeline.load_rules([path], pack=False)
    assert rules.refused == ()
    rule = rules.rules[0]
    assert rule.role is Role.CONTEXT
    events = yaml.safe_load(made.events)
    for expected, word in ((True, "hit"), (False, "miss")):
        row = events[word][0]["row"]
        schema = pa.schema([(name, COLUMNS[name]) for name in row])
        table = Table("DeviceProcessEvents", pa.Table.from_pylist([row], schema=schema))
        assert bool(list(oracle.match([rule], table))) is expected


@pytest.mark.parametrize("command", ["lua5.4", "/usr/bin/lua5.4", '"C:\\Program Files\\Lua\\lua.exe"', ""])
def test_an_interpreter_as_a_whole_is_never_proposed(command: str) -> None:
    made = proposals(ProcessCommandLine=command)[0]
    assert made.rule == ""
    assert "as a whole" in made.refused


def test_the_same_command_line_is_proposed_once() -> None:
    found = propose(
        case(finding("a", row=ROW), finding("b", row=ROW)),
        author="ana",
        today=date(2026, 11, 21),
        is_interpreter=is_interpreter,
    )
    assert len(found) == 1


def test_a_hostile_command_line_stays_text(tmp_path: Path) -> None:
    made = proposals(ProcessCommandLine="lua x.lua .*\n  condition: not this #")[0]
    body = yaml.safe_load(made.rule)
    assert body["detection"]["condition"] == "this"
    assert body["perilune"]["role"] == "context"
