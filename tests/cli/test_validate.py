"""`perilune validate` for real: every test that can run here is found by a rule of its technique, nothing is left."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from click.testing import CliRunner, Result

from perilune.cli.main import cli
from perilune.cli.validate import choose, exit_code
from perilune.errors import ContentError
from perilune.model.rules import Level
from perilune.service.netlink import Losses
from perilune.service.validation.atomics import load_atomics
from perilune.service.validation.leftovers import load_machine
from perilune.service.validation.trials import Named, State, Trial, Validation
from tests.service.netlink.conftest import audit, why_not

SCHEMA = json.loads((files("perilune") / "content" / "schemas" / "validate.schema.json").read_text())
PACK = load_atomics().atomics


def _run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["validate", *arguments], env={"COLUMNS": "160"})


def _perilune(*arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "perilune", "validate", *arguments]
    environment = {**os.environ, "COLUMNS": "200"}
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)


@pytest.fixture
def real() -> Iterator[None]:
    """Where the machine can be recorded, and nobody changes the audit by hand meanwhile."""
    if reason := why_not():
        pytest.skip(reason)
    with audit(alone=False):
        yield


@pytest.mark.needs_root
def test_every_atomic_is_found_by_name_of_rule_with_its_own_technique_and_nothing_is_left(real: None) -> None:
    started = _perilune("--json", "--quiet")
    out, err = started.communicate(timeout=900)
    whole = json.loads(out)
    jsonschema.validate(whole, SCHEMA)
    assert [test["id"] for test in whole["tests"]] == [atomic.id for atomic in PACK]
    ran = [test for test in whole["tests"] if test["state"] != "not_run"]
    assert [test for test in ran if _is_wrong(test)] == []
    assert sum(test["technique"] == "T1059.011" for test in ran) >= 15, _not_run(whole)
    assert all(reason.startswith("needs ") for reason in _not_run(whole)), _not_run(whole)
    assert whole["sensor"] == {"whole": True, "overruns": 0, "dropped": 0, "kernel_lost": 0}
    assert (whole["control"], whole["left_behind"], whole["clean"]) == ([], [], True)
    assert (whole["found"], whole["missed"], started.returncode, err) == (len(ran), 0, 0, "")


def _is_wrong(test: dict[str, Any]) -> bool:
    named = all(test["technique"] in rule["techniques"] and rule["title"] for rule in test["rules"])
    went_well = (test["exit_code"], test["reason"], test["left_behind"]) == (0, None, [])
    return not (test["detected"] is True and test["rules"] and named and went_well)


def _not_run(whole: dict[str, Any]) -> list[str]:
    return [test["reason"] for test in whole["tests"] if test["detected"] is None]


@pytest.mark.needs_root
def test_the_kept_logs_are_logs_like_any(real: None, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    started = _perilune("--test", "T1059.004-4", "--keep", str(kept))
    out, err = started.communicate(timeout=300)
    assert started.returncode == 0, err
    assert "Shell Runs a Script From Shared Memory or a Hidden File (high)" in out
    assert "1 found, 0 missed, 0 not run" in out
    assert "Nothing was left behind." in out
    hunted = CliRunner().invoke(cli, ["hunt", str(kept), "--no-store", "--json", "--quiet"])
    titles = {finding["rule_title"] for finding in json.loads(hunted.stdout)["findings"]}
    assert "Shell Runs a Script From Shared Memory or a Hidden File" in titles
    assert sorted(path.name for path in kept.iterdir()) == ["T1059.004-4.log", "control.log"]


@pytest.mark.needs_root
def test_a_missed_test_is_said_and_is_the_exit_code(real: None, tmp_path: Path) -> None:
    text = "attack_technique: T1059.011\natomic_tests:\n- {name: quiet, description: d, supported_platforms: [linux], "
    (tmp_path / "a.yaml").write_text(text + "executor: {name: sh, command: ls /}}\n")
    started = _perilune("--atomics", str(tmp_path), "--json", "--quiet")
    (test,) = json.loads(started.communicate(timeout=300)[0])["tests"]
    assert (test["detected"], test["rules"], started.returncode) == (False, [], 1)


@pytest.mark.needs_root
def test_one_that_is_told_to_stop_puts_everything_back(real: None, tmp_path: Path) -> None:
    before = load_machine()
    text = "attack_technique: T1059.011\natomic_tests:\n- {name: long, description: d, supported_platforms: [linux], "
    (tmp_path / "a.yaml").write_text(text + "executor: {name: sh, command: sleep 304}}\n")
    started = _perilune("--atomics", str(tmp_path), "--timeout", "600")
    for _ in range(600):
        if subprocess.run(["pgrep", "-f", "^sleep 304$"], check=False, capture_output=True).returncode == 0:
            break
        time.sleep(0.1)
    started.send_signal(signal.SIGTERM)
    _, err = started.communicate(timeout=60)
    assert (started.returncode, err.strip()) == (130, "perilune: stopped")
    assert subprocess.run(["pgrep", "-f", "^sleep 304$"], check=False, capture_output=True).returncode == 1
    assert load_machine().rules <= before.rules


@pytest.mark.needs_root
def test_where_the_audit_is_refused_it_says_so(real: None) -> None:
    without = ["setpriv", "--bounding-set=-audit_control", sys.executable, "-m", "perilune", "validate"]
    done = subprocess.run(without, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "the kernel refuses its audit to this process (run as root, outside of a container)" in done.stderr


def test_the_list_runs_nothing() -> None:
    done = _run("--list", "--technique", "t1059.011", "--json")
    tests = json.loads(done.stdout)["tests"]
    assert len(tests) >= 15
    assert {test["technique"] for test in tests} == {"T1059.011"}
    assert "T1059.013-1" in _run("--list").output


def test_a_technique_takes_its_sub_techniques_and_no_test_is_an_error() -> None:
    assert len(choose(PACK, ["T1059"], [])) == len(PACK)
    assert [one.id for one in choose(PACK, ["attack.t1059.011"], ["T1059.011-2", "t1059.004-1"])] == ["T1059.011-2"]
    assert [one.id for one in choose(PACK, [], [PACK[0].guid, PACK[1].name])] == [PACK[0].id, PACK[1].id]
    done = _run("--technique", "T1058")
    assert "no such test" in str(done.exception)


def test_a_wrong_file_is_told_with_its_place_and_outranks_what_was_found(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("attack_technique: no\n")
    done = _run("--atomics", str(tmp_path), "--list")
    assert f"{tmp_path}/a.yaml:1: attack_technique must be a technique" in done.stderr


def _validation(*states: State, **more: Any) -> Validation:
    trials = tuple(Trial(PACK[0], state, left=more.pop("trial_left", ())) for state in states)
    given: dict[str, Any] = {"control": (), "left": (), "losses": Losses(), "whole": True} | more
    return Validation(trials, **given)


@pytest.mark.parametrize(
    ("found", "code"),
    [
        (_validation(State.FOUND, State.NOT_RUN), 0),
        (_validation(State.FOUND, State.MISSED), 1),
        (_validation(State.FOUND, left=("file /tmp/x",)), 1),
        (_validation(State.FOUND, trial_left=("file /tmp/x",)), 1),
        (_validation(State.NOT_RUN), 3),
        (_validation(State.MISSED, losses=Losses(overruns=1, dropped=None)), 3),
        (_validation(State.FOUND, whole=False), 3),
        (_validation(State.FOUND, control=(Named("i", "t", Level.LOW, ()),)), 3),
    ],
)
def test_the_exit_code_says_what_can_be_said(found: Validation, code: int) -> None:
    assert exit_code(found) == code
    assert exit_code(found, [ContentError("wrong")]) == 3
