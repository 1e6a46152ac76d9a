"""Where tests run: a user that nobody is, a folder that vanishes, sessions that can be told apart and ended."""

from __future__ import annotations

import fcntl
import grp
import json
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from perilune.errors import SensorError
from perilune.service.validation import launch

FIRST, LAST = 64_100, 64_900  # user ids that Debian gives to nobody
PLACES = (Path("/home"), Path("/var/lib"))  # a folder as users have; /tmp would itself be a sign
MAX_OUTPUT = 16_384
_SHELLS = {"sh": "/bin/sh", "bash": "/bin/bash"}


@dataclass(frozen=True, slots=True)
class Ran:
    """What came of one command.

    session  of the audit; everything that it started belongs to it
    code     its exit code; None where its time was over
    output   the end of what it printed
    """

    session: int
    code: int | None
    output: str


@dataclass(slots=True)
class Lab:
    """A user and its folder.

    user     its number, which has no name and is also the login of every session here
    sessions of every command so far
    """

    user: int
    folder: Path
    sessions: set[int] = field(default_factory=set)

    def home(self, name: str) -> Path:
        """A fresh folder of the user's own."""
        found = self.folder / name
        found.mkdir(mode=0o700)
        os.chown(found, self.user, self.user)
        return found

    def run(self, command: str, home: Path, *, executor: str, root: bool = False, timeout: float = 30) -> Ran:
        """Runs a command in a session of its own. Its text is in no command line: only what it starts is recorded."""
        script = self.folder / "command"
        script.write_text(command, encoding="utf-8")
        script.chmod(0o644)
        shell = _SHELLS[executor]
        order: dict[str, object] = {
            "login": self.user,
            "user": None if root else self.user,
            "folder": str(home),
            "argv": [shell, "-c", '. "$LAB_COMMAND"'],
            "environment": _environment(home, script),
        }
        with tempfile.TemporaryFile() as output:
            return self._start(order, output.fileno(), timeout)

    def _start(self, order: dict[str, object], output: int, timeout: float) -> Ran:
        told, telling = os.pipe()
        order["told"] = telling
        started = subprocess.Popen(  # noqa: S603  this Python and a file of this package
            [sys.executable, "-I", "-S", "-B", launch.__file__, json.dumps(order)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            pass_fds=[telling],
            start_new_session=True,
        )
        os.close(telling)
        try:
            session = self._session(told, output)
            code: int | None = None
            with suppress(subprocess.TimeoutExpired):
                code = started.wait(timeout)
        except BaseException:
            started.kill()
            raise
        if code is None:
            self.end({session})
            started.wait()
        return Ran(session, code, _tail(output))

    def _session(self, told: int, output: int) -> int:
        """What the child tells of itself; it is ours from now on, whatever interrupts."""
        with os.fdopen(told, "rb") as stream:
            answer = json.loads(stream.read(4096) or b"{}")
        session = answer.get("session")
        if not isinstance(session, int):
            raise SensorError(f"no session for a test: {answer.get('error', _tail(output))}")
        self.sessions.add(session)
        return session

    def end(self, sessions: set[int]) -> list[str]:
        """Kills what still runs of these sessions; what it was."""
        found: dict[int, str] = {}
        for _ in range(20):
            living = processes_of(sessions)
            if not living:
                break
            found |= living
            for process in living:
                with suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL)
            time.sleep(0.05)
        return list(found.values())


def _environment(home: Path, script: Path) -> dict[str, str]:
    return {
        "HOME": str(home),
        "USER": "lab",
        "LOGNAME": "lab",
        "PATH": "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin",
        "LANG": "C.UTF-8",
        "LAB_COMMAND": str(script),
    }


def _tail(output: int) -> str:
    size = os.lseek(output, 0, os.SEEK_END)
    data = os.pread(output, MAX_OUTPUT, max(0, size - MAX_OUTPUT))
    return data.decode("utf-8", "replace")


def processes_of(sessions: set[int]) -> dict[int, str]:
    """Every process of these sessions of the audit, whoever its parent is now, with its command line."""
    found = {}
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            session = int((folder / "sessionid").read_text(encoding="ascii"))
            if session in sessions and _state(folder) not in "ZX":
                line = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace").strip()
                found[int(folder.name)] = line[:500]
        except (OSError, ValueError):
            continue
    return found


def _state(folder: Path) -> str:
    return (folder / "stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()[0]


@contextmanager
def open_lab() -> Iterator[Lab]:
    """A lab that is gone afterwards, with whatever is still running in it."""
    if os.geteuid() != 0:
        raise SensorError("tests are run as another user", hint="run as root")
    with _claimed() as (user, folder):
        lab = Lab(user, folder)
        try:
            yield lab
        finally:
            lab.end(lab.sessions)


@contextmanager
def _claimed() -> Iterator[tuple[int, Path]]:
    """A number that is nobody's, claimed by a lock on the folder made for it. What a killed run left is taken over."""
    place = next((place for place in PLACES if place.is_dir()), Path("/"))
    for user in range(FIRST, LAST):
        folder = place / f"lab-{user}"
        if _is_known(user) or (claim := _claim(folder)) is None:
            continue
        try:
            _empty(folder)
            yield user, folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            os.close(claim)
        return
    raise SensorError(f"no user id is free from {FIRST} to {LAST}")


def _claim(folder: Path) -> int | None:
    """A lock on a folder of root's, made where it is not there; None where another run holds it."""
    with suppress(FileExistsError):
        folder.mkdir(mode=0o711)
    if folder.is_symlink() or folder.stat().st_uid != 0:
        return None
    claim = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(claim)
        return None
    folder.chmod(0o711)
    return claim


def _empty(folder: Path) -> None:
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink()


def _is_known(user: int) -> bool:
    for find in (pwd.getpwuid, grp.getgrgid):
        with suppress(KeyError):
            find(user)
            return True
    return False
