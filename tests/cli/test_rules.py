"""`perilune rules lint|test|coverage`: outputs, places and exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from perilune.cli.main import cli
from tests.detection.test_lint import CAREFUL, EVENTS


def run(*arguments: object) -> Result:
    return CliRunner().invoke(cli, ["rules", *map(str, arguments)], env={"COLUMNS": "160"})


@pytest.fixture
def own(tmp_path: Path) -> Path:
    (tmp_path / "mail_read.yml").write_text(CAREFUL.replace("\\\\", "\\"), encoding="utf-8")
    (tmp_path / "mail_read.events.yml").write_text(EVENTS, encoding="utf-8")
    return tmp_path


def test_lint_of_a_careful_rule(own: Path) -> None:
    done = run("lint", own)
    assert (done.exit_code, done.stdout) == (0, "")
    assert "1 rules, 0 faults" in done.stderr


def test_lint_says_where_what_and_what_to_do(own: Path) -> None:
    rule = own / "mail_read.yml"
    rule.write_text(rule.read_text().replace("'/var/mail/'", "mail").replace("level: medium", "level: urgent"))
    done = run("lint", own)
    assert done.exit_code == 1
    line = rule.read_text().splitlines().index("    CommandLine|contains: mail") + 1
    assert f"{rule}:{line}: word-anchored: CommandLine|contains: mail" in done.stdout
    assert "What to do:" in done.stdout and "informational, low, medium" in done.stdout
    found = json.loads(run("lint", own, "--json", "--exclude", "word-anchored").stdout)
    assert [fault["lint"] for fault in found["faults"]] == ["level"]


def test_lint_refuses_a_check_that_does_not_exist(own: Path) -> None:
    done = run("lint", own, "--exclude", "spelling")
    assert done.exit_code == 2 or "there is no check spelling" in str(done.exception) + done.output


def test_the_checks_of_the_house_are_asked_for(own: Path) -> None:
    rule = own / "mail_read.yml"
    rule.write_text(rule.read_text().replace("Perilune authors", "Somebody"))
    assert run("lint", own).exit_code == 0
    assert "origin: Somebody" in run("lint", own, "--house").stdout


def test_a_rule_is_tried_on_its_events(own: Path) -> None:
    done = run("test", own)
    assert done.exit_code == 0
    assert "1 rules, 4 events, 0 wrong, 0 not tried" in done.stderr


def test_what_goes_wrong_is_explained(own: Path) -> None:
    events = own / "mail_read.events.yml"
    events.write_text(EVENTS.replace("lua b.lua /var/mail/root", "lua b.lua /srv/mail/root"))
    done = run("test", own)
    assert done.exit_code == 1
    said = " ".join(done.stdout.split())  # however wide the terminal is, and however long the folder's name
    assert "hit 2 is not hit but must be" in said
    assert "contains '/var/mail/'" in said and "value: lua b.lua /srv/mail/root" in said
    found = json.loads(run("test", own, "--json").stdout)
    assert [one["right"] for one in found["outcomes"]] == [True, False, True, True]


def test_a_rule_without_events_or_meaning_is_not_passed(own: Path) -> None:
    (own / "mail_read.events.yml").unlink()
    done = run("test", own)
    assert done.exit_code == 1 and "no events beside it" in done.stdout
    rule = own / "mail_read.yml"
    rule.write_text(rule.read_text().replace("process_creation", "tea_leaves"))
    assert "cannot be evaluated: no reader fills" in run("test", own).stdout


def test_coverage_as_a_table_as_json_and_as_a_layer(tmp_path: Path, own: Path) -> None:
    path = tmp_path / "layer.json"
    done = run("coverage", own, "--no-pack", "--json", "--navigator", path)
    rows = {row["technique"]: row for row in json.loads(done.stdout)["techniques"]}
    assert len(rows) == 14 and rows["T1059.011"]["rules"] == 1
    assert rows["T1059.011"]["logsources"] == {"linux/process_creation": 1}
    assert json.loads(path.read_text())["versions"]["layer"] == "4.5"
    table = run("coverage", own, "--no-pack", "--sources").stdout
    assert "T1059.013" in table and "linux/process_creation 1" in table
