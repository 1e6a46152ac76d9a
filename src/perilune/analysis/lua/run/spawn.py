"""The zygote as its parent sees it: started once, asked for one run at a time, killed where it does not answer.

The only module of the analysis that starts a process.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import Any

STARTS_WITHIN = 20.0  # seconds, for a busy machine
BROKE = "the cage broke down"
_MESSAGE = 1 << 16

# A hack: the packages above `locked` are entered without running them, because what they import (0.3 s, threads, data)
# has no place in the process that forks samples. It would end with `locked` as a package of its own.
_BOOT = """
import sys, types
folder, site, control, stubs, *skip = sys.argv[1:]
sys.path.append(site)
name = ""
for part, path in zip(("perilune", "analysis", "lua"), folder.split("\\n")):
    name = f"{name}.{part}" if name else part
    module = types.ModuleType(name)
    module.__path__ = [path]
    sys.modules[name] = module
from perilune.analysis.lua.locked.zygote import main
main(int(control), stubs, skip)
"""


class Unavailable(Exception):
    """Nothing can be run here; says why."""


@dataclass(frozen=True, slots=True)
class Ran:
    """What came of one child: what it wrote, how it ended, whether the wall clock or the cap on the trace ended it."""

    written: bytes
    status: int
    cpu_ms: float
    late: bool = False
    full: bool = False


class Zygote:
    """One zygote process.

    `skip` leaves layers of the lock out: it then refuses, which is what tests want to see. `stubs`: a folder with other
    stubs than ours, or with none, to see what the lock holds alone.
    """

    def __init__(self, skip: tuple[str, ...] = (), stubs: Path | None = None) -> None:
        if platform.system() != "Linux":
            raise Unavailable(f"isolation unavailable: there is no cage for {platform.system() or 'this system'}")
        self._lock = threading.Lock()
        self._line, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            with theirs:
                self._process = _start(theirs, skip, stubs or _stubs())
        except (OSError, Unavailable):
            self._line.close()
            raise
        self.pid = self._process.pid
        answer = self._answer(STARTS_WITHIN)
        if "ready" not in answer:
            self.close()
            raise Unavailable("isolation unavailable: " + str(answer.get("refused", "the cage did not start")))
        self.layers: tuple[str, ...] = tuple(answer["ready"])

    def run(self, runtime: str, code: bytes, options: list[str], seconds: float, most: int) -> Ran:
        """Runs a program in a child of its own. Unavailable where the zygote is gone."""
        with self._lock:
            try:
                return self._run(runtime, code, options, seconds, most)
            except BaseException:
                self.close()  # whatever it was, the next request would meet an unfinished one
                raise

    def _run(self, runtime: str, code: bytes, options: list[str], seconds: float, most: int) -> Ran:
        reading, writing = os.pipe()
        with os.fdopen(reading, "rb", buffering=0):
            try:
                pid = self._ask(runtime, code, options, seconds, writing)
            finally:
                os.close(writing)
            written, late, full = _collect(reading, time.monotonic() + seconds, most)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if late or full:
                os.killpg(pid, signal.SIGKILL)
        self._send({"reap": pid})
        told = self._answer(STARTS_WITHIN)
        if "status" not in told:
            raise Unavailable(BROKE)
        return Ran(written, int(told["status"]), float(told["cpu_ms"]), late, full)

    def close(self) -> None:
        self._line.close()
        self._process.kill()
        self._process.wait()

    def forget(self) -> None:
        """Lets go of a zygote that belongs to the process that this one was forked from."""
        self._line.close()

    def _ask(self, runtime: str, code: bytes, options: list[str], seconds: float, writing: int) -> int:
        with os.fdopen(os.memfd_create("program"), "r+b") as program:
            program.write(code)
            program.seek(0)
            request = json.dumps({"runtime": runtime, "options": options, "seconds": seconds}).encode()
            self._send(request, [program.fileno(), writing])
        told = self._answer(STARTS_WITHIN)
        if "pid" not in told:
            refused = told.get("refused")
            raise Unavailable(f"isolation unavailable: {refused}" if refused else BROKE)
        return int(told["pid"])

    def _send(self, message: dict[str, Any] | bytes, descriptors: list[int] | None = None) -> None:
        data = message if isinstance(message, bytes) else json.dumps(message).encode()
        try:
            socket.send_fds(self._line, [data], descriptors or [])
        except OSError as error:
            raise Unavailable(f"{BROKE}: {error.strerror}") from None

    def _answer(self, seconds: float) -> dict[str, Any]:
        self._line.settimeout(seconds)
        try:
            data = self._line.recv(_MESSAGE)
        except OSError:
            return {}
        found: dict[str, Any] = json.loads(data) if data else {}
        return found


def _stubs() -> Path:
    return Path(str(files("perilune") / "content" / "lua" / "stubs"))


def _start(theirs: socket.socket, skip: tuple[str, ...], stubs: Path) -> subprocess.Popen[bytes]:
    spec = find_spec("lupa")
    if spec is None or spec.origin is None:
        raise Unavailable("no Lua to run it with is installed: pip install 'perilune[lua]'")
    here = Path(__file__).resolve().parents[1]
    folders = "\n".join(str(one) for one in (here.parents[1], here.parent, here))
    site = str(Path(spec.origin).parents[1])
    return subprocess.Popen(  # noqa: S603 - our own interpreter, with arguments of our own
        [sys.executable, "-I", "-S", "-c", _BOOT, folders, site, str(theirs.fileno()), str(stubs), *skip],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        pass_fds=[theirs.fileno()],
        env={"TZ": "UTC0", "LC_ALL": "C"},
        cwd="/",
        start_new_session=True,
    )


def _collect(reading: int, deadline: float, most: int) -> tuple[bytes, bool, bool]:
    """Everything that is written until the end of it, the deadline or the cap."""
    parts: list[bytes] = []
    size = 0
    waiting = select.poll()
    waiting.register(reading, select.POLLIN)
    while size < most:
        left = deadline - time.monotonic()
        if left <= 0 or not waiting.poll(left * 1000):
            return b"".join(parts), True, False
        part = os.read(reading, 1 << 16)
        if not part:
            return b"".join(parts), False, False
        parts.append(part)
        size += len(part)
    return b"".join(parts), False, True
