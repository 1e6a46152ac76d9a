"""Live tables become files that the readers know, whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from perilune.cli.fetch import parse_moment
from perilune.cli.main import cli
from perilune.connectors.cortex_xdr import CortexXdr, Key
from perilune.connectors.defender import Defender, Secrets
from perilune.connectors.simulated import Simulated
from perilune.errors import ConnectorError, UsageError
from perilune.service.fetching import fetch_table
from tests.connectors.cortex_xdr import fake as cortex
from tests.connectors.defender import fake as defender
from tests.connectors.vendor import serving

NOW = datetime.now(UTC).replace(microsecond=0)
SINCE = NOW - timedelta(hours=2)
TABLE = "DeviceProcessEvents"


class Rows(defender.Fake):
    """A tenant whose table has a finding in it."""

    def _hunt(self, body: dict[str, object]) -> tuple[int, object]:
        row = {
            "Timestamp": SINCE.isoformat(), "DeviceId": "m1", "DeviceName": "web-01", "ActionType": "ProcessCreated",
            "FileName": "powershell.exe", "FolderPath": r"C:\\Windows\\System32\\powershell.exe", "ProcessId": 7,
            "ProcessCommandLine": "powershell -nop -w hidden -enc SQBFAFgAKABOAGUAdwAtAE8AYgBqAGUAYwB0ACkA",
            "InitiatingProcessFileName": "winword.exe", "InitiatingProcessId": 5, "AccountName": "ana", "ReportId": 1,
        }  # fmt: skip
        return 200, {"Schema": [], "Results": [row]}


@pytest.fixture
def product() -> Iterator[Defender]:
    made = Rows()
    with serving(made.vendor):
        secrets = Secrets("tenant-1", "app-1", defender.SECRET)
        yield Defender(secrets, base=made.vendor.url, login=made.vendor.url, sleep=lambda seconds: None)


def test_a_table_is_fetched_and_hunted_in(product: Defender, tmp_path: Path) -> None:
    fetched = fetch_table(product, TABLE, SINCE, NOW, tmp_path / "fetched")
    assert fetched.rows == 1
    assert fetched.path.stat().st_mode & 0o777 == 0o600
    result = CliRunner().invoke(cli, ["hunt", str(tmp_path / "fetched"), "--json"], standalone_mode=False)
    found = json.loads(result.stdout)
    assert found["cases"], result.output[:2000]
    assert "powershell" in json.dumps(found["cases"][0]).lower()


def test_what_breaks_in_the_middle_leaves_no_file_that_looks_whole(tmp_path: Path) -> None:
    made = cortex.Fake()
    made.rows = [{"_time": int(SINCE.timestamp() * 1000), "n": 1}]
    with serving(made.vendor):
        xdr = CortexXdr(made.vendor.url, Key("7", cortex.SECRET), sleep=lambda seconds: None)
        assert fetch_table(xdr, "xdr_data", SINCE, NOW, tmp_path).rows == 1
        made.cut = 1
        with pytest.raises(ConnectorError, match="rows came"):
            fetch_table(xdr, "xdr_data", SINCE, NOW - timedelta(minutes=1), tmp_path)
    assert len(list(tmp_path.glob("*.jsonl"))) == 1


def test_a_connector_without_tables_says_so(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no tables"):
        fetch_table(Simulated(), TABLE, SINCE, NOW, tmp_path)
    with pytest.raises(UsageError, match="span of time is empty"):
        fetch_table(Simulated(), TABLE, NOW, SINCE, tmp_path)


def test_moments() -> None:
    assert parse_moment("90m", NOW) == NOW - timedelta(minutes=90)
    assert parse_moment("2026-11-20T09:00:00", NOW) == datetime(2026, 11, 20, 9, tzinfo=UTC)
    with pytest.raises(UsageError, match="no time"):
        parse_moment("yesterday", NOW)
