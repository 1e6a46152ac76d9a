"""CSV exports: delimiters, quoting, encodings, damage."""

from __future__ import annotations

from pathlib import Path

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
