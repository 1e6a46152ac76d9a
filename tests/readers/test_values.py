"""What each conversion makes of good, absent and bad values."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from perilune.model.tables import BOOL, LONG, TEXT, TEXTS, TIME
from perilune.readers import times, values
from perilune.readers.derivations import DERIVED, derived

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


def faults(count: int) -> values.Faults:
    return values.Faults(range(1, count + 1))


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (7, 7), ("7", 7), ("0x9d0", 2512), ("0XFF", 255), ("-3", -3), (5.0, 5), ("5.0", 5), (" 12 ", 12),
        (True, 1), ("", None), ("-", None), ("(null)", None), (None, None), (2**63 - 1, 2**63 - 1),
    ],
)  # fmt: skip
def test_whole_numbers(raw: object, expected: int | None) -> None:
    noted = faults(1)
    assert values.wholes([raw], "N", noted).to_pylist() == [expected]
    assert not noted.counts


@pytest.mark.parametrize(
    "raw", ["abc", "1.5", 1.5, 2**63, "0xffffffffffffffff", float("nan"), float("inf"), [], {}, "٣"]
)
def test_a_bad_number_is_null_and_counted(raw: object) -> None:
    noted = faults(2)
    assert values.wholes([raw, 1], "N", noted).to_pylist() == [None, 1]
    assert noted.counts == {"N is not a whole number": 1}


def test_true_is_not_one_in_text() -> None:
    assert values.texts([True, 1, 1.0, "1", None, [1, "a"], {"a": None}]).to_pylist() == [
        "true", "1", "1.0", "1", None, '[1,"a"]', '{"a":null}',
    ]  # fmt: skip


def test_booleans() -> None:
    noted = faults(8)
    assert values.truths([True, "False", "TRUE", 1, 0, "-", None, "perhaps"], "B", noted).to_pylist() == [
        True, False, True, True, False, None, None, None,
    ]  # fmt: skip
    assert noted.counts == {"B is not true or false": 1}


@given(st.lists(ANYTHING, max_size=20))
def test_no_value_raises(raw: list[Any]) -> None:
    noted = faults(len(raw))
    for column, kind in (
        (values.texts(raw), TEXT),
        (values.wholes(raw, "n", noted), LONG),
        (values.truths(raw, "b", noted), BOOL),
        (times.times(raw, "t", noted), TIME),
        (values.lists(raw), TEXTS),
        (values.jsons(raw), TEXT),
        *((derived(raw, derive), TEXT) for derive in DERIVED.values()),
    ):
        assert isinstance(column, pa.Array)
        assert len(column) == len(raw)
        assert column.type == kind
