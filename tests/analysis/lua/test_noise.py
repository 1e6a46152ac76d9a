"""Ordinary Lua of this machine: hardly any of it may be said to start programs, talk or load native code.

What a file truly does is decided here by another reader than ours: the plain words in its text. A capability counts as
noise where none of its words stands in the file.
"""

from __future__ import annotations

import re

import pytest

from perilune.analysis import lua
from perilune.model.rules import Level
from tests.analysis.lua.found import lua_files
from tests.analysis.lua.wrap import WRAPPINGS

LEAST = 100
MOST = 300
WORDS = {
    "process": r"os\s*\.\s*execute|popen|spawn|exec|system\b|task\.new|subprocess|jobstart",
    "network": r"socket|http|new_socket|tcp|udp|comm\.|connect|new_dnet|copas|net\.",
    "native-library": r"loadlib|ffi\.load|alien",
    "ffi": r"\bffi\b|alien",
    "remote-code": r"$^", "remote-shell": r"$^", "request-to-process": r"$^", "memory": r"$^", "redis-escape": r"$^",
}  # fmt: skip

# How the code is hidden belongs to the wrapping, not to what the code does.
CONCEALING = frozenset(("dynamic-code", "dynamic-code-computed", "hidden-code", "hidden-call"))


def test_at_most_one_in_a_hundred_is_said_to_do_what_it_does_not() -> None:
    files = lua_files()[:MOST]
    if len(files) < LEAST:
        pytest.skip(
            f"only {len(files)} Lua files here; install nmap-common, prosody or lua-penlight, or set PERILUNE_LUA"
        )
    wrong, high = [], []
    for path in files:
        data = path.read_bytes()
        found = lua.analyze(data, path.name)
        text = data.decode("latin-1")
        wrong += [f"{path}: {one}" for one in found.intents if one in WORDS and not re.search(WORDS[one], text)]
        if found.level >= Level.HIGH:
            high.append(f"{path}: {found.score} {found.intents}")
    assert len(wrong) <= len(files) // 100, "\n".join(wrong)
    assert len(high) <= len(files) // 200, "\n".join(high)


@pytest.mark.parametrize("wrapping", WRAPPINGS)
def test_wrapped_files_score_as_the_files(wrapping: str) -> None:
    small = [path for path in lua_files() if 200 < path.stat().st_size < 2500 and path.read_bytes()[:1] != b"#"][:6]
    if not small:
        pytest.skip("no small Lua files here")
    for path in small:
        data = path.read_bytes()
        plain = lua.analyze(data, path.name)
        hidden = lua.analyze(WRAPPINGS[wrapping](data), path.name)
        assert abs(hidden.score - plain.score) <= 3, path
        assert set(hidden.intents) - set(plain.intents) <= CONCEALING, path
        assert set(plain.intents) - set(hidden.intents) <= CONCEALING, path
