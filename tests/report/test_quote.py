"""A value is shown whole or with its gaps counted, and what a rule's test looks for is marked."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perilune.model.rules import Evidence
from perilune.report import quote
from perilune.report.text import defang
from tests.report import cases


def text_of(pieces: tuple[quote.Piece, ...]) -> str:
    return "".join(piece.text for piece in pieces)


@pytest.mark.parametrize(
    ("value", "test", "hits"),
    [
        ("/usr/bin/lua5.4", "endswith '/lua5.4'", ["/lua5.4"]),
        ("a - b -", "endswith ' -'", [" -"]),
        ("LUA -E 'OS.EXECUTE()'", "contains 'os.execute('", ["OS.EXECUTE("]),
        ("sh -c 'x'", "contains '-c 'x''", ["-c 'x'"]),
        ("/tmp/a/b.lua", "is like '/tmp/*.lua'", ["/tmp/", ".lua"]),
        ("curl http://203.0.113.9/a", "contains 'http://203.0.113.9'", ["hxxp://203[.]0[.]113[.]9"]),
        ("aaaa", "re 'a+'", []),
        ("x", "exists", []),
    ],
)
def test_what_a_test_looks_for_is_marked(value: str, test: str, hits: list[str]) -> None:
    assert [piece.text for piece in quote.quote(value, 200, [test]) if piece.kind == "hit"] == hits


def test_a_megabyte_keeps_its_head_its_tail_and_the_hit_in_the_middle() -> None:
    value = "lua5.4 -e '" + "x" * 500_000 + "os.execute" + "y" * 500_000 + " -- end'"
    pieces = quote.quote(value, 300, ["contains 'os.execute'"])
    assert len(text_of(pieces)) < 500
    assert pieces[0].text.startswith("lua5.4 -e '")
    assert pieces[-1].text.endswith("-- end'")
    assert [piece.text for piece in pieces if piece.kind == "hit"] == ["os.execute"]
    assert sum(piece.kind == "cut" for piece in pieces) == 2


@given(st.text(max_size=400), st.integers(4, 200), st.text(min_size=1, max_size=6))
def test_a_quote_shows_or_counts_every_character(value: str, limit: int, literal: str) -> None:
    pieces = quote.quote(value, limit, [f"contains '{literal}'"])
    shown = sum(len(piece.text) for piece in pieces if piece.kind != "cut")
    cut = sum(int(piece.text.split()[1].replace(",", "")) for piece in pieces if piece.kind == "cut")
    assert shown + cut == len(defang(value))


def test_evidence_that_was_cut_short_is_whole_again_from_the_event() -> None:
    evidence = (Evidence("CommandLine", "ProcessCommandLine", "lua5.4 -e…", "contains 'popen'"),)
    (item,) = quote.tested(evidence, {"ProcessCommandLine": "lua5.4 -e 'io.popen(1)'"})
    assert item.value == "lua5.4 -e 'io.popen(1)'"
    (item,) = quote.tested(evidence, {"ProcessCommandLine": "something else"})
    assert item.value == "lua5.4 -e…"


def test_a_value_with_several_tests_is_shown_once() -> None:
    items = quote.tested(cases.FINDINGS[0].evidence, {})
    assert [len(item.tests) for item in items] == [1, 2]
