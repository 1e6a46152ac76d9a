"""A cell is one line of text that no spreadsheet takes for a formula."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from perilune.report.csv import CELL_MOST, cell
from tests.build import at


def test_cells() -> None:
    assert cell("lua5.4 -e 'x'") == "lua5.4 -e 'x'"
    assert cell("=1+1") == "'=1+1"
    assert cell('  "=1') == "'  \"=1"
    assert cell("a;=1") == "a;'=1"
    assert cell("a\tb\nc") == r"a⟨\t⟩b⟨\n⟩c"
    assert cell(None) == ""
    assert cell(-3) == "-3", "a number of ours, no text of a log"
    assert cell(at(1)) == "2026-11-20 09:00:01"


@given(st.text(max_size=200))
def test_no_text_begins_a_formula(text: str) -> None:
    shown = cell(text)
    assert not shown.lstrip(" '\"").startswith(("=", "+", "-", "@")) or shown.startswith("'")
    assert "\n" not in shown and "\r" not in shown and "\t" not in shown


def test_a_long_cell_says_how_much_is_missing() -> None:
    assert "more characters" in cell("x" * (CELL_MOST + 5))
    assert len(cell("x" * 1_000_000)) < 32_767
