"""The command line from outside: what it prints, and how it ends."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import jsonschema
import pytest

SAMPLES = Path(str(files("perilune") / "content" / "samples"))


def perilune(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "perilune", *map(str, arguments)],
        capture_output=True,
        text=True,
        env={**os.environ, "NO_COLOR": "1", "COLUMNS": "160", **environment},
        timeout=120,
    )


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[subprocess.CompletedProcess[str]]:
    home = tmp_path_factory.mktemp("home")
    yield perilune("hunt", "--demo", "--json", PERILUNE_HOME=str(home))


def test_the_demo_finds_cases_on_the_attacked_hosts_and_ends_with_1(
    demo: subprocess.CompletedProcess[str],
) -> None:
    assert demo.returncode == 1, demo.stderr
    found = json.loads(demo.stdout)
    assert found["input"]["complete"]
    assert {case["severity"] for case in found["cases"]} & {"high", "critical"}
    scores = [case["score"] for case in found["cases"]]
    assert scores == sorted(scores, reverse=True)
    assert all(case["id"].startswith("C-") for case in found["cases"])


def test_json_follows_its_schema_and_names_every_author(demo: subprocess.CompletedProcess[str]) -> None:
    found = json.loads(demo.stdout)
    schema = json.loads((files("perilune") / "content" / "schemas" / "hunt.schema.json").read_text())
    jsonschema.validate(found, schema)
    assert all(finding["rule_author"] for finding in found["findings"])
    assert all(sum(r["points"] for r in c["reasons"]) == c["score"] for c in found["cases"])
    known = {case["id"] for case in found["cases"]}
    assert {finding["case"] for finding in found["findings"]} <= known


def test_json_lines_hold_the_same(tmp_path: Path) -> None:
    done = perilune("hunt", "--demo", "--jsonl", "--no-store", "--quiet")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert {"case", "finding", "input"} <= {line["type"] for line in lines}
    assert lines[-1]["type"] == "input"
    assert done.stderr == ""


def test_a_second_hunt_adds_no_case() -> None:
    perilune("hunt", "--demo", "--quiet")
    first = json.loads(perilune("case", "list", "--json").stdout)
    perilune("hunt", "--demo", "--quiet")
    assert json.loads(perilune("case", "list", "--json").stdout) == first
    assert first["total"] >= 1


def test_a_case_is_listed_shown_and_reported(tmp_path: Path) -> None:
    perilune("hunt", "--demo", "--quiet")
    listed = perilune("case", "list")
    assert "C-1" in listed.stdout
    shown = perilune("case", "show", "C-1")
    assert shown.returncode == 0
    for part in ("Findings", "Process tree", "Timeline", "T1059"):
        assert part in shown.stdout
    whole = json.loads(perilune("case", "show", "C-1", "--json").stdout)["case"]
    assert whole["tree"]
    assert whole["timeline"]
    page = tmp_path / "case.html"
    assert perilune("report", "C-1", "-o", page).returncode == 0
    assert page.read_text(encoding="utf-8").startswith("<!doctype html>")
    again = perilune("report", "C-1", "-o", page)
    assert again.returncode == 2
    assert "--force" in again.stderr
    assert perilune("report", "C-1", "-o", "-", "--format", "markdown").stdout.startswith("# ")


def test_nothing_found_ends_with_0(tmp_path: Path) -> None:
    log = tmp_path / "quiet.log"
    log.write_text(
        "type=SYSCALL msg=audit(1795278909.492:251): arch=c000003e syscall=59 success=yes exit=0 ppid=1 pid=5 "
        'uid=0 comm="ls" exe="/usr/bin/ls" key="exec"\n'
        'type=EXECVE msg=audit(1795278909.492:251): argc=1 a0="ls"\n'
    )
    done = perilune("hunt", log)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "rules found nothing in" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["hunt"], "perilune hunt --demo"),
        (["hunt", "--level", "loud", "x"], "loud"),
        (["case", "show", "C-404"], "C-404"),
        (["case", "show", "x; rm"], "C-12"),
        (["report", "C-404", "-o", "x.html"], "C-404"),
        (["nonsense"], "nonsense"),
        (["rules", "explain", "no such rule", "README.md"], "no such rule"),
    ],
)
def test_a_users_mistake_is_one_line_and_2(arguments: list[str], says: str) -> None:
    done = perilune(*arguments)
    assert done.returncode == 2
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_a_store_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    done = perilune("case", "list", PERILUNE_STORE=str(tmp_path / "file" / "cases.db"))
    assert done.returncode == 2
    assert "PERILUNE_STORE" in done.stderr
    assert "Traceback" not in done.stderr


def test_wrong_settings_are_said(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text("colour = 1\n")
    done = perilune("case", "list", PERILUNE_HOME=str(tmp_path))
    assert done.returncode == 2
    assert "colour" in done.stderr


def test_doctor_says_what_this_machine_can_do() -> None:
    done = perilune("doctor", "--json")
    assert done.returncode == 0, done.stdout
    checks = {check["name"]: check for check in json.loads(done.stdout)["checks"]}
    assert checks["pack"]["ok"]
    assert checks["store"]["ok"]


def test_completion_is_printed_for_each_shell() -> None:
    for shell in ("bash", "zsh", "fish"):
        assert "_PERILUNE_COMPLETE" in perilune("completion", shell).stdout


def test_version() -> None:
    assert perilune("--version").stdout.startswith("perilune, version ")


def test_a_rule_is_explained_on_an_event() -> None:
    rules = json.loads(perilune("rules", "list", "--json").stdout)
    assert not rules["refused"]
    assert len(rules["rules"]) >= 12
    found = json.loads(perilune("hunt", "--demo", "--json", "--no-store").stdout)["findings"][0]
    source = found["event"]["file"]
    done = perilune("rules", "explain", found["rule_id"], source, "--record", str(found["event"]["record"]), "--json")
    explained = json.loads(done.stdout)["explanations"]
    assert explained[0]["held"] is True


def test_a_reader_of_our_output_may_go_away() -> None:
    command = f"{sys.executable} -m perilune hunt --demo --jsonl --no-store -q | head -1"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=120)
    assert "Traceback" not in done.stderr
