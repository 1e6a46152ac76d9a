"""The event lake: every row once, whatever happens between two steps, for whoever reads beside the writer."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from perilune.errors import StoreError
from perilune.model.tables import Table
from perilune.store import lake_parts
from perilune.store.events import SMALL_FILES, EventLake, is_lake, reading
from tests.build import START, at, process, table

NAME = "DeviceProcessEvents"
NOW = START + timedelta(hours=1)


def batch(*pids: int, seconds: float = 0) -> Table:
    return table(NAME, *(process(pid, 1, "/bin/sh", seconds, DeviceName="web-01") for pid in pids))


def pids(folder: Path) -> list[int]:
    """The process ids in a lake, as a reader beside the writer sees them."""
    found: list[int] = []
    with reading(folder) as held:
        for path in held.paths(NAME):
            found += pa.parquet.read_table(path, partitioning=None).column("ProcessId").to_pylist()
        for one in held.tables:
            found += [int(str(value)) for value in one.values("ProcessId")]
    return sorted(found)


def test_rows_and_positions_are_one(tmp_path: Path) -> None:
    with EventLake(tmp_path / "lake") as lake:
        assert is_lake(tmp_path / "lake")
        first = lake.commit([batch(1, 2)], {("file:a", "a"): {"offset": 10}})
        second = lake.commit([batch(3)], {("file:a", "a"): {"offset": 20}, ("file:b", "b"): {"offset": 1}})
        assert second > first
        assert lake.manifest.positions("file:a") == {"a": {"offset": 20}}
        assert pids(lake.folder) == [1, 2, 3]
    with EventLake(tmp_path / "lake") as again:
        assert again.manifest.positions("file:b") == {"b": {"offset": 1}}
        assert pids(again.folder) == [1, 2, 3]
        assert [(b.rows, [len(t) for t in tables]) for b, tables in again.batches(first, 9)] == [(1, [1])]


def test_what_was_written_and_not_committed_is_not_there_and_is_written_over(tmp_path: Path) -> None:
    lake = EventLake(tmp_path)
    lake.commit([batch(1)], {})
    lake._log.append([batch(666)])  # and here the process is killed
    assert pids(tmp_path) == [1]
    lake.close()
    with EventLake(tmp_path) as again:
        again.commit([batch(2)], {})
        assert pids(tmp_path) == [1, 2]


def test_a_batch_becomes_parquet_once_it_was_looked_at(tmp_path: Path) -> None:
    with EventLake(tmp_path) as lake:
        lake.commit([batch(1, 2, seconds=0)], {})
        last = lake.commit([batch(3, seconds=7200)], {})
        assert lake.flush(NOW) == []  # its findings are not in any case yet
        lake.manifest.set_detected(last)
        files = lake.flush(NOW)
        assert sorted((f.day, f.hour, f.rows) for f in files) == [("2026-11-20", "09", 2), ("2026-11-20", "11", 1)]
        assert lake.manifest.batches() == []
        assert list((tmp_path / "log").iterdir()) == []
        assert pids(tmp_path) == [1, 2, 3]
    found = duckdb.sql(
        f"select day, hour, count(*) from read_parquet('{tmp_path}/table=*/*/*/*.parquet', hive_partitioning=true) "
        "group by all order by all"
    ).fetchall()
    assert [(str(day), int(hour), count) for day, hour, count in found] == [
        ("2026-11-20", 9, 2), ("2026-11-20", 11, 1)
    ]  # fmt: skip


def test_files_that_a_crash_left_are_no_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lake = EventLake(tmp_path)
    lake.manifest.set_detected(lake.commit([batch(1, 2)], {}))
    monkeypatch.setattr(lake.manifest, "replace", lambda **_: os._exit(9))  # the files are there, the manifest is not
    child = os.fork()
    if not child:
        lake.flush(NOW)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    assert len(list(tmp_path.rglob("part-*.parquet"))) == 1
    assert pids(tmp_path) == [1, 2]
    monkeypatch.undo()
    lake.close()
    with EventLake(tmp_path) as again:
        assert list(tmp_path.rglob("part-*.parquet")) == []
        again.flush(NOW)
        assert pids(tmp_path) == [1, 2]


def test_late_rows_go_to_their_own_hour_and_impossible_times_make_no_folders(tmp_path: Path) -> None:
    with EventLake(tmp_path) as lake:
        rows = [process(1, 0, "/a", -86_400 * 3), process(2, 0, "/a", 86_400 * 365 * 200), process(3, 0, "/a")]
        rows[2]["Timestamp"] = None
        lake.manifest.set_detected(lake.commit([table(NAME, *rows)], {}))
        files = lake.flush(NOW)
        assert sorted((f.day, f.rows) for f in files) == [("2026-11-17", 1), (lake_parts.OTHER, 2)]
        assert pids(tmp_path) == [1, 2, 3]


def test_small_files_of_an_hour_are_put_together(tmp_path: Path) -> None:
    with EventLake(tmp_path) as lake:
        for pid in range(SMALL_FILES):
            lake.manifest.set_detected(lake.commit([batch(pid)], {}))
            lake.flush(NOW)
        with reading(tmp_path) as held:
            assert lake.compact() == SMALL_FILES
            lake.sweep()  # somebody reads: nothing is deleted
            assert all(path.exists() for path in held.paths())
        lake.sweep()
        assert len(list(tmp_path.rglob("*.parquet"))) == 1
        assert pids(tmp_path) == list(range(SMALL_FILES))


def test_the_newest_days_are_kept_whatever_the_clock_says(tmp_path: Path) -> None:
    with EventLake(tmp_path) as lake:
        for day in range(5):
            lake.manifest.set_detected(lake.commit([batch(day, seconds=86_400 * day)], {}))
        lake.flush(NOW + timedelta(days=300))
        assert lake.retain(2) == 3
        lake.sweep()
        assert pids(tmp_path) == [3, 4]
        assert lake.retain(2) == 0


def test_one_writer_at_a_time(tmp_path: Path) -> None:
    with EventLake(tmp_path), pytest.raises(StoreError, match="another watcher"):
        EventLake(tmp_path)


def test_a_full_disk_loses_nothing_and_doubles_nothing(tmp_path: Path) -> None:
    """A limit on the size of files stands for the disk: writing fails half-way through a batch."""
    import resource
    import signal

    with EventLake(tmp_path) as lake:
        lake.commit([batch(1)], {("s", "a"): {"offset": 1}})
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        segment = next((tmp_path / "log").iterdir())
        try:
            resource.setrlimit(resource.RLIMIT_FSIZE, (segment.stat().st_size + 100, before[1]))
            with pytest.raises(StoreError):
                lake.commit([batch(2, 3)], {("s", "a"): {"offset": 2}})
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
            signal.signal(signal.SIGXFSZ, handler)
        assert lake.manifest.positions("s") == {"a": {"offset": 1}}
        lake.commit([batch(2, 3)], {("s", "a"): {"offset": 2}})
        assert pids(tmp_path) == [1, 2, 3]


def test_times_are_kept_to_the_microsecond(tmp_path: Path) -> None:
    with EventLake(tmp_path) as lake:
        lake.manifest.set_detected(lake.commit([batch(1, seconds=0.123456)], {}))
        lake.flush(NOW)
        with reading(tmp_path) as held:
            assert pa.parquet.read_table(held.paths()[0]).column("Timestamp").to_pylist() == [at(0.123456)]
