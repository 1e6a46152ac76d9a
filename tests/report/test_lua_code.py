"""Code cut into lines: marks fall on their characters, long lines keep what is around the marks, budgets are told."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from perilune.report.lua_code import WIDE, code_lines, merged


def _plain(text: str, spans: list[tuple[int, int]]) -> list[tuple[str, str]]:
    lines, _ = code_lines(text, spans, 10_000)
    return [(piece.kind, piece.text) for line in lines for piece in line.pieces]


def test_marks_fall_on_their_characters_even_over_lines() -> None:
    assert _plain("ab\ncd", [(1, 4)]) == [("text", "a"), ("hit", "b"), ("hit", "c"), ("text", "d")]


def test_a_long_line_keeps_the_surroundings_of_its_marks() -> None:
    text = "x" * 5000 + "os.execute" + "y" * 5000
    shown = _plain(text, [(5000, 5010)])
    assert ("hit", "os.execute") in shown
    assert sum(len(part) for kind, part in shown if kind != "cut") < WIDE + 600
    assert [part for kind, part in shown if kind == "cut"]


def test_what_the_budget_leaves_out_is_counted() -> None:
    lines, cut = code_lines("\n".join("line" for _ in range(1000)), [], 100)
    assert len(lines) + cut == 1000 and cut > 900


@given(st.text(max_size=300), st.lists(st.tuples(st.integers(0, 300), st.integers(0, 300)), max_size=6))
def test_a_short_text_is_shown_whole(text: str, spans: list[tuple[int, int]]) -> None:
    lines, cut = code_lines(text, spans, 10_000)
    assert cut == 0
    assert "\n".join("".join(piece.text for piece in line.pieces) for line in lines) == text


def test_stretches_that_touch_are_one() -> None:
    assert merged([(5, 9), (0, 3), (3, 4), (7, 7)]) == [(0, 4), (5, 9)]
