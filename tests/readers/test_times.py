"""Times of every form, read one by one and a column at once."""

from __future__ import annotations

from datetime import UTC, datetime

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from perilune.model.tables import TEXT
from perilune.readers import times
from perilune.readers.values import Faults


def faults(count: int) -> Faults:
    return Faults(range(1, count + 1))


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
    assert times.times([raw], "T", noted).to_pylist() == [wanted]
    assert times.times([raw, "2020-02-02T02:02:02Z", None], "T", noted).to_pylist() == [
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
    assert times.times(["2020-02-02T02:02:02Z", raw], "Timestamp", noted).null_count == 1
    assert noted.counts == {"Timestamp is not a time": 1}
    assert noted.examples["Timestamp is not a time"].startswith("record 2: ")


@given(
    st.datetimes(min_value=datetime(1700, 1, 1), max_value=datetime(2200, 1, 1)), st.sampled_from(["Z", "", "+00:00"])
)
def test_the_fast_and_the_slow_way_to_a_time_agree(moment: datetime, zone: str) -> None:
    text = moment.isoformat(sep=" " if not zone else "T") + zone
    fast = times.times([text], "t", faults(1)).to_pylist()
    slow = times.times([text, 1], "t", faults(2)).to_pylist()[:1]
    assert fast == slow == [moment.replace(tzinfo=UTC)]


@given(
    st.lists(
        st.sampled_from(
            [
                None,
                "2026-03-02T08:15:30Z",
                "2026-03-02T08:15:30.1234567Z",
                "2026-03-02 08:15:30.123",
                "2026-03-02 08:15:30.1234567",
                "2026-03-02T08:15:30+02:00",
                "0001-01-01T00:00:00Z",
                "-",
            ]
        ),
        min_size=1,
    )
)
def test_a_column_of_several_forms_is_what_its_values_are(texts: list[str | None]) -> None:
    found = times.cast_times(pa.array(texts, TEXT))
    if found is not None:
        assert found.to_pylist() == times.times([*texts, 1], "t", faults(len(texts) + 1)).to_pylist()[:-1]


def test_several_forms_in_one_column_are_cast() -> None:
    column = pa.array(["2026-03-02T08:15:30Z", "2026-03-02 08:15:30.1234567", None], TEXT)
    assert times.cast_times(column) is not None
