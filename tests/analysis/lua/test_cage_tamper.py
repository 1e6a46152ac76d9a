"""Checks that obfuscators make see in the cage what they see in a plain interpreter, on every runtime."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from perilune.analysis.lua import cage
from perilune.analysis.lua.locked.child import RUNTIMES
from perilune.analysis.lua.run.attempts import RAN
from perilune.model.lua import Form, Identity, Outcome
from tests.analysis.lua.test_cage import READY, WHY, run

pytestmark = pytest.mark.skipif(not READY, reason=f"no cage here: {WHY}")
CASES: list[dict[str, Any]] = yaml.safe_load(
    (Path(__file__).parent / "escapes" / "tamper.yml").read_text(encoding="utf-8")
)
ALL = [(case, runtime) for case in CASES for runtime in case.get("runtimes", RUNTIMES)]


PLAIN = {"lua51": "lua5.1", "lua52": "lua5.2", "lua53": "lua5.3", "lua54": "lua5.4", "luajit21": "luajit"}


def _wanted(case: dict[str, Any], runtime: str) -> str:
    old = runtime in ("lua51", "luajit20", "luajit21")
    return str(case["sees-51"] if old and "sees-51" in case else case["sees"])


@pytest.mark.parametrize(("case", "runtime"), ALL, ids=lambda one: one if isinstance(one, str) else one["name"])
def test_it_sees_a_plain_interpreter(case: dict[str, Any], runtime: str) -> None:
    code = case["code"].replace("RESULT(", "os.execute(").encode()
    found = cage.run(code, Identity(Form.SOURCE, RAN[runtime]), name="x.lua")
    seen = [one.arguments[0] for one in found.events if one.name == "os.execute"]
    assert seen == [_wanted(case, runtime)], found.reason


@pytest.mark.parametrize("runtime", PLAIN)
def test_a_plain_interpreter_sees_it_too(runtime: str, tmp_path: Path) -> None:
    """The cases are ours and harmless; a Lua of the system runs them."""
    program = shutil.which(PLAIN[runtime])
    if program is None:
        pytest.skip(f"{PLAIN[runtime]} is not installed")
    for case in CASES:
        if runtime in case.get("runtimes", RUNTIMES):
            (tmp_path / "x.lua").write_text(case["code"].replace("RESULT(", "io.stderr:write("), encoding="utf-8")
            done = subprocess.run([program, "x.lua"], cwd=tmp_path, capture_output=True, text=True)
            assert done.stderr == _wanted(case, runtime), case["name"]


def test_what_finds_out_says_so() -> None:
    found = run('if debug.sethook then error("Tamper Detected!") end')
    assert (found.outcome, found.reason.partition(":")[0]) == (Outcome.TAMPERED, "it found that it is watched")
    found = run("debug.sethook(function() end, 'l') while true do end", steps=500_000)
    assert found.reason == "it used up its instructions after it had looked for a debugger"
