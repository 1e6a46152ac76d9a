"""PowerShell's replacements on literals; expressions that are not linear are left."""

from __future__ import annotations

import time

import pytest

from perilune.analysis.rewrite_replace import replace, split_and_join


@pytest.mark.parametrize(
    ("written", "plain"),
    [
        ("'w1h2o' -replace '\\d',''", "'who'"),
        ("'wXho' -replace 'x'", "'who'"),
        ("'wXho' -creplace 'x',''", "'wXho'"),
        ("'ba' -replace '(.)(.)','$2$1'", "'ab'"),
        ("'a.b' -replace '\\.','+'", "'a+b'"),
        ("'ab' -replace '(?<x>a)','[${x}]'", "'[a]b'"),
        ("'ab'.Replace('b','c')", "'ac'"),
        ("[regex]::Replace('a--b','-+','')", "'ab'"),
        ("'ab' -replace 'b','$$'", "'a$'"),
    ],
)
def test_a_replacement_gives_what_powershell_would(written: str, plain: str) -> None:
    assert replace(written) == plain


@pytest.mark.parametrize("text", ["'ab' -replace '(?<=a)b','c'", "'aa' -replace '(a)\\1','c'", "'a' -replace '(','c'"])
def test_an_expression_that_is_not_linear_or_no_expression_is_left(text: str) -> None:
    assert replace(text) == text


def test_pieces_are_joined() -> None:
    assert split_and_join("('a~b~c' -split '~') -join ''") == "'abc'"
    assert split_and_join("'a;b'.Split(';') -join '-'") == "'a-b'"


def test_bait_for_backtracking_ends_at_once() -> None:
    before = time.process_time()
    replace(f"'{'a' * 100_000}' -replace '(a+)+$b','c'")
    assert time.process_time() - before < 2
