"""One run, in a process of its own: take the program, lock, prove the lock, say so, run. It ends here whatever happens."""

from __future__ import annotations

import importlib
import json
import os
from typing import Any

from perilune.analysis.lua.locked.lock import Lock, Unlocked

RUNTIMES = ("lua51", "lua52", "lua53", "lua54", "lua55", "luajit20", "luajit21")
MEMORY = 128 << 20
DONE, FAILED, REFUSED, BROKEN = 0, 96, 99, 95

_START = b"""
local names, stubs, S = {...}, {}, {}
local load_text = loadstring or load
if jit then jit.off() jit.flush() end
python = nil
for at = 1, #names, 2 do
  local piece, why = load_text(names[at + 1], "=[C]")
  if not piece then error(names[at] .. ": " .. why, 0) end
  piece(S)
end
-- What is there now is never collected and so, mostly, not copied after the fork.
collectgarbage() collectgarbage()
return S.run
"""


def load_all() -> None:
    """Loads every runtime while files can still be opened."""
    for name in RUNTIMES:
        importlib.import_module(f"lupa.{name}")


def make(runtime: str, stubs: list[tuple[str, bytes]]) -> Any:
    """A VM whose only globals are the stubs; gives the function that runs a program. No Python object is in it."""
    if runtime not in RUNTIMES:
        raise ValueError(runtime)
    module = importlib.import_module(f"lupa.{runtime}")
    limit = {} if runtime.startswith("luajit") else {"max_memory": MEMORY}
    machine = module.LuaRuntime(encoding=None, register_eval=False, register_builtins=False, **limit)
    flat = [part for name, text in stubs for part in (name.encode(), text)]
    return machine.execute(_START, *flat)


def main(start: Any, space: int, lock: Lock, request: dict[str, Any], program: int, trace: int) -> None:
    """Runs the program of a request; never returns."""
    os.setpgid(0, 0)
    code = _all_of(program)
    os.dup2(trace, 1)
    options = [str(one).encode("latin-1", "replace") for one in request["options"]]
    try:
        lock.close(space, int(request["seconds"]) + 2)
    except Unlocked as error:
        _tell({"k": "unlocked", "s": str(error)})
        os._exit(REFUSED)
    os.write(1, request["locked"])
    try:
        start(code, *options)
    except MemoryError:
        _tell({"k": "end", "how": "memory", "s": "not enough memory", "steps": 0})
    except RuntimeError as error:  # lupa's LuaError: the stubs themselves failed
        _tell({"k": "end", "how": "broken", "s": str(error)[:400], "steps": 0})
        os._exit(BROKEN)
    os._exit(DONE)


def _all_of(program: int) -> bytes:
    return os.pread(program, os.fstat(program).st_size, 0)


def record(told: dict[str, Any]) -> bytes:
    return json.dumps(told).encode() + b"\n"


def _tell(told: dict[str, Any]) -> None:
    os.write(1, record(told))
