"""Conditions in the grammar of STIX patterns, over variables."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perilune.errors import ContentError
from perilune.response.conditions import holds, parse_condition, variables_of

VARIABLES = {
    "__score__": "71",
    "__verdict__": "malicious",
    "__auto__": "True",
    "__empty__": "",
    "__ip__": "10.1.2.3",
    "__when__": "2026-11-20T09:00:00+00:00",
    "__none__": None,
}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("__score__:value = 71", True),
        ("__score__:value == 71", True),
        ("__score__:value >= 71.0", True),
        ("__score__:value > 100", False),
        ("__score__:value < 9", False),  # as numbers, not as texts
        ("__verdict__:value = 'malicious'", True),
        ("__verdict__:value != 'malicious'", False),
        ("__verdict__:value <> 'benign'", True),
        ("__verdict__:value < 'n'", True),
        ("__verdict__:value NOT = 'benign'", True),
        ("NOT __verdict__:value = 'benign'", True),
        ("__verdict__:value IN ('benign', 'malicious')", True),
        ("__verdict__:value NOT IN ('benign','odd')", True),
        ("__verdict__:value LIKE 'mal%'", True),
        ("__verdict__:value LIKE 'mal_'", False),
        ("__verdict__:value MATCHES '^m.*s$'", True),
        ("__verdict__:value MATCHES 'z'", False),
        ("__auto__:value = true", True),
        ("__auto__:value = false", False),
        ("__empty__:value = true", False),
        ("__empty__:value = ''", True),
        ("__verdict__:value > 5", False),  # no number: not greater than one
        ("__ip__:value ISSUBSET '10.0.0.0/8'", True),
        ("__ip__:value ISSUPERSET '10.0.0.0/8'", False),
        ("__ip__:value ISSUBSET 'fe80::/10'", False),
        ("__when__:value > t'2026-11-19T00:00:00Z'", True),
        ("__verdict__:value = h'6d616c6963696f7573'", True),
        ("__verdict__:value = b'bWFsaWNpb3Vz'", True),
        ("EXISTS __verdict__:value", True),
        ("EXISTS __none__:value", False),
        ("NOT EXISTS __none__:value", True),
        ("__none__:value = 'x'", None),
        ("__none__:value != 'x'", None),
        ("__none__:value = 'x' OR __score__:value = 71", True),
        ("__none__:value = 'x' AND __score__:value = 71", None),
        ("__none__:value = 'x' AND __score__:value = 1", False),
        ("[__score__:value > 70 AND (__verdict__:value = 'x' OR __auto__:value = true)]", True),
        ("__verdict__:value = 'a' OR __score__:value = 71 AND __score__:value = 71", True),
        (r"__verdict__:value = 'it\'s'", False),
    ],
)
def test_a_condition_holds_or_not_or_nobody_knows(text: str, expected: bool | None) -> None:
    assert holds(parse_condition(text), VARIABLES) is expected


@pytest.mark.parametrize(
    ("text", "says", "column"),
    [
        ("", "ends where a variable", 1),
        ("__a__ = 1", "without ':value'", 1),
        ("__a__:value", "ends where a comparison", 12),
        ("__a__:value = ", "ends where a value", 15),
        ("__a__:value = x", "single quotes", 15),
        ("__a__:value ~ 1", "cannot be read", 12),
        ("__a__:value LIKES 'x'", "comparison operator", 13),
        ("(__a__:value = 1", "no ')'", 17),
        ("__a__:value = 1 __b__:value = 2", "and '__b__:value' follows", 17),
        ("[__a__:value = 1] FOLLOWEDBY [__b__:value = 2]", "events in time", 19),
        ("__a__:value MATCHES '('", "regular expression", 21),
        ("__a__:value = t'soon'", "that is none", 15),
        ("__a__:value IN ('a'", "no ')'", 20),
        ("(" * 40 + "__a__:value = 1", "nested deeper", 34),
    ],
)
def test_a_wrong_condition_says_where(text: str, says: str, column: int) -> None:
    with pytest.raises(ContentError, match=r"condition") as error:
        parse_condition(text)
    assert says in str(error.value)
    assert error.value.where == f"column {column}"


def test_the_variables_are_named_once() -> None:
    condition = parse_condition("__b__:value = 1 OR (__a__:value = 1 AND __b__:value = 2)")
    assert variables_of(condition) == ("__b__", "__a__")


@given(
    st.text(max_size=200)
    | st.lists(st.sampled_from("__a__:value = != IN ( ) [ ] , 'x' 1 NOT AND OR".split())).map(" ".join)
)
def test_any_text_is_a_condition_or_a_located_error(text: str) -> None:
    try:
        condition = parse_condition(text)
    except ContentError as error:
        assert error.where or "longer" in str(error)
    else:
        assert holds(condition, {"__a__": "1"}) in (True, False, None)
