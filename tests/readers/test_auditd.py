"""Audit logs: argument vectors to the last byte, joins in any order, and lineage."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perilune.readers import Limits
from perilune.readers.audit_fields import parse_address, parse_arguments, parse_fields
from tests.readers.reading import read, read_bytes


def audit_value(text: str) -> str:
    """As the kernel writes an argument."""
    raw = text.encode()
    literal = all(0x21 <= byte <= 0x7E and byte != 0x22 for byte in raw)
    return f'"{text}"' if literal else raw.hex().upper()


def execve_bodies(arguments: list[str], piece: int = 7) -> list[str]:
    """EXECVE records of an argument vector, long arguments cut into pieces."""
    parts = [f"argc={len(arguments)}"]
    for index, argument in enumerate(arguments):
        value = audit_value(argument)
        if len(value) <= 4 * piece:
            parts.append(f"a{index}={value}")
            continue
        inner, quote = (value[1:-1], '"') if value.startswith('"') else (value, "")
        size = 2 * piece  # the kernel never cuts a byte's two digits apart
        parts.append(f"a{index}_len={len(inner)}")
        parts += [
            f"a{index}[{n}]={quote}{inner[at : at + size]}{quote}" for n, at in enumerate(range(0, len(inner), size))
        ]
    return [" ".join(parts[at : at + 5]) for at in range(0, len(parts), 5)]


TEXTS = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), max_size=80)


@given(st.lists(TEXTS, min_size=1, max_size=20), st.randoms(use_true_random=False))
def test_arguments_are_rebuilt_exactly_in_any_order(arguments: list[str], order: random.Random) -> None:
    bodies = execve_bodies(arguments)
    order.shuffle(bodies)
    found = parse_arguments(bodies)
    assert list(found.values) == arguments
    assert found.complete
    assert found.declared == len(arguments)


@given(st.lists(TEXTS, min_size=1, max_size=10), st.data())
def test_a_missing_record_is_noticed(arguments: list[str], data: st.DataObject) -> None:
    bodies = execve_bodies(arguments)
    kept = [body for body in bodies[:1] if data.draw(st.booleans())] + bodies[1:-1]
    if len(kept) < len(bodies) and bodies[0] in kept:
        assert not parse_arguments(kept).complete


def test_a_forged_index_costs_nothing() -> None:
    found = parse_arguments(['argc=999999999 a0="x" a999999998="y"'])
    assert found.values == ("x", "y")
    assert not found.complete


@given(st.lists(st.text(max_size=60), max_size=5))
def test_no_record_raises(bodies: list[str]) -> None:
    parse_arguments(bodies)
    for body in bodies:
        parse_fields(body)
        parse_address(body)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ('comm="lua" exe=2F746D702F612062 key=(null) tty=(none)', {"comm": "lua", "exe": "/tmp/a b", "tty": "(none)"}),
        ("pid=1 msg='op=login acct=\"root\" exe=\"/usr/sbin/sshd\" addr=1.2.3.4 res=failed'\x1dUID=\"root\"",
         {"op": "login", "acct": "root", "exe": "/usr/sbin/sshd", "addr": "1.2.3.4", "res": "failed",
          "pid": "1", "UID": "root"}),
        ("msg='PAM: auth acct=\"root\" : exe=\"/bin/su\" (hostname=?, addr=h1, res=success)'",
         {"acct": "root", "exe": "/bin/su", "addr": "h1", "res": "success"}),
        ("name=FF41 cwd=C3A9", {"name": "\\xffA", "cwd": "é"}),
        ("unit=cafe a0=cafe", {"unit": "cafe", "a0": "cafe"}),
    ],
)  # fmt: skip
def test_fields(body: str, expected: dict[str, str]) -> None:
    assert parse_fields(body) == expected


def event(serial: int, pid: int, ppid: int, arguments: list[str], exe: str = "/usr/bin/lua5.4") -> list[str]:
    head = f"msg=audit(1795278900.{serial % 1000:03}:{serial}): "
    call = f'arch=c000003e syscall=59 success=yes exit=0 ppid={ppid} pid={pid} uid=0 comm="c" exe="{exe}" key=(null)'
    return [
        f"type=SYSCALL {head}{call}",
        *(f"type=EXECVE {head}{body}" for body in execve_bodies(arguments)),
        f'type=CWD {head}cwd="/srv"',
        f"type=PROCTITLE {head}proctitle=6F74686572",
        f"type=EOE {head}",
    ]


def test_interleaved_events_come_apart(tmp_path: Path) -> None:
    events = [event(n, 1000 + n, 999 + n, ["lua5.4", "-e", f"print {n} {'x' * 200}"]) for n in range(60)]
    lines = [line for one in events for line in one]
    random.Random(7).shuffle(lines)
    done = read_bytes(tmp_path, "\n".join(lines).encode())
    rows = {row["ProcessId"]: row for row in done.rows["DeviceProcessEvents"]}
    assert len(rows) == 60
    assert all(rows[1000 + n]["XArguments"][2] == f"print {n} {'x' * 200}" for n in range(60))
    assert done.report.records == 60
    assert not done.problems


def test_a_record_that_comes_too_late_is_counted(tmp_path: Path) -> None:
    lines = [line for n in range(20) for line in event(n, 1000 + n, 1, ["lua"])]
    late = lines.pop(1)
    done = read_bytes(tmp_path, "\n".join([*lines, late]).encode(), replace(Limits(), max_join_window=4))
    assert done.problems["record too far from the others of its event to be joined to them"] == 1
    assert done.report.reading == "partial"


def test_lineage_comes_from_the_last_exec_of_each_process(tmp_path: Path) -> None:
    lines = [
        *event(1, 10, 1, ["-bash"], "/usr/bin/bash"),
        *event(2, 11, 10, ["env", "lua"], "/usr/bin/env"),
        *event(3, 11, 10, ["lua", "x.lua"]),
        *event(4, 12, 11, ["sh", "-c", "id"], "/usr/bin/dash"),
        *event(5, 13, 99, ["id"], "/usr/bin/id"),
    ]
    rows = read_bytes(tmp_path, "\n".join(lines).encode()).rows["DeviceProcessEvents"]
    shell = rows[3]
    assert shell["InitiatingProcessCommandLine"] == "lua x.lua"
    assert shell["InitiatingProcessParentFileName"] == "bash"
    assert shell["XInitiatingProcessParentCommandLine"] == "-bash"
    assert shell["InitiatingProcessCreationTime"] == rows[2]["ProcessCreationTime"]
    assert "InitiatingProcessFolderPath" not in rows[4]


def test_the_memory_of_processes_is_bounded(tmp_path: Path) -> None:
    lines = [line for n in range(50) for line in event(n, n, n - 1, ["a"])]
    rows = read_bytes(tmp_path, "\n".join(lines).encode(), replace(Limits(), max_processes=1)).rows
    assert all("InitiatingProcessParentFileName" not in row for row in rows["DeviceProcessEvents"])


def test_audit_rules_can_ask_each_record(tmp_path: Path) -> None:
    rows = read_bytes(tmp_path, "\n".join(event(1, 2, 1, ["wget", "--post-file=/etc/shadow"])).encode()).rows
    (execve,) = [row for row in rows["XLogEvents"] if row["ActionType"] == "EXECVE"]
    assert '"a1":"--post-file=/etc/shadow"' in execve["AdditionalFields"]
    assert '"SYSCALL":"execve"' in execve["AdditionalFields"]
    assert execve["XSourceRecord"] == 2


# --- recorded logs


def test_the_hard_argument_vectors(data_dir: Path) -> None:
    done = read(data_dir / "auditd" / "audit_execve_long_and_hex.log")
    long, many, odd = (row["XArguments"] for row in done.rows["DeviceProcessEvents"])
    assert long == ["lua5.4", "-e", "-- LONGARG " + "A" * 20_000]
    assert many == ["lua5.4", "-e", "x=1", *(f"LONGLIST{n:04}" for n in range(1200))]
    assert odd == ["lua5.4", "-e", "", "空é\x01", ""]
    assert not done.problems


def test_an_argument_of_131_kilobytes(tmp_path: Path) -> None:
    argument = "-- " + "é'\" \x01" * 22_000
    assert len(argument.encode()) > 131_000
    lines = event(1, 2, 1, ["lua5.4", "-e", argument])
    (row,) = read_bytes(tmp_path, "\n".join(lines).encode()).rows["DeviceProcessEvents"]
    assert row["XArguments"] == ["lua5.4", "-e", argument]
    assert row["ProcessCommandLine"] == f"lua5.4 -e {argument}"


def test_counts_of_the_recorded_logs(data_dir: Path) -> None:
    found = {path.name: read(path) for path in sorted((data_dir / "auditd").glob("*.log"))}
    assert {name: len(done.rows["DeviceProcessEvents"]) for name, done in found.items()} == {
        "audit_execve_long_and_hex.log": 3,
        "audit_lua_hosts.log": 177,
        "audit_ucast_sample.log": 7,
        "lua_lab.log": 23,
        "msticpy_auditd.log": 146,
    }
    assert not any(done.problems for done in found.values())


def test_a_program_cannot_forge_an_audit_record_in_syslog(tmp_path: Path) -> None:
    record = 'type=EXECVE msg=audit(1772439331.492:251): argc=1 a0="lua"'
    lines = [
        f"Mar  2 08:15:3{n} web1 {program}: {record}" for n, program in enumerate(("sshd[9]", "audispd", "kernel"))
    ]
    done = read_bytes(tmp_path, "\n".join(lines).encode())
    assert [row["XSourceRecord"] for row in done.rows["DeviceProcessEvents"]] == [2]  # which the kernel only repeats
    assert [row["XProvider"] for row in done.rows["XLogEvents"] if row["XSourceRecord"] == 1] == ["sshd"]
