"""`perilune import`: alerts in, cases out, once each."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
from click.testing import CliRunner, Result

from perilune.cli.main import cli

FOLDER = Path(__file__).parents[1] / "readers" / "alerts"
SCHEMA = Path(__file__).parents[2] / "src" / "perilune" / "content" / "schemas" / "import.schema.json"


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, arguments, standalone_mode=False)


def test_alerts_become_cases_once() -> None:
    path = str(FOLDER / "defender_endpoint.json")
    first = run("import", path)
    assert first.exception is None, first.exception
    assert first.return_value == 1
    assert "C-1" in first.stdout
    assert "Read 1 alerts in 1 files." in first.stderr
    run("import", path, "--quiet")
    listed = json.loads(run("case", "list", "--json").stdout)
    assert listed["total"] == 1
    shown = run("case", "show", "C-1").stdout
    assert "Suspicious Lua interpreter activity" in shown
    assert "Microsoft Defender" in shown


def test_json_follows_its_schema() -> None:
    done = run("import", str(FOLDER / "generic.jsonl"), str(FOLDER / "cortex_incident.json"), "--json", "--no-store")
    assert done.return_value == 3, "a line could not be read"
    found = json.loads(done.stdout)
    jsonschema.validate(found, json.loads(SCHEMA.read_text(encoding="utf-8")))
    assert len(found["alerts"]) == 4
    assert "not imported: 1 × neither a title nor a command line" in done.stderr
    assert json.loads(run("case", "list", "--json").stdout)["total"] == 0


def test_what_holds_no_alert_is_said(tmp_path: Path) -> None:
    done = run("import", str(FOLDER / "cortex_incidents_only.json"))
    assert done.return_value == 3
    assert "an incident without its alerts" in done.stderr
    empty = tmp_path / "empty.json"
    empty.write_text("")
    assert run("import", str(empty)).return_value == 3


def test_wrong_use() -> None:
    assert "nothing to read" in str(run("import").exception)


@pytest.mark.parametrize("title", ["\x1b[31mred", "‮gpj.exe", "<script>alert(1)</script>"])
def test_a_hostile_title_is_text(tmp_path: Path, title: str) -> None:
    file = tmp_path / "a.json"
    file.write_text(json.dumps({"title": title, "severity": "high", "host": title}))
    done = run("import", str(file))
    assert "\x1b" not in done.stdout
    assert "‮" not in done.stdout
