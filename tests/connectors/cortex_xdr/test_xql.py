"""XQL: polled to the end, streams read, nothing cut silently."""

from __future__ import annotations

from datetime import timedelta

import pytest

from perilune.connectors.cortex_xdr import CortexXdr
from perilune.connectors.cortex_xdr.xql import Xql, literal
from perilune.errors import ConnectorError, UsageError
from tests.build import at
from tests.connectors.cortex_xdr.fake import Fake

SINCE, UNTIL = at(0), at(0) + timedelta(hours=1)


def fill(fake: Fake, count: int) -> None:
    start = int(SINCE.timestamp() * 1000)
    fake.rows = [{"_time": start + n * 1000, "n": n} for n in range(count)]


def test_a_query_is_polled_to_its_end(cortex: CortexXdr, fake: Fake, waits: list[float]) -> None:
    fill(fake, 3)
    fake.pending = 2
    assert [one["n"] for one in cortex.xql.rows("xdr_data", SINCE, UNTIL)] == [0, 1, 2]
    assert waits == [4.0, 4.0]


def test_many_rows_come_as_a_stream(cortex: CortexXdr, fake: Fake) -> None:
    fill(fake, 1500)
    assert len(list(cortex.xql.rows("xdr_data", SINCE, UNTIL))) == 1500


@pytest.mark.parametrize("count", [3, 1500])
def test_rows_that_are_missing_are_said(cortex: CortexXdr, fake: Fake, count: int) -> None:
    fill(fake, count)
    fake.cut = 1
    with pytest.raises(ConnectorError, match="rows came"):
        list(cortex.xql.rows("xdr_data", SINCE, UNTIL))


def test_a_full_answer_is_halved_until_all_came(cortex: CortexXdr, fake: Fake) -> None:
    fill(fake, 100)
    found = list(Xql(cortex.api, most=30).rows("xdr_data", SINCE, UNTIL))
    assert [one["n"] for one in found] == list(range(100))


@pytest.mark.parametrize("status", ["FAIL", "PARTIAL_SUCCESS", "?"])
def test_a_query_that_failed_in_part_is_no_answer(cortex: CortexXdr, fake: Fake, status: str) -> None:
    fake.answer_as = status
    with pytest.raises(ConnectorError, match=f"ended as {status[:4]}" if status != "?" else "ended as"):
        cortex.xql.run("dataset = x", SINCE, UNTIL)


def test_polling_has_an_end(cortex: CortexXdr, fake: Fake) -> None:
    fake.pending = 1000
    with pytest.raises(ConnectorError, match="did not come to an end"):
        cortex.xql.run("dataset = x", SINCE, UNTIL)


def test_names_and_texts_stay_what_they_are(cortex: CortexXdr) -> None:
    assert literal('a" or 1=1 \\') == '"a\\" or 1=1 \\\\"'
    with pytest.raises(UsageError, match="no dataset"):
        list(cortex.xql.rows("xdr_data | limit 1", SINCE, UNTIL))


@pytest.mark.parametrize("fault", ["close", "half", 500, 503, 429])
@pytest.mark.parametrize("call", ["/start_xql_query/", "/get_query_results/"])
def test_reading_is_tried_again(cortex: CortexXdr, fake: Fake, call: str, fault: int | str) -> None:
    fill(fake, 1)
    fake.vendor.only, fake.vendor.faults = call, [fault]
    assert len(list(cortex.xql.rows("xdr_data", SINCE, UNTIL))) == 1
