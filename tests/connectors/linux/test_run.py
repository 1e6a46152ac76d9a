"""The whole T1059 playbook on a real host made for it: every effect seen from outside, and undone exactly."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from perilune.cli.main import cli
from perilune.connectors.linux.proc import load_process, started_at
from perilune.model.actions import Outcome
from perilune.model.analysis import Command, IndicatorKind
from perilune.model.case import ProcessNode
from perilune.model.rules import Level
from perilune.store.cases import CaseStore
from tests.build import at, case, finding
from tests.connectors.linux.test_accounts import files as accounts
from tests.connectors.linux.test_files import facts
from tests.service.test_subject import analysis, indicator

pytestmark = pytest.mark.needs_root
BAD = "45.77.1.2"
CODE = "import os,sys,time\nfor _ in range(3):\n if os.fork()==0: time.sleep(600)\nif os.fork()==0:\n os.setsid()\n if os.fork()==0: time.sleep(600)\n os._exit(0)\nprint('up',flush=True); time.sleep(600)\n"  # noqa: E501


def perilune(*arguments: str) -> Any:
    result = CliRunner().invoke(cli, [*arguments, "--json"], standalone_mode=False)
    if result.exception is not None:
        raise result.exception
    return json.loads(result.output)


def rules() -> str:
    return subprocess.run(["nft", "list", "ruleset"], capture_output=True, text=True, check=True).stdout


def running(name: str) -> int:
    found = subprocess.run(["pgrep", "-c", "-f", name], capture_output=True, text=True, check=False)
    return int(found.stdout)


@pytest.fixture
def intrusion(inside: None, own_home: Path, tmp_path: Path) -> Iterator[tuple[Path, subprocess.Popen[str]]]:
    """An account, a script with odd attributes, and a forking process that runs it; the case of it in the store."""
    subprocess.run(["useradd", "-u", "4711", "mallory"], check=True)
    script = tmp_path / "stage.lua"
    script.write_text(CODE)
    os.chown(script, 4711, 4711)
    script.chmod(0o750)
    os.setxattr(script, "user.origin", b"http://45.77.1.2/x")
    os.utime(script, ns=(1_600_000_000_123_456_789, 1_500_000_000_987_654_321))
    process = subprocess.Popen([sys.executable, "-c", CODE, script], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    process.stdout.readline()
    (own_home / "content").mkdir(parents=True)
    (own_home / "content" / "left_alone.yml").write_text("management: [198.18.0.2]\n")
    found = load_process(process.pid)
    assert found is not None
    node = ProcessNode(
        "p", None, 0, process.pid, "lua", "/usr/bin/lua5.4", "lua", "mallory", started_at(found), None, ("f1",)
    )
    command = Command(0, 0, 1, "lua", "lua", "T1059.011", (str(script),))
    one = finding(analysis=analysis(indicator(IndicatorKind.IPV4, BAD), command=command), row={})
    made = case(one, tree=(node,), score=96, level=Level.CRITICAL, users=("mallory",), host="web-01")
    CaseStore(f"sqlite:///{own_home / 'cases.db'}").save(made, at=at(0))
    yield script, process
    process.stdout.close()
    process.kill()
    process.wait()
    subprocess.run(["userdel", "mallory"], check=True)
    subprocess.run(["nft", "flush", "ruleset"], check=True)


def test_contained_eradicated_restored_closed_and_undone(
    intrusion: tuple[Path, subprocess.Popen[str]], own_home: Path
) -> None:
    script, process = intrusion
    subprocess.run(["nft", "add", "table", "inet", "somebody_elses"], check=True)
    before = (rules(), accounts(), facts(script))
    assert running("stage.lua") == 5
    options = ("--connector", "linux", "--input", "FileRemediation=Quarantine")
    dry = perilune("respond", "C-1", *options, "--dry-run")["plan"]
    kinds = [one["kind"] for one in dry["actions"]]
    assert kinds == [
        "isolate-host", "collect-evidence", "block-indicator", "quarantine-file", "disable-user", "clear-sessions",
        "terminate-tree",
    ]  # fmt: skip
    assert "policy drop" in dry["actions"][0]["requests"][0]["body"]
    assert (rules(), accounts(), facts(script)) == before

    assert perilune("respond", "C-1", *options)["run"]["waiting"].startswith("approval of action 1")
    assert (rules(), accounts(), facts(script)) == before
    run = perilune("approve", "R-1", "--reason", "seen")["run"]
    outcomes = {one["action"]: one["outcome"] for one in run["results"]}
    assert run["status"] == "finished", run
    assert set(outcomes.values()) == {Outcome.DONE.value}, run["results"]

    process.wait(10)
    time.sleep(0.1)
    assert running("stage.lua") == 0
    assert not script.exists()
    assert "perilune_isolation" in rules()
    assert BAD in rules()
    shown = subprocess.run(["passwd", "-S", "mallory"], capture_output=True, text=True, check=True).stdout
    assert shown.split()[1] == "L"
    assert len(list((own_home / "linux" / "evidence").glob("*.d"))) == 1

    undone = perilune("undo", "R-1", "--reason", "exercise over")["run"]
    assert {one["outcome"] for one in undone["results"]} == {"done"}, undone["results"]
    assert (rules(), accounts(), facts(script)) == before
    assert perilune("audit", "verify")["breaks"] == []


def test_recovery_and_closing_follow_when_the_inputs_say_so(
    intrusion: tuple[Path, subprocess.Popen[str]], own_home: Path
) -> None:
    before = (rules(), accounts())
    given = ("--input", "AutoRestoreEndpoint=true", "--input", "ShouldCloseAutomatically=true", "--answer", "gone=yes")
    perilune("respond", "C-1", "--connector", "linux", *given)
    run = perilune("approve", "R-1", "--reason", "seen")["run"]
    assert {one["outcome"] for one in run["results"]} == {"done"}, run["results"]
    assert "perilune_isolation" not in rules()
    assert accounts() == before[1]
    assert CaseStore(f"sqlite:///{own_home / 'cases.db'}").load("C-1").status.value == "closed"
