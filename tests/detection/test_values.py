"""How values are read: the folding is Arrow's for every code point there is, and nothing else is guessed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from perilune.detection import values
from perilune.errors import RuleError


def test_folding_is_arrows_on_every_code_point() -> None:
    points = [chr(p) for p in range(0x110000) if not 0xD800 <= p < 0xE000]
    assert [values.fold(point) for point in points] == pc.utf8_lower(pa.array(points)).to_pylist()


@given(st.text(), st.text())
def test_the_fold_of_a_part_is_in_the_fold_of_the_whole(one: str, other: str) -> None:
    assert values.fold(one + other) == values.fold(one) + values.fold(other)


@pytest.mark.parametrize(
    ("text", "number"),
    [("7", 7), ("-7", -7), ("0x3E7", 999), ("1.50", 1.5), ("007", 7), ("", None), (" 7", None), ("7a", None),
     ("0x", None), ("1e3", None), ("٣", None), ("--1", None), ("9" * 40, None)],
)  # fmt: skip
def test_numbers_are_spelled_in_decimal_or_hexadecimal(text: str, number: float | None) -> None:
    assert values.spelled(text) == number


def test_texts_of_other_values() -> None:
    moment = datetime(2026, 2, 3, 4, 5, 6, 789_000, tzinfo=timezone(timedelta(hours=2)))
    given = [True, 5, 1.5, None, moment, ["a", 1, None], {"a": 1}]
    assert [values.as_text(value) for value in given] == [
        "true", "5", "1.5", None, "2026-02-03 02:05:06.789", "a\n1", '{"a":1}',
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("value", "part", "number"),
    [
        (datetime(2026, 2, 3, 4, 5, tzinfo=UTC), "hour", 4),
        ("2026-02-03T04:05:06+02:00", "hour", 2),
        ("2026-02-03 04:05:06", "minute", 5),
        (datetime(2027, 1, 1, tzinfo=UTC), "week", 53),
        ("yesterday", "hour", None),
        (None, "hour", None),
    ],
)
def test_parts_of_a_time_are_in_utc(value: object, part: str, number: int | None) -> None:
    assert values.time_part(value, part) == number


@pytest.mark.parametrize("document", ["[]", "", "null", "{", '{"a":', "5", None, 5, ["a"]])
def test_what_is_no_object_has_no_fields(document: object) -> None:
    assert values.json_field(document, "a") is None


@pytest.mark.parametrize("pattern", ["(?=a)", "(a)\\1", "(", "a{2,1}", "(?P<x", "\\"])
def test_an_expression_that_cannot_run_is_refused(pattern: str, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(RuleError, match="regular expression"):
        values.regex(pattern, "")
    assert capfd.readouterr().err == ""


def test_an_expression_takes_time_linear_in_the_text() -> None:
    assert not values.searched("(a*)*(a*)*(a|aa)+$", "", "a" * 50_000 + "b")
