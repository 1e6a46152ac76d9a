"""JSON that does nothing where it is shown, and gives back what was put in."""

from __future__ import annotations

import json
import math
import re

from hypothesis import given
from hypothesis import strategies as st

from perilune.report.inert import dump, fit, lines, whole

_RAW = re.compile(r"[^\x20-\x7e\n]|[<>&]")


@given(
    st.recursive(
        st.text() | st.integers() | st.none(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    )
)
def test_what_was_put_in_comes_out_and_nothing_acts(value: object) -> None:
    text = dump(value)
    assert json.loads(text) == value
    assert not _RAW.search(text)
    assert "\n" not in text


def test_lines_are_one_object_each() -> None:
    text = lines([{"a": "x\ny"}, {"b": "\u2028"}])
    assert [json.loads(one) for one in text.split("\n")[:-1]] == [{"a": "x\ny"}, {"b": "\u2028"}]


def test_what_json_cannot_hold_becomes_words() -> None:
    assert fit({"a": float("nan"), "b": math.inf, "c": object}) == {"a": "nan", "b": "inf", "c": str(object)}
    assert whole("a\ud800b") == "a\ufffdb"
    assert whole("\ud83d\ude00") == "😀"
    assert fit("x" * 100, 10) == "xxxxxxxx … 90 more characters … xx"
