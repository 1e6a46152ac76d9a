"""A recording takes what it is told to, and leaves the audit as it was."""

from __future__ import annotations

import os
import signal
import struct
import subprocess
import sys

import pytest

from perilune.errors import SensorError
from perilune.service.netlink import connections, creations, executions, record
from perilune.service.netlink.control import Control
from perilune.service.netlink.recording import BACKLOG, Mark, clear, parse_mark
from perilune.service.netlink.rules import key_of
from tests.service.netlink.conftest import LOGIN, Run, lines_until

RULES = [*executions(LOGIN), *connections(LOGIN), *creations(LOGIN)]
_CONNECT = "import socket; socket.socket().connect_ex(('127.0.0.1', 9))"


def _state(control: Control) -> tuple[int, int, list[bytes]]:
    status = control.status()
    return status.enabled, status.backlog_limit, control.rules()


def _of(control: Control, process: int) -> list[bytes]:
    marks = {rule: parse_mark(key_of(rule)) for rule in control.rules()}
    return [rule for rule, mark in marks.items() if mark and mark.process == process]


@pytest.mark.needs_root
def test_programs_connections_and_new_files_of_one_login_are_recorded(run: Run, tmp_path: object) -> None:
    with record(RULES) as recording:
        run(sys.executable, "-c", _CONNECT)
        run("/bin/mkdir", f"{tmp_path}/a-folder")
        run("/bin/sh", "-c", f"echo x > {tmp_path}/a-file")
        run("/bin/echo", "end")
        lines = lines_until(recording, 'a0="/bin/echo"')
        assert recording.is_whole()
    assert any("type=SOCKADDR" in line and "saddr=02000009" in line for line in lines)
    assert any("nametype=CREATE" in line and "a-folder" in line for line in lines)
    assert any("nametype=CREATE" in line and "a-file" in line for line in lines)


@pytest.mark.needs_root
def test_others_are_not_recorded(run: Run) -> None:
    with record(executions(LOGIN)) as recording:
        subprocess.run(["/bin/true", "not-of-the-session"], check=True)
        run("/bin/echo", "end")
        lines = [line for line in lines_until(recording, 'a0="/bin/echo"') if recording.key in line]
    assert not any("not-of-the-session" in line for line in lines)


@pytest.mark.needs_root
def test_the_audit_is_left_as_it_was(control: Control) -> None:
    before = _state(control)
    with record(RULES):
        during = control.status()
        assert during.enabled
        assert during.backlog_limit >= BACKLOG
        assert len(_of(control, os.getpid())) == len(RULES)
    assert not _of(control, os.getpid())
    if not any(parse_mark(key_of(rule)) for rule in before[2]):  # nobody else records
        assert _state(control) == before


@pytest.mark.needs_root
def test_an_error_inside_leaves_nothing_either(control: Control) -> None:
    with pytest.raises(RuntimeError), record(RULES):
        raise RuntimeError("anything")
    assert not _of(control, os.getpid())


@pytest.mark.needs_root
def test_the_first_to_end_does_not_blind_the_second(run: Run) -> None:
    first = record(executions(LOGIN))
    first.__enter__()
    with record(executions(LOGIN)) as second:
        first.__exit__(None, None, None)
        run("/bin/echo", "still seen")
        assert any("EXECVE" in line for line in lines_until(second, 'a0="/bin/echo"'))
        assert second.is_whole()


@pytest.mark.needs_root
def test_what_a_killed_one_left_is_cleared_away_by_the_next(control: Control) -> None:
    before = control.status()
    code = (
        "import time\nfrom perilune.service.netlink import executions, record\n"
        f"with record(executions({LOGIN})):\n    print('on', flush=True)\n    time.sleep(60)\n"
    )
    killed = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert killed.stdout is not None
    assert killed.stdout.readline() == b"on\n"
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    assert _of(control, killed.pid)
    with record(executions(LOGIN)):
        assert not _of(control, killed.pid)
    if not clear(control):
        assert control.status().enabled == before.enabled


@pytest.mark.needs_root
def test_rules_taken_away_by_others_are_noticed(control: Control) -> None:
    with record(executions(LOGIN)) as recording:
        control.remove(_of(control, os.getpid())[0])
        assert not recording.is_whole()


@pytest.mark.needs_root
def test_a_rule_that_forbids_records_is_named(control: Control) -> None:
    never = struct.pack("=3I", 1, 0, 0) + b"\xff" * 256 + bytes(4 * 193)  # -a task,never
    control.add(never)
    try:
        with pytest.raises(SensorError, match="auditctl -d task,never"), record(executions(LOGIN)):
            pass
    finally:
        control.remove(never)
    assert not _of(control, os.getpid())


def test_a_mark_is_read_back_from_its_key() -> None:
    mark = Mark(12, 345, 1, 0, 64)
    assert parse_mark(mark.key) == mark
    assert parse_mark("exec") is None
    assert not Mark(2**31 - 1, 1, 1, 0, 64).alive
