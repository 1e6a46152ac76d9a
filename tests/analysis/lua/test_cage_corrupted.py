"""Corrupted bytecode: 2,000 files for each runtime are run in CI (300 elsewhere); the parent neither crashes nor hangs.

One in five is given to the cage as a file and has a child of its own. The others are loaded and run one after the other
by one program in one child, until one of them ends it; the next child goes on behind that one. Each is run for real;
what is saved is the four in five children that nothing happens to. `PERILUNE_CORRUPTED` sets another number.
"""

from __future__ import annotations

import functools
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from perilune.analysis.lua import cage
from perilune.analysis.lua.locked.child import RUNTIMES
from perilune.analysis.lua.run.attempts import RAN
from perilune.model.lua import Form, Identity, Outcome
from tests.analysis.lua.test_cage import READY, WHY

pytestmark = pytest.mark.skipif(not READY, reason=f"no cage here: {WHY}")
NUMBER = int(os.environ.get("PERILUNE_CORRUPTED") or (2000 if os.environ.get("CI") else 300))
PARTS = 2  # for as many workers as the tests have
ALONE = 5  # one in so many has a child of its own
BATCH = 16  # of the others are given to one child; where one ends it, those behind it are given again

PROGRAM = """
local t, name = {}, "corrupted"
local function each(list, f) for i, v in ipairs(list) do f(v, i) end return #list end
for i = 1, 5 do t[#t + 1] = ("%s-%d"):format(name, i * 3) end
local up = 0
each(t, function(v, i) up = up + i if v:find("3") then os.execute("id " .. v) end end)
local c = coroutine.wrap(function(a, ...) local b = { a, ..., x = { 1, 2 } } while #b > 0 do coroutine.yield(table.remove(b)) end end)
for i = 1, 3 do local v = c(i, up, name) end
return setmetatable({}, { __index = function(s, k) return k .. tostring(up) end }).key, -up, not name, up == 15 and t or nil
"""
# Compiled in a process of its own: nothing but tests ever has a Lua outside the cage.
_COMPILE = """
import importlib, sys
machine = importlib.import_module("lupa." + sys.argv[1]).LuaRuntime(encoding=None)
compile = machine.execute(b"return function(text, strip) return string.dump((loadstring or load)(text, '=x'), strip) end")
sys.stdout.buffer.write(compile(sys.stdin.buffer.read(), sys.argv[2] == "strip"))
"""


@functools.lru_cache(maxsize=20)
def compiled(runtime: str, strip: bool) -> bytes:
    arguments = [sys.executable, "-c", _COMPILE, runtime, "strip" if strip else ""]
    return subprocess.run(arguments, input=PROGRAM.encode(), capture_output=True, check=True).stdout


def corrupted(rng: random.Random, good: bytes) -> bytes:
    """The file with bytes flipped, cut, repeated or lost; the first bytes, which say what it is, mostly kept."""
    data = bytearray(good)
    kind = rng.randrange(10)
    if kind == 0:
        return bytes(data[: rng.randrange(len(data))])
    if kind == 1:
        at, size = rng.randrange(12, len(data)), rng.randrange(1, 40)
        return bytes(data[:at] + data[at + size :])
    if kind == 2:
        at, size = rng.randrange(12, len(data)), rng.randrange(1, 40)
        return bytes(data[:at] + data[at : at + size] * 2 + data[at + size :])
    for _ in range(rng.randrange(1, 5)):
        at = rng.randrange(5 if kind == 3 else 34, len(data))
        data[at] = rng.choice((rng.randrange(256), data[at] ^ 1 << rng.randrange(8), 0, 255, 127))
    return bytes(data)


@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("runtime", RUNTIMES)
def test_the_parent_lives(runtime: str, part: int) -> None:
    rng = random.Random(f"{runtime} {part}")
    budget = cage.Budget(pass_seconds=0.1, seconds=0.1, steps=50_000, passes=1)
    ends: dict[str, int] = {}
    for number in range(NUMBER // PARTS // ALONE):
        found = cage.run(
            corrupted(rng, compiled(runtime, number % 2 == 0)), Identity(Form.BYTECODE, RAN[runtime]), budget=budget
        )
        assert found.passes, found.reason  # a child was there, and ended
        assert not found.reason.startswith("the stubs failed"), found.reason
        ends[found.passes[0].end] = ends.get(found.passes[0].end, 0) + 1
    assert sum(ends.values()) == NUMBER // PARTS // ALONE and len(ends) >= 3, ends
    pid = cage._cage.get().pid
    assert Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii") == ""


# Tells which one it comes to, loads it, and runs it if it loads. The stubs see nothing of the files: they count them.
_RUN_ALL = """
local load_one, files = loadstring or load, {%s}
for number = 1, #files do
  os.getenv("file " .. number)
  local good, loaded = pcall(load_one, files[number])
  if good and loaded then pcall(loaded) end
end
"""


_BYTES = [f"\\{byte:03d}" for byte in range(256)]


def _quoted(data: bytes) -> str:
    return '"' + "".join(map(_BYTES.__getitem__, data)) + '"'


@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("runtime", RUNTIMES)
def test_the_parent_lives_through_many_at_once(runtime: str, part: int) -> None:
    rng = random.Random(f"{runtime} many {part}")
    budget = cage.Budget(pass_seconds=0.25, seconds=0.25, steps=150_000, passes=1)
    wanted = NUMBER // PARTS * (ALONE - 1) // ALONE
    files = [_quoted(corrupted(rng, compiled(runtime, number % 2 == 0))) for number in range(wanted)]
    reached, late, ends = 0, 0, set()
    while reached < wanted:
        batch = files[reached : reached + BATCH]
        found = cage.run((_RUN_ALL % ",".join(batch)).encode(), Identity(Form.SOURCE, RAN[runtime]), budget=budget)
        assert found.passes, found.reason  # a child was there, and ended
        assert not found.reason.startswith("the stubs failed"), found.reason
        told = [one.arguments[0] for one in found.events if one.name == "os.getenv"]
        last = max((int(one[5:]) for one in told if one.startswith("file ")), default=0)
        late += last == 0  # on a busy machine its time may be over before the first
        assert late < 20
        assert last == len(batch) or found.passes[0].end != "returned"
        ends.add(found.passes[0].end)
        reached += last
    assert len(ends) >= 2, ends


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_the_file_itself_runs(runtime: str) -> None:
    for strip in (False, True):
        found = cage.run(compiled(runtime, strip), Identity(Form.BYTECODE, RAN[runtime]))
        assert found.outcome is Outcome.EXPLAINED
        assert [(one.name, one.arguments) for one in found.events] == [("os.execute", ("id corrupted-3",))]
