"""Tests run for real on this machine: found by name of rule, missed where nobody looks, and nothing left behind.

All of the pack runs in `tests/cli/test_validate.py`; these are few, and odd.
"""

from __future__ import annotations

import os
import subprocess
from contextlib import closing
from pathlib import Path

import pytest

from perilune.model.atomics import Atomic, Dependency
from perilune.model.rules import Level
from perilune.service.netlink.control import Control
from perilune.service.netlink.recording import parse_mark
from perilune.service.netlink.rules import key_of
from perilune.service.validation.trials import State, Trial, Validation, Wish, validate
from tests.service.netlink.conftest import audit, why_not

NUMBER = 0


def _atomic(name: str, command: str, *, technique: str = "T1059.004", **more: object) -> Atomic:
    global NUMBER
    NUMBER += 1
    given: dict[str, object] = {"description": name, "platforms": ("linux",), "executor": "sh", "guid": ""} | more
    return Atomic(technique=technique, number=NUMBER, name=name, command=command, **given)  # type: ignore[arg-type]


LEFT = "/tmp/lab-left-behind"
ATOMICS = [
    _atomic("found", "sh /dev/shm/.lab-trial", cleanup="rm -f /dev/shm/.lab-trial"),
    _atomic("other technique", "sh /dev/shm/.lab-trial", technique="T1059.006"),
    _atomic("harmless", "ls / > /dev/null"),
    _atomic("silent", ":"),
    _atomic("of windows", "dir", platforms=("windows",)),
    _atomic("by hand", "", executor="manual"),
    _atomic("needs", "lualatex", dependencies=(Dependency("a program that nobody has", "command -v no-such-program"),)),
    _atomic("of root", "id", elevation=True),
    _atomic("leaves a file", f"echo x > {LEFT}; ls {LEFT}"),
    _atomic("leaves a process", "setsid sleep 302 > /dev/null 2>&1 & sleep 0.5"),
    _atomic("never ends", "sleep 303"),
    _atomic("cleans up badly", "ls / > /dev/null", cleanup="exit 4"),
]


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Validation:
    if reason := why_not():
        pytest.skip(reason)
    try:
        with audit(alone=False):
            return validate(ATOMICS, Wish(keep=tmp_path_factory.mktemp("kept"), timeout=3))
    finally:
        Path(LEFT).unlink(missing_ok=True)


def _trial(found: Validation, name: str) -> Trial:
    return next(trial for trial in found.trials if trial.atomic.name == name)


pytestmark = pytest.mark.needs_root


def test_a_test_is_found_by_the_rule_of_its_technique(found: Validation) -> None:
    trial = _trial(found, "found")
    assert trial.state is State.FOUND
    assert [rule.title for rule in trial.rules] == ["Shell Runs a Script From Shared Memory or a Hidden File"]
    assert trial.events > 5


def test_a_rule_of_another_technique_has_not_found_it(found: Validation) -> None:
    trial = _trial(found, "other technique")
    assert trial.state is State.MISSED
    assert "T1059.004" in trial.others[0].techniques


@pytest.mark.parametrize("name", ["harmless", "silent"])
def test_what_nothing_is_wrong_with_is_missed(found: Validation, name: str) -> None:
    trial = _trial(found, name)
    assert (trial.state, trial.rules, trial.others, trial.code) == (State.MISSED, (), (), 0)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("of windows", "for windows"),
        ("by hand", "its executor is manual"),
        ("needs", "needs a program that nobody has"),
        ("of root", "asks for root: --allow-root"),
    ],
)
def test_what_cannot_run_says_why(found: Validation, name: str, reason: str) -> None:
    trial = _trial(found, name)
    assert (trial.state, trial.reason, trial.events) == (State.NOT_RUN, reason, 0)


def test_a_file_left_behind_is_told_of_its_test_only(found: Validation) -> None:
    assert _trial(found, "leaves a file").left == (f"file {LEFT}",)
    assert found.left == ()
    assert not found.is_clean


def test_a_process_left_behind_is_told_and_ended(found: Validation) -> None:
    assert _trial(found, "leaves a process").left == ("process sleep 302",)
    assert subprocess.run(["pgrep", "-f", "^sleep 302$"], check=False).returncode == 1


def test_one_that_never_ends_is_ended(found: Validation) -> None:
    trial = _trial(found, "never ends")
    assert trial.reason == "had to be ended: its time was over"
    assert trial.code is None


def test_a_failed_clean_up_is_told(found: Validation) -> None:
    assert _trial(found, "cleans up badly").reason == "its clean-up ended with 4"


def test_the_laboratory_itself_is_not_what_is_found(found: Validation) -> None:
    assert found.control == ()
    assert found.is_sound


def test_nothing_of_the_recording_is_left(found: Validation) -> None:
    assert found.whole
    assert not found.losses
    with closing(Control()) as control:
        keys = [parse_mark(key_of(rule)) for rule in control.rules()]
    assert not [mark for mark in keys if mark and mark.process == os.getpid()]


def test_one_that_asks_for_root_runs_where_it_is_allowed(tmp_path: Path) -> None:
    """And what root makes is seen as well; at a level that no rule reaches, nothing is found."""
    target = tmp_path / "of-root"
    atomic = _atomic("root", f"sh /dev/shm/.lab-trial; id -u > {target}", elevation=True)
    with audit(alone=False):
        found = validate([atomic], Wish(root=True, least=Level.CRITICAL))
    assert target.read_text() == "0\n"
    assert found.trials[0].left == (f"file {target}",)
    assert found.trials[0].state is State.MISSED
    assert found.trials[0].others
