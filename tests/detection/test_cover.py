"""A cover never leaves out a value that the test holds on."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perilune.detection import cover, oracle
from perilune.detection.values import fold, searched
from perilune.model.rules import And, Field, Or, Regex, Text, Wildcard
from tests.detection import strategies

FIELD = Field("", "ProcessCommandLine")


@pytest.mark.parametrize(
    ("pattern", "flags", "words"),
    [
        ("Invoke-[Ee]xpression", "", {"invoke-expression"}),
        ("^abc.*defg$", "", {"defg"}),
        ("(?:curl|wget) -o", "", {"curl", "wget"}),
        ("(?:curl|wget)", "", {"curl", "wget"}),
        ("a*b?", "", None),
        ("(?:ab)+c", "", {"ab"}),
        ("(?:ab)*c", "", {"c"}),
        ("passwd", "i", {"pa"}),
        ("(?i)network", "", {"networ"}),
        ("[[:alpha:]]+]x", "", None),
        ("[^a]", "", None),
        ("a|b|", "", None),
    ],
)
def test_words_of_an_expression(pattern: str, flags: str, words: set[str] | None) -> None:
    found = cover.regex_words(pattern, flags)
    assert found == (None if words is None else frozenset(words))


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(strategies.EXPRESSIONS), st.sampled_from(["", "i", "s"]), strategies.values)
def test_an_expression_found_has_one_of_its_words(pattern: str, flags: str, text: str | None) -> None:
    words = cover.regex_words(pattern, flags)
    if text is not None and words is not None and searched(pattern, flags, text):
        assert any(word in fold(text) for word in words)


_parts = st.lists(st.one_of(strategies.words, st.sampled_from(Wildcard)), max_size=5).map(tuple)
_texts = st.builds(Text, st.just(FIELD), _parts, st.booleans())
_tests = st.one_of(
    _texts,
    st.builds(Regex, st.just(FIELD), st.sampled_from(strategies.EXPRESSIONS), st.sampled_from(["", "i"])),
    st.lists(_texts, min_size=1, max_size=3).map(lambda found: Or(tuple(found))),
    st.lists(_texts, min_size=1, max_size=3).map(lambda found: And(tuple(found))),
)


@settings(max_examples=500, deadline=None)
@given(_tests, strategies.values)
def test_a_test_that_holds_has_one_of_its_words(test: Text, text: str | None) -> None:
    found = cover.cover(test, "ProcessCommandLine")
    if found is not None and text is not None and oracle.holds(test, {"ProcessCommandLine": text}):
        assert any(_stands(word, fold(text)) for word in found.words)


def _stands(word: cover.Word, text: str) -> bool:
    match word.kind:
        case cover.IS:
            return text == word.text
        case cover.STARTS:
            return text.startswith(word.text)
        case cover.ENDS:
            return text.endswith(word.text)
    return word.text in text
