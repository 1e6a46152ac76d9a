"""The process that has the Luas loaded and forks one child per run. It reads requests, and never what a sample wrote.

A request is JSON with two descriptors: the program in a memory file, and where the child writes its trace. The answer
is the child's number; the next message says that the child is to be reaped. Where the socket closes, everything ends.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import signal
import socket
from pathlib import Path
from typing import Any

from perilune.analysis.lua.locked import child, probes
from perilune.analysis.lua.locked.lock import Lock, Unlocked, settle, space_for
from perilune.analysis.lua.locked.system import call, machine

NOBODY = 65534
MOST = 1 << 16
_USER, _MOUNT, _UTS, _IPC, _NETWORK = 0x10000000, 0x00020000, 0x04000000, 0x08000000, 0x40000000


def main(control: int, stubs: str, skip: list[str]) -> None:
    """Serves requests on the descriptor until it closes."""
    with socket.socket(fileno=control) as line:
        try:
            machine()
            zygote = _Zygote(Path(stubs), frozenset(skip))
        except (OSError, Unlocked, ImportError) as error:
            _say(line, {"refused": str(error)})
            return
        _say(line, {"ready": zygote.layers})
        while zygote.serve(line):
            pass


class _Zygote:
    def __init__(self, stubs: Path, skip: frozenset[str]) -> None:
        self._stubs = [(path.stem, path.read_bytes()) for path in sorted(stubs.glob("*.lua"))]
        gc.disable()
        child.load_all()
        self.layers = _apart(skip)
        settle()
        self._lock = Lock(skip)
        self._locked = child.record({"k": "locked", "l": self._lock.layers})
        probes.prove(self._lock)
        self._machines: dict[str, tuple[Any, int]] = {}

    def serve(self, line: socket.socket) -> bool:
        message, descriptors, _, _ = socket.recv_fds(line, MOST, 2)
        if not message:
            return False
        request = json.loads(message)
        request["locked"] = self._locked
        try:
            start, space = self._machine(request["runtime"])
        except Unlocked as error:
            _say(line, {"refused": str(error)})
            return False
        pid = os.fork()
        if pid == 0:
            with contextlib.suppress(BaseException):
                child.main(start, space, self._lock, request, descriptors[0], descriptors[1])
            os._exit(child.FAILED)
        with contextlib.suppress(OSError):
            os.setpgid(pid, pid)  # both do it, so that it is done whoever comes first
        for one in descriptors:
            os.close(one)
        _say(line, {"pid": pid})
        return self._reap(line, pid)

    def _machine(self, runtime: str) -> tuple[Any, int]:
        """The VM with its stubs, made once: each child gets its own copy by being forked. And the space that it may take."""
        if runtime not in self._machines:
            start = child.make(runtime, self._stubs)
            _no_writable_code()
            self._machines[runtime] = start, space_for(child.MEMORY)
            gc.freeze()  # what a collector never touches is never copied
        return self._machines[runtime]

    def _reap(self, line: socket.socket, pid: int) -> bool:
        go_on = bool(line.recv(MOST))
        for kill in (os.killpg, os.kill):  # the group, and the child should it have left none
            with contextlib.suppress(ProcessLookupError, PermissionError):
                kill(pid, signal.SIGKILL)
        _, status, used = os.wait4(pid, 0)
        if go_on:
            _say(line, {"status": status, "cpu_ms": (used.ru_utime + used.ru_stime) * 1000})
        return go_on


def _say(line: socket.socket, message: dict[str, Any]) -> None:
    with contextlib.suppress(BrokenPipeError):
        line.send(json.dumps(message).encode())


def _apart(skip: frozenset[str]) -> list[str]:
    """Leaves root and the system's namespaces, where that is allowed; names what worked. None of it is required."""
    layers = []
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")
    if os.geteuid() == 0 and "user" not in skip:
        with contextlib.suppress(OSError):
            os.setgroups([])
            os.setresgid(NOBODY, NOBODY, NOBODY)
            os.setresuid(NOBODY, NOBODY, NOBODY)
            layers.append("ordinary user")
    if "namespaces" not in skip:
        with contextlib.suppress(OSError):
            call("unshare", _USER | _MOUNT | _UTS | _IPC | _NETWORK)
            layers.append("namespaces")
    return layers


def _no_writable_code() -> None:
    """Memory that is writable and executable would be there for a sample to use: then nothing is run."""
    with Path("/proc/self/maps").open(encoding="utf-8", errors="replace") as lines:
        if any(line.split()[1][1:3] == "wx" for line in lines):
            raise Unlocked("this Python maps memory that is writable and executable")
