"""CSV exports: delimiters, quoting, encodings, damage."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from perilune.model.sources import Reading
from tests.readers.reading import read_bytes

HEADER = "Timestamp,DeviceName,ActionType,FileName,ProcessCommandLine\n"
ROW = '2026-03-02T08:15:30Z,ws1,ProcessCreated,lua.exe,"lua.exe -e ""x, y"""\n'


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_delimiters_and_encodings(tmp_path: Path, encoding: str, delimiter: str) -> None:
    text = HEADER.replace(",", delimiter) + ROW.replace(",", delimiter).replace(f"x{delimiter} y", "x, y")
    done = read_bytes(tmp_path, text.encode(encoding))
    (row,) = done.rows["DeviceProcessEvents"]
    assert row["ProcessCommandLine"] == 'lua.exe -e "x, y"'
    assert done.report.format == "csv"


def test_the_header_tells_the_table(tmp_path: Path) -> None:
    text = "Timestamp,DeviceName,RegistryKey,RegistryValueName,RegistryValueData\n2026-03-02,ws1,HKLM,a,b\n"
    assert read_bytes(tmp_path, text.encode()).counts == {"DeviceRegistryEvents": 1}


def test_an_action_tells_the_table_of_a_narrow_export(tmp_path: Path) -> None:
    text = "Timestamp,DeviceName,ActionType,RemoteIP,ProcessCommandLine\n2026-03-02,w,ConnectionSuccess,1.2.3.4,\n"
    assert read_bytes(tmp_path, text.encode()).counts == {"DeviceNetworkEvents": 1}


def test_an_open_quote_swallows_no_more_than_its_budget(tmp_path: Path) -> None:
    done = read_bytes(tmp_path, (HEADER + ROW + '2026-03-02,ws1,ProcessCreated,"open' + "x" * 20_000_000).encode())
    assert done.counts["DeviceProcessEvents"] == 1
    assert done.report.reading is Reading.PARTIAL
    assert any("field larger than field limit" in what for what in done.problems)


def test_a_header_alone(tmp_path: Path) -> None:
    assert read_bytes(tmp_path, HEADER.encode()).report.records == 0


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=100)
@given(st.text(max_size=300))
def test_any_text_under_a_header_does_no_harm(tmp_path: Path, noise: str) -> None:
    done = read_bytes(tmp_path, (HEADER + ROW + noise).encode("utf-8", "surrogatepass"))
    assert not any("reader failed" in what for what in done.problems)
    assert done.counts["DeviceProcessEvents"] >= 1


# --- rows at once


CELLS = st.text(st.sampled_from('ab",;\t\n\r -7\0é'), max_size=6) | st.sampled_from(
    ["ProcessCreated", "2026-03-02T08:15:30Z", "ConnectionSuccess", "", "12", "[]", "x" * 50]
)
NAMES = "Timestamp,DeviceName,ActionType,FileName,ProcessId,AdditionalFields".split(",")


def both_ways(folder: Path, data: bytes) -> tuple[object, object]:
    """The same file read as fast as it goes, and row by row."""
    fast = read_bytes(folder, data)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("perilune.readers.csv._parse", lambda *_: None)
        slow = read_bytes(folder, data)
    return fast, slow


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=300)
@given(
    st.lists(st.lists(CELLS, min_size=len(NAMES), max_size=len(NAMES)), min_size=1, max_size=6),
    st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    st.sampled_from(["\n", "\r\n"]),
    st.text(st.sampled_from('a",;\n\r '), max_size=8),
    st.booleans(),
)
def test_rows_at_once_and_one_by_one_are_the_same(
    tmp_path: Path, rows: list[list[str]], quoting: Any, end: str, noise: str, alike: bool
) -> None:
    out = io.StringIO()
    writer = csv.writer(out, quoting=quoting, lineterminator=end)
    writer.writerow(NAMES)
    writer.writerows([[*row[:2], "ProcessCreated", *row[3:]] if alike else row for row in rows])
    fast, slow = both_ways(tmp_path, (out.getvalue() + noise).encode())
    assert fast == slow


def test_rows_over_many_blocks_are_whole(tmp_path: Path) -> None:
    command = '"C:\\x y\\lua.exe" -e "print(1)\nprint(2)"'
    row = f'2026-03-02T08:15:30Z,ws1,ProcessCreated,lua.exe,{{}},"{command.replace(chr(34), chr(34) * 2)}"\n'
    header = "Timestamp,DeviceName,ActionType,FileName,ProcessId,ProcessCommandLine\n"
    done = read_bytes(tmp_path, (header + "".join(row.format(n) for n in range(40_000))).encode())
    found = done.rows["DeviceProcessEvents"]
    assert [one["ProcessId"] for one in found] == list(range(40_000))
    assert [one["XSourceRecord"] for one in found] == list(range(1, 40_001))
    assert {one["ProcessCommandLine"] for one in found} == {command}
