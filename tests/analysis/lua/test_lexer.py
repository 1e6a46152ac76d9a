"""Tokens of every dialect with their places, and linear time on whatever comes."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perilune.analysis.lua.lexer import lex, number_value, string_value, utf8


def _words(text: str, **how: bool) -> list[tuple[str, str]]:
    return [(token.kind, text[token.start : token.end]) for token in lex(text, **how)]


def test_kinds() -> None:
    text = "local x <const> = 0x1p4 .. 'a\\'b' --[==[c\n]==] [[long]] `hash` 5ULL :: ~= != 3..4"
    assert _words(text) == [
        ("name", "local"), ("name", "x"), ("op", "<"), ("name", "const"), ("op", ">"), ("op", "="), ("number", "0x1p4"),
        ("op", ".."), ("string", "'a\\'b'"), ("comment", "--[==[c\n]==]"), ("longstring", "[[long]]"), ("tick", "`hash`"),
        ("number", "5ULL"), ("op", "::"), ("op", "~="), ("op", "!="), ("number", "3"), ("op", ".."), ("number", "4"),
    ]  # fmt: skip


def test_comments_of_c_where_wanted() -> None:
    assert _words("a // b\nc", c_comments=False)[1] == ("op", "//")
    assert _words("a // b\n/* d */ c", c_comments=True) == [
        ("name", "a"),
        ("comment", "// b"),
        ("comment", "/* d */"),
        ("name", "c"),
    ]


def test_a_line_for_the_shell_is_skipped() -> None:
    assert _words("#!/usr/bin/lua\nx")[0] == ("name", "x")
    assert lex("#!/usr/bin/lua").kinds == []


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        (r'"\x41\066\z   C"', "ABC"), (r"'\u{20AC}'", "\xe2\x82\xac"), ('"a\\\nb"', "a\nb"), ("[[\nx]]", "x"), ("[==[ ]] ]==]", " ]] "),
        ('"open', "open"), (r'"\q"', "q"), (r'"\9999"', "\xe7" + "9"),
    ],
)  # fmt: skip
def test_what_a_string_says(raw: str, value: str) -> None:
    assert string_value(raw) == value


@pytest.mark.parametrize(
    ("raw", "value"),
    [("10", 10), ("0x10", 16), ("1e2", 100.0), ("0x.8p1", 1.0), ("0b101", 5), ("1_000", 1000), ("0xffffffffffffffff", -1), ("7LL", 7), ("0x", None)],
)  # fmt: skip
def test_what_a_number_is(raw: str, value: float | None) -> None:
    assert number_value(raw) == value


def test_code_points_up_to_31_bits() -> None:
    assert utf8(0x7FFFFFFF).encode("latin-1") == b"\xfd\xbf\xbf\xbf\xbf\xbf"


HOSTILE = {
    "brackets": "[" + "=" * 300_000, "openings": "[=[" * 60_000, "levels": "".join("[" + "=" * n + "[" for n in range(600)),
    "comments": "--[[" * 75_000, "quotes": '"' * 300_000, "escapes": '"\\' * 150_000, "ticks": "`" * 200_000,
    "hex": "0x" * 150_000, "dots": "." * 300_000, "strings": "'a\\z " * 60_000, "exponents": "1e+" * 100_000,
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_text_takes_linear_time(name: str) -> None:
    started = time.process_time()
    lex(HOSTILE[name])
    assert time.process_time() - started < 6


@given(st.text(alphabet=st.characters(max_codepoint=255), max_size=400))
def test_tokens_cover_everything_but_blanks_in_order(text: str) -> None:
    at = 0
    for token in lex(text):
        assert at <= token.start < token.end <= len(text)
        assert text[at : token.start].strip(" \t\r\n\f\v") == "" or text[at : token.start].startswith(("#", "\xef"))
        at = token.end
