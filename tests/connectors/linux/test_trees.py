"""Processes end by their number and start time; trees that fork away leave nobody."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from perilune.connectors.linux import Linux
from perilune.connectors.linux.proc import load_process, processes, started_at
from perilune.model.actions import Action, Kind, Outcome, State, Target, TargetType
from tests.response.build import action

pytestmark = pytest.mark.needs_root
TRIALS = int(os.environ.get("PERILUNE_TREE_TRIALS", "6"))  # PERILUNE_TREE_TRIALS=20 for a proof

# A root that stays, workers, orphans of a double fork in sessions of their own, their children, a child that runs
# another program, and one that forks and exits every millisecond, for ever.
WILD = """
import os, sys, time
mark = sys.argv[1]
def sleep():
    while True: time.sleep(60)
def orphan(depth):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            if depth: orphan(depth - 1)
            sleep()
        os._exit(0)
    os.wait()
for _ in range(6):
    if os.fork() == 0: sleep()
for _ in range(8): orphan(2)
if os.fork() == 0: os.execv('/bin/sleep', ['sleep', '600'])
if os.fork() == 0:
    os.setsid()
    while True:
        if os.fork(): os._exit(0)
        time.sleep(0.001)
print('up', flush=True)
sleep()
"""


def started(code: str = WILD, *more: str) -> subprocess.Popen[str]:
    process = subprocess.Popen([sys.executable, "-c", code, "mark", *more], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "up\n"
    process.stdout.close()
    return process


def on(kind: Kind, pid: int, seconds: float = 0) -> Action:
    found = load_process(pid)
    assert found is not None
    when = started_at(found) + timedelta(seconds=seconds)
    return action(kind, Target(TargetType.PROCESS, "/usr/bin/python3", "web-01", pid, when))


def others() -> set[int]:
    """Everybody alive in this namespace but this test and its parents."""
    own = {os.getpid(), 1}
    return {one.pid for one in processes() if one.alive and one.pid not in own}


def test_a_wild_tree_leaves_no_survivor_in_twenty_of_twenty_trials(tmp_path: Path) -> None:
    bystander = subprocess.Popen(["sleep", "600"])
    same_program = started("import time; print('up', flush=True); time.sleep(600)")
    survivors = []
    for trial in range(TRIALS):
        before = others()
        root = started()
        time.sleep(0.05)
        assert len(others() - before) > 20
        linux = Linux(tmp_path / str(trial))
        one = on(Kind.TERMINATE_TREE, root.pid)
        receipt = linux.act(one, f"R-{trial}:1")
        root.wait(10)
        time.sleep(0.05)
        left = others() - before
        survivors.append(len(left))
        assert receipt.outcome is Outcome.DONE, receipt
        assert linux.check(one).state is State.HOLDS
        for pid in left:
            os.kill(pid, 9)
    assert survivors == [0] * TRIALS
    assert bystander.poll() is None
    assert same_program.poll() is None
    for one_process in (bystander, same_program):
        one_process.kill()
        one_process.wait()


def test_one_process_ends_and_its_children_do_not(tmp_path: Path) -> None:
    code = "import os,time\nif os.fork()==0:\n time.sleep(60); os._exit(0)\nprint('up',flush=True); time.sleep(60)"
    before = others()
    root = started(code)
    linux = Linux(tmp_path)
    one = on(Kind.TERMINATE_PROCESS, root.pid)
    assert linux.check(one).state is State.ABSENT
    assert linux.act(one, "R-1:1").outcome is Outcome.DONE
    root.wait(10)
    assert linux.check(one).state is State.HOLDS
    left = others() - before
    assert len(left) == 1
    os.kill(left.pop(), 9)


def test_a_number_that_belongs_to_another_process_now_is_left(tmp_path: Path) -> None:
    linux = Linux(tmp_path)
    other = subprocess.Popen(["sleep", "60"])
    one = on(Kind.TERMINATE_PROCESS, other.pid, seconds=-3600)
    assert linux.check(one).state is State.HOLDS
    assert linux.act(one, "R-1:1").outcome in (Outcome.REFUSED, Outcome.FAILED)
    assert linux.act(replace(one, kind=Kind.TERMINATE_TREE), "R-1:2").outcome is Outcome.FAILED
    assert other.poll() is None
    other.kill()
    other.wait()


def test_what_is_ended_is_written_down_first(tmp_path: Path) -> None:
    root = started("import time; print('up', flush=True); time.sleep(60)", "secret-mark")
    Linux(tmp_path).act(on(Kind.TERMINATE_TREE, root.pid), "R-1:1")
    root.wait(10)
    kept = next((tmp_path / "processes").glob("*.json")).read_text()
    assert "secret-mark" in kept
    assert str(root.pid) in kept


@pytest.mark.parametrize("kind", [Kind.TERMINATE_PROCESS, Kind.TERMINATE_TREE])
def test_this_program_and_what_started_it_are_never_ended(kind: Kind, tmp_path: Path) -> None:
    receipt = Linux(tmp_path).act(on(kind, os.getpid()), "R-1:1")
    assert receipt.outcome is Outcome.REFUSED
    parent = os.getppid()
    if parent > 1:
        assert Linux(tmp_path).act(on(kind, parent), "R-1:2").outcome is Outcome.REFUSED


def test_no_group_of_ours_stays(tmp_path: Path) -> None:
    root = started("import time; print('up', flush=True); time.sleep(60)")
    Linux(tmp_path).act(on(Kind.TERMINATE_TREE, root.pid), "R-1:77")
    root.wait(10)
    left = [p for base in ("/sys/fs/cgroup", "/sys/fs/cgroup/unified") for p in Path(base).glob("perilune-R-1-77*")]
    assert left == []
