"""Runs of interpreters: what a habit is, and that an event is the same event wherever it is read."""

from __future__ import annotations

import pytest

from perilune.investigation import observing
from perilune.learning import programs
from perilune.model.baseline import Use
from tests.build import at, process, table


def use(command: str, path: str = "/usr/bin/lua5.4", **more: object) -> Use:
    (found,) = observing.uses(table("DeviceProcessEvents", process(7, 1, path, command=command, **more)), programs)
    return found


@pytest.mark.parametrize(
    ("command", "script", "shape"),
    [
        ("lua /opt/app/run.lua", "/opt/app/run.lua", "p"),
        ("lua run.lua --port 8080", "run.lua", "f --port 0"),
        ("lua -e 'os.execute(\"id\")'", "", "-e s"),
        ("lua /home/dana/x/run.lua", "/home/*/x/run.lua", "p"),
        ("lua /tmp/tmp.a8f3e2b19c44/run.lua", "/tmp/tmp.#/run.lua", "p"),
        ('"C:\\Lua\\lua.exe" "C:\\Users\\dana\\My Scripts\\a.lua" 3', "c:\\users\\*\\my scripts\\a.lua", "s 0"),
        ("lua", "", ""),
        ("sh -c 'curl https://x.example/a'", "", "-c s"),
        ("powershell -enc SQBFAFgAIAAoAE4AZQB3AC0ATwBiAGoAZQBjAHQAIABOAGUAdAA=", "", "-enc b"),
        ("lua x.lua.bak", "", "f.bak"),
    ],
)
def test_what_is_particular_is_taken_out(command: str, script: str, shape: str) -> None:
    found = use(command)
    assert (found.script, found.shape) == (script, shape)


def test_a_use_says_who_where_and_when() -> None:
    found = use(
        "lua x.lua", DeviceName="WEB-01", XUser="CORP\\Dana", InitiatingProcessFolderPath="C:\\Windows\\CMD.exe"
    )
    assert (found.interpreter, found.host, found.account, found.parent) == ("lua", "web-01", "corp\\dana", "cmd.exe")
    assert (found.hour, found.time) == ("Fri 09", at(0)), "20 November 2026 is a Friday"
    assert found.event.record == 1


def test_a_renamed_interpreter_is_known_by_what_it_states() -> None:
    found = use("kworker x.lua", "/tmp/kworker", ProcessVersionInfoOriginalFileName="python.exe")
    assert found.interpreter == "python"


def test_other_programs_and_rows_without_a_time_are_no_use() -> None:
    rows = (process(1, 0, "/usr/bin/ls"), process(2, 0, "/usr/bin/lua5.4", Timestamp=None))
    assert list(observing.uses(table("DeviceProcessEvents", *rows), programs)) == []
    assert observing.observe(table("DeviceProcessEvents", process(1, 0, "/bin/ls")), programs).num_rows == 0


def test_a_host_without_a_name_is_its_file() -> None:
    rows = table("DeviceProcessEvents", process(1, 0, "/usr/bin/lua5.4"), source="/logs/a/audit.log")
    assert next(iter(observing.uses(rows, programs))).host == "unknown (audit.log)"


def test_an_event_keeps_its_digest_in_any_company() -> None:
    row = process(7, 1, "/usr/bin/lua5.4", 5, DeviceName="a", InitiatingProcessFileName="sh")
    other = process(8, 1, "/usr/bin/python3", 6, DeviceName="b", XUser="x")
    alone = observing.observe(table("DeviceProcessEvents", row), programs).column("digest").to_pylist()
    together = observing.observe(table("DeviceProcessEvents", other, row, source="else.log"), programs)
    assert together.column("digest").to_pylist()[1:] == alone
    assert len({*together.column("digest").to_pylist()}) == 2


@pytest.mark.parametrize(
    "change",
    [{"ProcessId": 8}, {"DeviceName": "b"}, {"ProcessCommandLine": "lua y.lua"}, {"Timestamp": at(5.000001)}],
    ids=lambda change: next(iter(change)),
)
def test_another_event_has_another_digest(change: dict[str, object]) -> None:
    row = process(7, 1, "/usr/bin/lua5.4", 5, command="lua x.lua", DeviceName="a")
    found = observing.observe(table("DeviceProcessEvents", row, row | change), programs)
    assert len(set(found.column("digest").to_pylist())) == 2


@pytest.mark.parametrize(
    ("fields", "cpu", "memory"),
    [
        ('{"cpu_percent": 97.5, "resident_size": "52428800"}', "up to 128 %", "up to 64 MiB"),
        ('{"CpuPercent":"0.2","WorkingSetSize":1}', "up to 1 %", "up to 1 MiB"),
        ('{"process.cpu.pct": 64, "process.memory.rss.bytes": 67108864}', "up to 64 %", "up to 64 MiB"),
        ('{"cpu_percent": 999999999, "resident_size": 999999999999999999}', "up to 2048 %", "up to 1048576 MiB"),
        ('{"cpu_percent": "n/a"}', "", ""),
        ("not json", "", ""),
        (None, "", ""),
    ],
)
def test_what_a_run_used_is_a_step(fields: str | None, cpu: str, memory: str) -> None:
    found = use("lua x.lua", AdditionalFields=fields)
    assert (found.cpu, found.memory) == (cpu, memory)
