"""Reading on several processes gives what one gives, to the last row and report."""

from __future__ import annotations

import gzip
import json
import multiprocessing
import os
import signal
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from perilune import readers, reading
from perilune.errors import ContentError
from perilune.model.sources import Reading, SourceReport
from perilune.model.tables import Table
from perilune.ports import Limits
from perilune.readers import ranges
from perilune.readers.detect import packaged
from perilune.readers.source import Source
from perilune.reading import Own, Unit
from perilune.store.events import EventLake
from tests.readers.test_rejoined import block

ROW = {"Timestamp": "2026-03-02T08:15:30.1234567Z", "DeviceName": "ws1", "ActionType": "ProcessCreated"}


def line(number: int) -> bytes:
    return json.dumps({**ROW, "FileName": "lua.exe", "ProcessId": number, "ProcessCommandLine": "x" * 50}).encode()


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    """A large file of lines with faults and a script across its parts, small files, an archive, an empty file."""
    folder = tmp_path / "logs"
    folder.mkdir()
    lines = [line(number) for number in range(3000)]
    lines[7] = lines[1500] = lines[2990] = b'{"broken'
    lines[20] = json.dumps(block(1, 3, "Invoke-")).encode()
    lines[1600] = json.dumps(block(2, 3, "Expres")).encode()
    lines[2900] = json.dumps(block(3, 3, "sion")).encode()
    (folder / "big.jsonl").write_bytes(b"\n".join(lines))
    for number in range(20):
        (folder / f"small{number:02}.jsonl").write_bytes(b"\n".join(line(n) for n in range(number + 1)))
    (folder / "packed.jsonl.gz").write_bytes(gzip.compress(b"\n".join(map(line, range(500)))))
    (folder / "empty").touch()
    (folder / "noise.bin").write_bytes(bytes(range(256)) * 8)
    return folder


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Little is enough for several processes, and for several parts."""
    monkeypatch.setattr(reading, "WORTHWHILE", 1)
    monkeypatch.setattr(reading, "_RANGE_BYTES", 60_000)
    monkeypatch.setattr(reading, "_UNIT_FILES", 5)


def everything(items: Iterator[reading.Item]) -> tuple[list[Any], list[SourceReport]]:
    rows, reports = [], []
    for item in items:
        if isinstance(item, SourceReport):
            reports.append(item)
        else:
            rows += [(item.name, row) for row in item.data.to_pylist()]
    return rows, reports


def test_any_number_of_processes_gives_the_same(logs: Path) -> None:
    alone = everything(reading.read([logs], jobs=1))
    assert len(alone[0]) > 3000
    for jobs in (2, 3):
        assert everything(reading.read([logs], jobs=jobs)) == alone
    assert not multiprocessing.active_children()


def test_a_file_in_parts_is_one_file(logs: Path) -> None:
    rows, reports = everything(reading.read([logs / "big.jsonl"], jobs=1))
    (report,) = reports
    assert report.records == 3000 - 3
    assert dict(report.rows) == {"DeviceProcessEvents": 2994, "XScriptEvents": 1}
    assert report.reading is Reading.PARTIAL
    assert [(problem.what, problem.count) for problem in report.problems] == [("line that is not JSON", 3)]
    assert report.problems[0].where.startswith("line 8: ")
    (script,) = [row for name, row in rows if name == "XScriptEvents"]
    assert (script["XScriptText"], script["XSourceRecord"]) == ("Invoke-Expression", 21)
    numbers = [row["XSourceRecord"] for name, row in rows if name == "DeviceProcessEvents"]
    assert numbers == sorted(set(range(1, 3001)) - {8, 21, 1501, 1601, 2901, 2991})


@pytest.mark.parametrize("size", [1, 100, 161, 10_000])
def test_parts_are_whole_lines_and_leave_nothing_out(tmp_path: Path, size: int) -> None:
    data = b"\n".join(map(line, range(300))) + b"\n\n"
    (tmp_path / "x").write_bytes(data)
    parts = list(ranges.split(Source(str(tmp_path / "x")), packaged(), size))
    assert b"".join(data[part.begin : part.end] for part in parts) == data
    assert all(data[part.end - 1 : part.end] == b"\n" for part in parts)
    assert [part.line for part in parts] == [data[: part.begin].count(b"\n") + 1 for part in parts]
    assert [part.last for part in parts] == [False] * (len(parts) - 1) + [True]


def test_little_is_read_here(logs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "WORTHWHILE", 1 << 30)
    for _ in reading.read([logs], jobs=4):
        assert not multiprocessing.active_children()


def test_a_process_that_is_killed_costs_nothing(logs: Path) -> None:
    alone = everything(reading.read([logs], jobs=1))
    items = reading.read([logs], jobs=2)
    first = next(items)
    os.kill(multiprocessing.active_children()[0].pid or 0, signal.SIGKILL)
    rows, reports = everything(items)
    assert not isinstance(first, SourceReport)
    assert ([(first.name, row) for row in first.data.to_pylist()] + rows, reports) == alone


def test_what_ends_every_process_is_said(logs: Path) -> None:
    task = reading._Reading(Own(), Limits(), "")
    unit = Unit((Source(str(logs / "small00.jsonl")),), 1)
    (report,) = list(reading._lost(task, "", unit, -9, reading._Given()))
    assert isinstance(report, SourceReport)
    assert report.reading is Reading.UNREADABLE
    assert report.problems[0].what.startswith("the process that read it ended (signal 9)")


def test_of_several_files_only_the_one_at_fault_is_lost(logs: Path, tmp_path: Path) -> None:
    task = reading._Reading(Own(), Limits(), "")
    unit = Unit(tuple(Source(str(logs / f"small{n:02}.jsonl")) for n in (3, 4)), 1)
    rows, reports = everything(reading._lost(task, str(tmp_path), unit, -9, reading._Given()))
    assert [report.records for report in reports] == [4, 5]
    assert len(rows) == 9


def test_leaving_early_leaves_nothing(logs: Path) -> None:
    items = reading.read([logs], jobs=2)
    next(items)
    items.close()  # type: ignore[attr-defined]  # a generator
    assert not multiprocessing.active_children()


def test_a_wrong_mapping_of_the_users_is_said_at_once(tmp_path: Path) -> None:
    (tmp_path / "mappings").mkdir()
    (tmp_path / "mappings" / "own.yml").write_text("about: x\nmaps: 3\n")
    with pytest.raises(ContentError):
        list(reading.read([tmp_path], own=Own(tmp_path)))


def test_an_archive_is_opened_once(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "logs.zip", "w") as archive:
        for number in range(20):
            archive.writestr(f"{number:02}.jsonl", line(number))
    (tmp_path / "z.jsonl").write_bytes(line(1))
    found = list(reading.units(readers.discover([tmp_path], Limits()), packaged()))
    assert [len(unit.parts) for unit in found] == [20, 1]
    assert everything(reading.read([tmp_path], jobs=2)) == everything(reading.read([tmp_path], jobs=1))


def test_a_lake_is_read_as_the_logs_that_it_came_from(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(b"\n".join(line(n) for n in range(30)))
    logs, _ = everything(reading.read([tmp_path / "a.jsonl"]))
    tables = [item for item in reading.read([tmp_path / "a.jsonl"]) if not isinstance(item, SourceReport)]
    with EventLake(tmp_path / "lake") as lake:
        lake.manifest.set_detected(lake.commit([Table(one.name, one.data.slice(0, 20)) for one in tables], {}))
        lake.flush(datetime(2026, 3, 2, tzinfo=UTC))
        lake.commit([Table(one.name, one.data.slice(20)) for one in tables], {})
        rows, reports = everything(reading.read([tmp_path / "lake"]))
    assert filled(rows) == filled(logs)
    assert {report.reading for report in reports} == {Reading.COMPLETE}
    assert sum(report.records for report in reports) == 30


def filled(rows: list[Any]) -> list[str]:
    """The rows without what they do not hold."""
    return sorted(str((name, {k: v for k, v in row.items() if v is not None})) for name, row in rows)
