"""The marks of decoy data: the same in Lua and in Python, found in codings, and taken out of what the sample says itself."""

from __future__ import annotations

import base64
import re
from importlib.resources import files

import pytest

from perilune.analysis.lua.run.marks import DECOYS, MARKS, carried, known, marked, own
from perilune.model.analysis import Indicator, IndicatorKind, Layer


def test_lua_and_python_have_the_same() -> None:
    text = (files("perilune") / "content" / "lua" / "stubs" / "10_base.lua").read_text(encoding="utf-8")
    assert dict(re.findall(r'(\w+) = "(zQ7\w+)"', text)) == MARKS
    assert len(set(MARKS.values())) == len(MARKS)


def test_every_decoy_stands_in_the_stubs() -> None:
    folder = files("perilune") / "content" / "lua" / "stubs"
    text = "".join(one.read_text(encoding="utf-8") for one in folder.iterdir() if one.name.endswith(".lua")).lower()
    assert [one for one in DECOYS if one not in text] == []


def test_an_indicator_of_a_run_that_holds_a_decoy_is_ours() -> None:
    layers = [Layer(0, "given", None, 0, 9, ""), Layer(1, "run", 0, 0, 9, ""), Layer(2, "command", 1, 0, 9, "")]
    given = [Indicator(IndicatorKind.PATH_UNIX, "/home/D.Weber/.ssh/id_rsa", layer, 0, 9) for layer in range(3)] + [
        Indicator(IndicatorKind.IPV4, "110.20.4.17", 1, 0, 9)
    ]
    found = marked(given, layers, {1})
    assert [bool(one.listings) for one in found] == [False, True, True, False]
    assert found[1].listings[0].benign and found[1].listings[0].entry == "d.weber: a user's name and home"


@pytest.mark.parametrize("before", ["", "a", "ab", "abc"])
@pytest.mark.parametrize("kind", MARKS)
def test_a_mark_is_found_in_codings(kind: str, before: str) -> None:
    data = f"{before}{MARKS[kind]} and more".encode()
    for coded in (data.decode(), base64.b64encode(data).decode(), data.hex(), data.hex().upper(), data[::-1].decode()):
        assert carried((coded,)) == (kind,)
    assert carried(("x" * 5000 + MARKS[kind],)) == (kind,)
    assert carried((base64.b64encode(b"something else entirely").decode(), "zQ7")) == ()


def test_what_the_sample_says_itself_is_left() -> None:
    assert own(f"rverify /tmp/{MARKS['argument']}.argument.filename") == "rverify /tmp/"
    assert own(f"{MARKS['process']}SAURON_KEY 192.0.2.1 10.20.4.17") == "SAURON_KEY 192.0.2.1 "
    assert known((f"x{MARKS['file']}", "plain")) == (None, "plain")
