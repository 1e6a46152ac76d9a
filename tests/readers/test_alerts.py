"""Exports of alerts: each product's forms, what they name as rows, and that no file breaks the reader."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perilune.model.rules import Level
from perilune.model.sources import Reading
from perilune.readers.alert_fields import level_of, path_of, techniques_of
from perilune.readers.alerts import AlertFile, read_alerts

FOLDER = Path(__file__).parent / "alerts"


def read(name: str) -> AlertFile:
    return read_alerts((FOLDER / name).read_bytes(), name)


def rows(file: AlertFile, table: str) -> list[dict[str, object]]:
    found = [row for one in file.tables if one.name == table for row in one.data.to_pylist()]
    return [{name: value for name, value in row.items() if value is not None} for row in found]


def test_cortex_alerts() -> None:
    file = read("cortex_alerts.json")
    first, second = file.alerts
    assert (first.product, first.id, first.level) == ("Cortex XDR", "1", Level.HIGH)
    assert first.techniques == ("T1059.011",)
    process, actor = rows(file, "DeviceProcessEvents")
    assert process["FileName"] == "lua54.exe"
    assert process["InitiatingProcessFileName"] == "WINWORD.EXE"
    assert "io.popen" in str(process["ProcessCommandLine"])
    assert (process["DeviceName"], process["AccountName"]) == ("FIN-WS-07", "mira")
    assert actor["FileName"] == "lua54.exe", "without a new process the actor is the process"
    (connection,) = rows(file, "DeviceNetworkEvents")
    assert (connection["RemoteIP"], connection["RemotePort"]) == ("45.155.204.7", 4444)
    assert connection["XSourceRecord"] == second.number == 2
    assert file.report.reading is Reading.COMPLETE


def test_cortex_incident_with_its_alerts() -> None:
    file = read("cortex_incident.json")
    (alert,) = file.alerts
    assert (alert.incident, alert.level) == ("413", Level.MEDIUM)
    assert "caseId=413" in alert.link
    (process,) = rows(file, "DeviceProcessEvents")
    assert str(process["ProcessCommandLine"]).startswith("powershell.exe -nop")


def test_an_incident_without_alerts_says_what_is_missing() -> None:
    file = read("cortex_incidents_only.json")
    assert not file.alerts
    assert file.report.skipped == {"an incident without its alerts": 1}
    assert file.report.reading is Reading.UNKNOWN


def test_defender_for_endpoint() -> None:
    file = read("defender_endpoint.json")
    (alert,) = file.alerts
    assert (alert.product, alert.id, alert.incident, alert.level) == (
        "Microsoft Defender", "da637_1", "9001", Level.MEDIUM,
    )  # fmt: skip
    assert alert.techniques == ("T1059.011", "T1071")
    (process,) = rows(file, "DeviceProcessEvents")
    assert process["FolderPath"] == "C:\\ProgramData\\cache\\lua54.exe"
    assert process["InitiatingProcessFolderPath"] == "C:\\Windows\\System32\\inetsrv\\w3wp.exe"
    assert (process["ProcessId"], process["DeviceName"]) == (5120, "web-42.corp.example")
    assert process["AccountName"] == "svc-web"
    remote = [row.get("RemoteIP") or row.get("RemoteUrl") for row in rows(file, "DeviceNetworkEvents")]
    assert remote == ["185.11.61.22", "http://get.lua-stage.dev/a"]


def test_defender_incident() -> None:
    file = read("defender_incident.json")
    (alert,) = file.alerts
    assert (alert.incident, alert.host) == ("924565", "hr-ws-3.corp.example")
    (process,) = rows(file, "DeviceProcessEvents")
    assert process["DeviceId"] == "m-0077"
    assert rows(file, "DeviceFileEvents")[0]["FolderPath"] == "C:\\Users\\ole\\a.lua"


def test_graph() -> None:
    file = read("graph_alerts.json")
    (alert,) = file.alerts
    assert (alert.host, alert.techniques) == ("dev-9.corp.example", ("T1059.006",))
    (process,) = rows(file, "DeviceProcessEvents")
    assert process["FolderPath"] == "/usr/bin/python3.11"
    assert process["InitiatingProcessFileName"] == "bash"


def test_any_json() -> None:
    file = read("generic.jsonl")
    titles = [(one.title, one.level, one.severity) for one in file.alerts]
    assert titles == [
        ("Reverse shell in bash", Level.CRITICAL, "critical"),
        ("Antivirus found a file", Level.LOW, "low"),
        ("alert without a title", Level.MEDIUM, ""),
    ]
    shell, command = rows(file, "DeviceProcessEvents")
    assert (shell["ProcessId"], shell["InitiatingProcessId"]) == (991, 700)
    assert command["FileName"] == "cmd.exe"
    assert file.report.skipped == {"neither a title nor a command line": 1}
    assert [(one.what, one.count) for one in file.report.problems] == [("a line that is no JSON", 1)]
    assert file.report.reading is Reading.PARTIAL


def test_words() -> None:
    assert level_of("SEV_040_HIGH") is Level.HIGH
    assert level_of("nonsense") is Level.MEDIUM
    assert path_of("C:\\a", "b.exe") == "C:\\a\\b.exe"
    assert path_of("/usr/bin/lua", "lua") == "/usr/bin/lua"
    assert techniques_of("T1059.011 - Lua; T1105", ["x", "T1027"], 7) == ("T1059.011", "T1105", "T1027")


_LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30)
_NAMES = st.sampled_from(
    "reply alerts data value alert_id detection_timestamp name severity events evidence entities entityType title "
    "alertCreationTime processId processCommandLine host user process command_line incident incident_id imageFile "
    "userAccount @odata.type mitreTechniques action_remote_ip action_remote_port sha256".split()
)
_JSON = st.recursive(
    _LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_NAMES, inner, max_size=8), max_leaves=40
)


@given(_JSON)
def test_no_export_breaks_the_reader(value: object) -> None:
    file = read_alerts(json.dumps(value).encode(), "any.json")
    for table in file.tables:
        assert set(table.values("XSourceRecord")) <= {one.number for one in file.alerts}


@pytest.mark.parametrize("data", [b"", b"[" * 5000, b"{", b"\xff\xfe", b"7", b'"x"', b"null\n" * 50])
def test_what_is_no_export(data: bytes) -> None:
    file = read_alerts(data, "x")
    assert not file.alerts
    assert file.report.reading in (Reading.UNKNOWN, Reading.PARTIAL)
