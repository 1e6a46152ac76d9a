"""What each conversion makes of good, absent and bad values."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from perilune.model.tables import BOOL, LONG, TEXT, TEXTS, TIME
from perilune.readers import values

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
        ("2019-01-01 00:00:00.123", "2019-01-01T00:00:00.123+00:00"),
        ("2022-11-09T17:59:52.0344972Z", "2022-11-09T17:59:52.034497+00:00"),
        ("2022-11-09T17:59:52Z", "2022-11-09T17:59:52+00:00"),
        ("2021-11-19T16:52:33.833733500Z", "2021-11-19T16:52:33.833733+00:00"),
        ("2022-11-09T17:59:52+02:00", "2022-11-09T15:59:52+00:00"),
        ("2022-11-09T17:59:52.5-0530", "2022-11-09T23:29:52.500000+00:00"),
        ("2022-11-09", "2022-11-09T00:00:00+00:00"),
        ("11/9/2022, 6:03:21.994 PM", "2022-11-09T18:03:21.994+00:00"),
        ("11/9/2022 12:03:21 AM", "2022-11-09T00:03:21+00:00"),
        ("11/9/2022 18:03:21", "2022-11-09T18:03:21+00:00"),
        (1667930592, "2022-11-08T18:03:12+00:00"),
        ("1667930592.25", "2022-11-08T18:03:12.250000+00:00"),
        (1667930592250, "2022-11-08T18:03:12.250000+00:00"),
        (1667930592250000, "2022-11-08T18:03:12.250000+00:00"),
        ("1667930592250000999", "2022-11-08T18:03:12.250000+00:00"),
        ("/Date(1667930592250)/", "2022-11-08T18:03:12.250000+00:00"),
        ("1601-01-01T00:00:00.000000Z", "1601-01-01T00:00:00+00:00"),
        ("0001-01-01T00:00:00Z", None),
        ("", None),
        ("-", None),
        (None, None),
        (0, None),
    ],
)
def test_times(raw: object, expected: str | None) -> None:
    noted = faults(3)
    wanted = datetime.fromisoformat(expected) if expected else None
    assert values.times([raw], "T", noted).to_pylist() == [wanted]
    assert values.times([raw, "2020-02-02T02:02:02Z", None], "T", noted).to_pylist() == [
        wanted,
        datetime(2020, 2, 2, 2, 2, 2, tzinfo=UTC),
        None,
    ]
    assert not noted.counts


@pytest.mark.parametrize(
    "raw", ["yesterday", "2022-13-45T00:00:00Z", True, [], {}, "9" * 30, "2022-11-09T17:59:52+99:99"]
)
def test_a_bad_time_is_null_and_counted(raw: object) -> None:
    noted = faults(2)
    assert values.times(["2020-02-02T02:02:02Z", raw], "Timestamp", noted).null_count == 1
    assert noted.counts == {"Timestamp is not a time": 1}
    assert noted.examples["Timestamp is not a time"].startswith("record 2: ")


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


@pytest.mark.parametrize(
    ("how", "raw", "expected"),
    [
        ("basename", r"C:\Windows\cmd.exe", "cmd.exe"),
        ("basename", "C:/Windows/cmd.exe", "cmd.exe"),
        ("basename", r"/srv/odd\name", r"odd\name"),
        ("basename", "/memfd:x (deleted)", "memfd:x"),
        ("basename", "C:\\folder\\", None),
        ("basename", "?", None),
        ("domain", r"NT AUTHORITY\SYSTEM", "NT AUTHORITY"),
        ("user", r"NT AUTHORITY\SYSTEM", "SYSTEM"),
        ("domain", "root", None),
        ("user", "root", "root"),
        ("sha256", "SHA1=AA,SHA256=BB,IMPHASH=CC", "bb"),
        ("md5", "SHA1=AA", None),
        ("md5", "Unknown", None),
        ("integrity", "S-1-16-12288", "High"),
        ("integrity", "System", "System"),
        ("elevation", "%%1937", "TokenElevationTypeFull"),
        ("guid", "{0a-b}", "0A-B"),
        ("value_name", r"HKLM\SOFTWARE\Run\x", "x"),
        ("platform", r"\\server\share\x.exe", "windows"),
        ("platform", "/usr/bin/lua", "linux"),
        ("platform", "/Users/anna/x", "macos"),
        ("platform", "lua.exe", None),
    ],
)
def test_derived_texts(how: str, raw: str, expected: str | None) -> None:
    assert values.derived([raw, None, raw], values.DERIVED[how]).to_pylist() == [expected, None, expected]


@given(st.lists(ANYTHING, max_size=20))
def test_no_value_raises(raw: list[Any]) -> None:
    noted = faults(len(raw))
    for column, kind in (
        (values.texts(raw), TEXT),
        (values.wholes(raw, "n", noted), LONG),
        (values.truths(raw, "b", noted), BOOL),
        (values.times(raw, "t", noted), TIME),
        (values.lists(raw), TEXTS),
        (values.jsons(raw), TEXT),
        *((values.derived(raw, derive), TEXT) for derive in values.DERIVED.values()),
    ):
        assert isinstance(column, pa.Array)
        assert len(column) == len(raw)
        assert column.type == kind


@given(
    st.datetimes(min_value=datetime(1700, 1, 1), max_value=datetime(2200, 1, 1)), st.sampled_from(["Z", "", "+00:00"])
)
def test_the_fast_and_the_slow_way_to_a_time_agree(moment: datetime, zone: str) -> None:
    text = moment.isoformat(sep=" " if not zone else "T") + zone
    fast = values.times([text], "t", faults(1)).to_pylist()
    slow = values.times([text, 1], "t", faults(2)).to_pylist()[:1]
    assert fast == slow == [moment.replace(tzinfo=UTC)]
