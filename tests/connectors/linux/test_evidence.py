"""Evidence: processes with their hashes, connections, and a manifest that notices changes."""

from __future__ import annotations

import hashlib
import json
import subprocess
from pathlib import Path

import pytest

from perilune.connectors.linux import Linux
from perilune.model.actions import Kind, Outcome, State
from tests.response.build import action

pytestmark = pytest.mark.needs_root


def test_a_bundle_holds_the_processes_and_notices_a_change(tmp_path: Path) -> None:
    linux, one = Linux(tmp_path), action(Kind.COLLECT_EVIDENCE)
    process = subprocess.Popen(["sleep", "61"])
    assert linux.check(one).state is State.ABSENT
    assert linux.act(one, "R-1:2").outcome is Outcome.DONE
    process.kill()
    process.wait()
    assert linux.check(one).state is State.HOLDS
    folder = next((tmp_path / "evidence").glob("*.d"))
    found = [json.loads(line) for line in (folder / "processes.jsonl").read_text().splitlines()]
    mine = next(item for item in found if item["pid"] == process.pid)
    assert mine["command"] == "sleep 61"
    assert mine["sha256"] == hashlib.sha256(Path(mine["image"]).read_bytes()).hexdigest()
    (folder / "net-tcp").write_text("nothing to see")
    assert linux.check(one).state is State.ABSENT
