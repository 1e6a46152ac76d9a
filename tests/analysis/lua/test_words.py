"""Which words a text holds: the same as asking for each."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from perilune.analysis.lua.words import Words

WORDS = ("load", "loadstring", "string", "ring", "\xe9t\xe9")


@given(st.lists(st.sampled_from((*WORDS, "str", "lo", " ", "\xe9")), max_size=12).map("".join))
def test_the_words_inside_are_those_that_each_search_finds(text: str) -> None:
    assert Words(WORDS).inside(text) == {word for word in WORDS if word in text}
