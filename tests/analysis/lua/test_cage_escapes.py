"""Escapes, hangs and bombs end within the wall clock, and the machine is as it was. Run for real, on every runtime."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from perilune.analysis.lua import cage
from perilune.analysis.lua.locked import seccomp, system
from perilune.analysis.lua.locked.child import RUNTIMES
from perilune.analysis.lua.run.attempts import RAN
from perilune.analysis.lua.run.records import read
from perilune.analysis.lua.run.spawn import Ran, Zygote
from perilune.model.lua import Form, Identity, Outcome
from tests.analysis.lua.test_cage import READY, WHY

pytestmark = pytest.mark.skipif(not READY, reason=f"no cage here: {WHY}")
HERE = Path(__file__).parent / "escapes"
CASES: list[dict[str, Any]] = yaml.safe_load((HERE / "cases.yml").read_text(encoding="utf-8"))
WALL = 0.15
ALL = [(case, runtime) for case in CASES for runtime in case.get("runtimes", RUNTIMES)]


@pytest.fixture(scope="module")
def canary(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    path = tmp_path_factory.mktemp("canary") / "canary"
    path.write_text("untouched", encoding="ascii")
    path.parent.chmod(0o777)  # so that only the cage keeps it from being touched
    path.chmod(0o666)
    yield path
    assert [one.name for one in path.parent.iterdir()] == ["canary"]
    assert path.read_text(encoding="ascii") == "untouched"


def test_there_are_enough() -> None:
    assert len(CASES) >= 40 and len({one["name"] for one in CASES}) == len(CASES)
    assert {one["after"] for one in CASES} >= {"file", "process", "code", "time", "space"}


@pytest.mark.parametrize(("case", "runtime"), ALL, ids=lambda one: one if isinstance(one, str) else one["name"])
def test_it_ends_and_nothing_is_touched(case: dict[str, Any], runtime: str, canary: Path) -> None:
    code = case["code"].replace("@canary@", str(canary)).encode()
    budget = cage.Budget(pass_seconds=WALL, seconds=3 * WALL, steps=300_000, passes=2)
    started = time.monotonic()
    found = cage.run(code, Identity(Form.SOURCE, RAN[runtime]), budget=budget)
    assert time.monotonic() - started < 3 * WALL + 3  # the rest is for a busy machine
    assert found.outcome is not Outcome.NOT_EXECUTED, found.reason
    assert found.outcome in case.get("ends", list(Outcome)), found.reason
    assert canary.read_text(encoding="ascii") == "untouched"
    assert _children(cage._cage.get().pid) == []


def _children(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()


# What a program could do that has taken the VM over: real libraries, and with LuaJIT every system call.


@pytest.fixture(scope="module")
def bare() -> Iterator[Zygote]:
    zygote = Zygote(stubs=HERE)
    yield zygote
    zygote.close()


def taken_over(zygote: Zygote, code: str, runtime: str = "luajit21") -> tuple[Ran, list[str]]:
    ran = zygote.run(runtime, code.encode(), [], 2, 1 << 20)
    written = read(ran.written, 1, 1000)
    assert written.locked
    return ran, written.notes


def _killed(ran: Ran) -> bool:
    return os.WIFSIGNALED(ran.status) and os.WTERMSIG(ran.status) == signal.SIGSYS


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize(
    "code",
    [
        'io.open("@canary@", "w"):write("x")',
        'io.open("/etc/passwd"):read(1)',
        'os.execute("echo x > @canary@")',
        'io.popen("id"):read("*a")',
        'os.remove("@canary@")',
        'os.rename("@canary@", "@canary@2")',
        "io.tmpfile():write(1)",
        'package.loadlib("/lib/x86_64-linux-gnu/libc.so.6", "system")("id")',
        'loadfile("/etc/passwd")()',
        "io.read(1)",
        'io.stderr:write("x")  error("no")',
    ],
    ids=lambda code: code[:22],
)
def test_real_libraries_reach_nothing(bare: Zygote, canary: Path, code: str, runtime: str) -> None:
    ran, notes = taken_over(bare, code.replace("@canary@", str(canary)), runtime)
    assert _killed(ran) or notes[0].startswith("ended false"), notes
    assert canary.read_text(encoding="ascii") == "untouched"


_SYSCALL = "local ffi = require('ffi') ffi.cdef[[long syscall(long, ...);]] local function call(n, ...) local a = {...} for i = 1, #a do a[i] = ffi.cast('long', a[i]) end return tonumber(ffi.C.syscall(n, unpack(a))) end "
# The kernel lets these pass every filter (uretprobe, uprobe): they do nothing for who is not traced.
PAST_EVERY_FILTER = {335, 336}

x86 = pytest.mark.skipif(os.uname().machine != "x86_64", reason="the numbers are those of x86-64")


@x86
def test_every_other_system_call_ends_the_process(bare: Zygote) -> None:
    """All numbers, one child each, and some of the other calling convention."""
    numbers = system.machine().numbers
    known = {numbers[name] for name in (*seccomp._ALLOWED, *seccomp._REFUSED, "write", "mprotect") if name in numbers}
    survived = {
        number
        for number in (*range(500), 0x40000001, 0x40000002, 0x4000003B, 1 << 30 | 520)
        if not _killed(taken_over(bare, f"{_SYSCALL} note(call({number}, 0, 0, 0, 0, 0))")[0])
    }
    assert survived - PAST_EVERY_FILTER == known


@x86
@pytest.mark.parametrize(
    "code",
    [
        "note(call(9, 0, 4096, 7, 0x22, -1, 0))",  # mmap, all rights
        "note(call(9, 0, 4096, 5, 0x22, -1, 0))",
        "local at = call(9, 0, 4096, 3, 0x22, -1, 0) note(call(10, at, 4096, 5))",  # then mprotect
        "local at = call(9, 0, 4096, 3, 0x22, -1, 0) note(call(329, at, 4096, 5, 0))",
        "note(call(1, 2, 0, 0))",  # write to another descriptor
        "note(call(1, 0, 0, 0))",
        "note(call(234, 1, 1, 6))",  # tgkill
    ],
    ids=["mmap rwx", "mmap rx", "mprotect rx", "pkey_mprotect rx", "write 2", "write 0", "tgkill"],
)
def test_what_is_refused_is_refused(bare: Zygote, code: str) -> None:
    _, notes = taken_over(bare, _SYSCALL + code)
    assert notes == ["-1", "ended true nil"]


@x86
def test_machine_code_cannot_be_run(bare: Zygote) -> None:
    """Bytes in memory that is only data end the process when they are jumped to; JIT compilation is off."""
    code = "local b = ffi.new('char[16]', string.char(0x31, 0xC0, 0xC3)) ffi.cast('int(*)(void)', b)()"
    ran, _ = taken_over(bare, _SYSCALL + code)
    assert os.WIFSIGNALED(ran.status) and os.WTERMSIG(ran.status) == signal.SIGSEGV
    _, notes = taken_over(bare, "note(jit.status()) jit.on() local n = 0 for i = 1, 1e5 do n = n + i % 7 end note(n)")
    assert notes[0] == "false"


@x86
def test_nobody_outside_can_be_reached(bare: Zygote) -> None:
    """A listener hears nothing; a signal to this process ends the child and not us; no memory of ours is read."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        listener.settimeout(0.2)
        ran, _ = taken_over(bare, _SYSCALL + f"call(41, 2, 1, 0) note({listener.getsockname()[1]})")
        assert _killed(ran)
        with pytest.raises(TimeoutError):
            listener.accept()
    secret = ctypes.create_string_buffer(b"a secret of the parent")
    ran, notes = taken_over(bare, _SYSCALL + f"note(ffi.string(ffi.cast('char*', {ctypes.addressof(secret)}LL), 22))")
    assert "a secret of the parent" not in notes
    for number in (62, 200, 424):  # kill, tkill, pidfd_send_signal
        assert _killed(taken_over(bare, _SYSCALL + f"note(call({number}, {os.getpid()}, 9, 0))")[0])


def test_a_child_that_closes_its_trace_and_goes_on_is_killed(bare: Zygote) -> None:
    ran, _ = taken_over(bare, "io.stdout:close() while true do end")
    assert os.WIFSIGNALED(ran.status)
    assert _children(bare.pid) == []


def test_a_forged_trace_is_seen(bare: Zygote) -> None:
    forged = 'io.stdout:write(\'{"k":"end","how":"returned","s":"","steps":0}\\n{"k":"call","n":"nothing","a":[],"t":0}\\nrubbish\\n\')'
    ran, _ = taken_over(bare, forged)
    assert read(ran.written, 1, 1000).forged >= 2
