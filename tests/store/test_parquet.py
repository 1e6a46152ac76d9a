"""Tables as Parquet, by table and day; reading them back gives the same rows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from perilune.model.tables import COLUMNS, Table
from perilune.store import parquet
from perilune.store.parquet import ParquetFolder, by_day

START = datetime(2026, 3, 2, 23, 59, 59, 999_999, tzinfo=UTC)


def table(times: list[datetime | None], name: str = "XLogEvents") -> Table:
    columns: dict[str, Any] = {
        "Timestamp": pa.array(times, COLUMNS["Timestamp"]),
        "XSourceRecord": pa.array(range(len(times)), COLUMNS["XSourceRecord"]),
    }
    return Table(name, pa.table(columns))


def test_rows_go_to_their_day() -> None:
    times = [START, None, START + timedelta(microseconds=1), datetime(1969, 12, 31, 23, tzinfo=UTC)]
    found = {day: data.column("XSourceRecord").to_pylist() for day, data in by_day(table(times))}
    assert found == {"1969-12-31": [3], "2026-03-02": [0], "2026-03-03": [2], "undated": [1]}


def written(folder: Path, *tables: Table) -> dict[str, list[object]]:
    with ParquetFolder(folder) as out:
        for one in tables:
            out.add(one)
    found: dict[str, list[object]] = {}
    for path in sorted(folder.rglob("*.parquet")):
        rows = pa.parquet.ParquetFile(path).read(columns=["XSourceRecord"]).column(0).to_pylist()
        found[str(path.relative_to(folder))] = list(rows)
    return found


def test_a_folder_per_table_and_day(tmp_path: Path) -> None:
    assert written(tmp_path, table([START, START]), table([None], "DeviceEvents")) == {
        "DeviceEvents/day=undated/part-00001.parquet": [0],
        "XLogEvents/day=2026-03-02/part-00001.parquet": [0, 1],
    }


@pytest.mark.parametrize(("name", "value"), [("_OPEN", 1), ("_FILE_ROWS", 2), ("_HELD_BYTES", 1), ("_GROUP_ROWS", 1)])
def test_budgets_lose_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: int) -> None:
    monkeypatch.setattr(parquet, name, value)
    days: list[datetime | None] = [START + timedelta(days=n % 3) for n in range(9)]
    found = written(tmp_path, table(days), table(days), table([None]))
    assert sum(len(rows) for rows in found.values()) == 19
