"""Advanced hunting: whole tables in spans, nothing cut silently, and rows that the readers read."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from perilune.connectors.defender import Defender
from perilune.connectors.defender.hunting import Hunting
from perilune.errors import ConnectorError, UsageError
from tests.connectors.defender.fake import Fake

NOW = datetime.now(UTC).replace(microsecond=0)
SINCE = NOW - timedelta(hours=1)


def test_a_span_with_too_many_rows_is_halved_until_all_of_them_came(defender: Defender, fake: Fake) -> None:
    fake.events = [SINCE + timedelta(seconds=30 * n) for n in range(100)]
    fake.most = 10
    rows = list(Hunting(defender.api, most=10).rows("DeviceProcessEvents", SINCE, NOW))
    assert [str(one["Timestamp"]) for one in rows] == [one.isoformat() for one in fake.events]
    assert {one["Type"] for one in rows} == {"DeviceProcessEvents"}
    assert len(fake.queries) > 10


def test_too_many_rows_in_one_second_are_said(defender: Defender, fake: Fake) -> None:
    fake.events, fake.most = [SINCE] * 20, 10
    with pytest.raises(ConnectorError, match="one second"):
        list(Hunting(defender.api, most=10).rows("DeviceProcessEvents", SINCE, NOW))


@pytest.mark.parametrize("table", ["", "Device | take 1", "x;y", "a" * 65])
def test_a_table_is_a_name(defender: Defender, fake: Fake, table: str) -> None:
    with pytest.raises(UsageError, match="no table"):
        list(defender.hunting.rows(table, SINCE, NOW))
    assert fake.queries == []


def test_what_lies_further_back_than_the_api_looks_is_said(defender: Defender) -> None:
    with pytest.raises(UsageError, match="30 days"):
        list(defender.hunting.rows("DeviceProcessEvents", NOW - timedelta(days=31), NOW))


@pytest.mark.parametrize("fault", ["close", "half", 500, 503, 429])
def test_a_query_is_tried_again(defender: Defender, fake: Fake, fault: int | str) -> None:
    fake.events = [SINCE]
    fake.vendor.only, fake.vendor.faults = "/advancedqueries/", [fault]
    assert len(list(defender.hunting.rows("DeviceProcessEvents", SINCE, NOW))) == 1
