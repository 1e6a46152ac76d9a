"""The proof that the filter ends a process: locked children that are spent on trying what must end them."""

from __future__ import annotations

import os
import signal

from perilune.analysis.lua.locked.lock import Lock, Unlocked, space_for
from perilune.analysis.lua.locked.system import Prepared, machine

_NAMES = ("open", "openat", "socket", "fork", "clone", "execve", "kill", "ptrace", "memfd_create", "unshare", "io_uring_setup",
          "process_vm_writev", "prctl")  # fmt: skip
_SURVIVED, _UNLOCKED = 97, 98
_TRIED = 1 << 20


def prove(lock: Lock) -> list[str]:
    """Tries each forbidden call in a locked child; names them. Unlocked where one was not ended by it."""
    space = space_for(_TRIED)
    names = [name for name in _NAMES if name in machine().numbers]
    for name in names:
        status = _in_child(lock, space, Prepared(name, 0, 0, 0, 0))
        if os.WIFEXITED(status) and os.WEXITSTATUS(status) == _UNLOCKED:
            raise Unlocked(_reason(lock, space))
        if not (os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGSYS):
            raise Unlocked(f"seccomp does not end a process that calls {name}")
    return names


def _in_child(lock: Lock, space: int, attempt: Prepared) -> int:
    pid = os.fork()
    if pid == 0:
        code = _UNLOCKED
        try:
            lock.close(space, 2)
            code = _SURVIVED
            attempt.fails()
        finally:
            os._exit(code)
    return os.waitpid(pid, 0)[1]


def _reason(lock: Lock, space: int) -> str:
    """Why the lock does not close, told by one more child through a pipe."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.dup2(writing, 1)
            lock.close(space, 2)
        except Unlocked as error:
            os.write(1, str(error).encode()[:400])
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as told:
        reason = told.read().decode()
    os.waitpid(pid, 0)
    return reason or "the lock does not close"
