"""Products in JSON: the same intrusion in several of them, and any damage to their records."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.readers.reading import read, read_bytes

GOLDEN = Path(__file__).parent / "golden"
PRODUCTS = (
    "winlogbeat nxlog splunk sentinel laurel osquery ecs ocsf crowdstrike falco tetragon cortex zeek suricata tvm"
)

STORY = [  # image, command line, process id, parent's image, parent's command line, parent's id
    ("C:\\Office\\winword.exe", "winword.exe /n a.docm", 100, "C:\\Windows\\explorer.exe", "explorer.exe", 10),
    (
        "C:\\Tools\\lua54.exe",
        "lua54.exe -e \"os.execute('whoami')\"",
        200,
        "C:\\Office\\winword.exe",
        "winword.exe /n a.docm",
        100,
    ),
    (
        "C:\\Windows\\System32\\whoami.exe",
        "whoami",
        300,
        "C:\\Tools\\lua54.exe",
        "lua54.exe -e \"os.execute('whoami')\"",
        200,
    ),
]
AT = "2026-03-02T08:15:3{}.000Z"


def sysmon() -> Iterator[dict[str, Any]]:
    for second, (image, command, pid, parent, parent_command, parent_id) in enumerate(STORY):
        system = {"Provider": {"#attributes": {"Name": "Microsoft-Windows-Sysmon"}}, "EventID": 1, "Computer": "ws1"}
        data = {
            "UtcTime": AT.format(second)[:-1].replace("T", " "),
            "ProcessId": str(pid),
            "Image": image,
            "CommandLine": command,
            "User": "CORP\\ann",
            "IntegrityLevel": "Medium",
            "CurrentDirectory": "C:\\",
            "ParentProcessId": str(parent_id),
            "ParentImage": parent,
            "ParentCommandLine": parent_command,
        }
        yield {"Event": {"System": system, "EventData": data}}


def ecs() -> Iterator[dict[str, Any]]:
    for second, (image, command, pid, parent, parent_command, parent_id) in enumerate(STORY):
        process = {
            "pid": pid,
            "executable": image,
            "command_line": command,
            "working_directory": "C:\\",
            "Ext": {"token": {"integrity_level_name": "medium"}},
            "parent": {"pid": parent_id, "executable": parent, "command_line": parent_command},
        }
        yield {
            "@timestamp": AT.format(second),
            "ecs": {"version": "8"},
            "host": {"name": "ws1", "os": {"type": "windows"}},
            "event": {"category": ["process"], "type": ["start"]},
            "user": {"domain": "CORP", "name": "ann"},
            "process": process,
        }


def defender() -> Iterator[dict[str, Any]]:
    for second, (image, command, pid, parent, parent_command, parent_id) in enumerate(STORY):
        yield {
            "Timestamp": AT.format(second),
            "DeviceName": "ws1",
            "ActionType": "ProcessCreated",
            "FileName": image.rpartition("\\")[2],
            "FolderPath": image,
            "ProcessId": pid,
            "ProcessCommandLine": command,
            "ProcessIntegrityLevel": "Medium",
            "AccountDomain": "CORP",
            "AccountName": "ann",
            "ProcessCreationTime": AT.format(second),
            "InitiatingProcessId": parent_id,
            "InitiatingProcessFolderPath": parent,
            "InitiatingProcessFileName": parent.rpartition("\\")[2],
            "InitiatingProcessCommandLine": parent_command,
        }


def cortex() -> Iterator[dict[str, Any]]:
    for second, (image, command, pid, parent, parent_command, parent_id) in enumerate(STORY):
        yield {
            "event_type": "PROCESS",
            "event_timestamp": AT.format(second),
            "agent_hostname": "ws1",
            "agent_os_type": "Windows",
            "action_process_image_path": image,
            "action_process_image_command_line": command,
            "action_process_os_pid": pid,
            "action_process_username": "CORP\\ann",
            "action_process_integrity_level": 8192,
            "action_process_cwd": "C:\\",
            "actor_process_image_path": parent,
            "actor_process_command_line": parent_command,
            "actor_process_os_pid": parent_id,
        }


# What says where a row came from, or is there only because the format has more to say.
OWN = ("XSourceFile", "XSourceFormat", "XProvider", "XChannel", "XEventId", "AdditionalFields", "XUtcOffset")


def rows(folder: Path, records: Iterator[dict[str, Any]]) -> list[dict[str, Any]]:
    done = read_bytes(folder, "".join(json.dumps(one) + "\n" for one in records).encode())
    return [{k: v for k, v in row.items() if k not in OWN} for row in done.rows["DeviceProcessEvents"]]


def test_the_same_intrusion_gives_the_same_rows_up_to_what_a_format_lacks(tmp_path: Path) -> None:
    told = {
        name: rows(tmp_path, make())
        for name, make in (("sysmon", sysmon), ("ecs", ecs), ("defender", defender), ("cortex", cortex))
    }
    for number in range(len(STORY)):
        known = [one[number] for one in told.values()]
        for column in set().union(*known):
            values = {str(row[column]) for row in known if column in row}
            assert len(values) == 1, (column, {name: one[number].get(column) for name, one in told.items()})
        assert all(len(row) >= 15 for row in known)
        assert all(row["FolderPath"] == STORY[number][0] for row in known)


def test_every_product_is_read_whole() -> None:
    for name in PRODUCTS.split():
        report = read(GOLDEN / f"{name}.jsonl").report
        assert report.reading == "complete", name
        assert not report.skipped, name


def _damaged(value: Any, chance: random.Random) -> Any:
    """The value with some of its parts of another type, missing or odd."""
    roll = chance.random()
    if roll < 0.04:
        return chance.choice([None, [], {}, "", -1, 2**70, "\ud800", [[]], {"a": {"b": []}}, True, "0x", 1e300])
    if isinstance(value, dict):
        return {name: _damaged(one, chance) for name, one in value.items() if chance.random() > 0.03}
    if isinstance(value, list):
        return [_damaged(one, chance) for one in value]
    return value


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(st.sampled_from(PRODUCTS.split()), st.integers(0, 2**32))
def test_any_damage_gives_rows_and_counted_warnings(tmp_path: Path, name: str, seed: int) -> None:
    chance = random.Random(seed)
    records = [json.loads(line) for line in (GOLDEN / f"{name}.jsonl").read_text().splitlines()]
    data = "\n".join(json.dumps(_damaged(record, chance)) for record in records)
    done = read_bytes(tmp_path, data.encode())
    assert not any("reader failed" in what for what in done.problems), done.problems
