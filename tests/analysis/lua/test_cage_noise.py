"""Lua of installed packages, run: it is not said to start programs, to reach native code or to fetch code.

What many files do with the network is truly there (Nmap's scripts). Wrapped in our own ways they show the same as plain.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from perilune.analysis.lua import cage
from perilune.model.lua import Outcome, Trace
from tests.analysis.lua.found import lua_files
from tests.analysis.lua.test_cage import READY, WHY, identity
from tests.analysis.lua.test_cage_corpus import intents
from tests.analysis.lua.wrap import WRAPPINGS

pytestmark = pytest.mark.skipif(not READY, reason=f"no cage here: {WHY}")
MOST, MOST_WRAPPED = 200, 15
LOUD = frozenset(
    (
        "process",
        "native-library",
        "ffi",
        "memory",
        "remote-code",
        "remote-shell",
        "request-to-process",
        "exfiltration",
        "privilege",
    )
)
BUDGET = cage.Budget(pass_seconds=2.0, seconds=4.0, steps=5_000_000)


def ran(code: bytes, name: str = "") -> Trace:
    return cage.run(code, identity(code), name=name, budget=BUDGET)


def small_files() -> list[Path]:
    return [one for one in lua_files() if one.stat().st_size < 100_000]


def test_at_most_one_in_a_hundred_is_said_to_do_what_it_does_not() -> None:
    files = small_files()[:MOST]
    if len(files) < 100:
        pytest.skip(f"only {len(files)} Lua files are installed here")
    loud = {}
    for path in files:
        trace = ran(path.read_bytes(), path.name)
        assert trace.outcome is not Outcome.TAMPERED, (path, trace.reason)
        assert not trace.reason.startswith("the stubs failed"), (path, trace.reason)
        if found := intents(trace) & LOUD:
            loud[path] = found
    assert len(loud) <= len(files) / 100, loud


@pytest.mark.parametrize("wrapping", WRAPPINGS)
def test_wrapped_files_show_what_the_files_show(wrapping: str) -> None:
    files = [one for one in small_files() if one.stat().st_size < 8_000][:MOST_WRAPPED]
    if len(files) < 10:
        pytest.skip(f"only {len(files)} Lua files are installed here")
    for path in files:
        code = path.read_bytes()
        assert intents(ran(WRAPPINGS[wrapping](code))) & LOUD == intents(ran(code)) & LOUD, path
