"""The lock of one child: limits, no new rights, no rights, Landlock, seccomp; and the proof that each holds.

The proof asks the kernel to do what must fail. Where it does not fail, `Unlocked` is raised and nothing is run.
"""

from __future__ import annotations

import ctypes
import errno
import os
import resource
import struct
from pathlib import Path

from perilune.analysis.lua.locked import landlock, seccomp
from perilune.analysis.lua.locked.system import call, prctl

_SET_DEATH_SIGNAL, _SET_DUMPABLE, _SET_NO_NEW_PRIVS, _GET_NO_NEW_PRIVS = 1, 4, 38, 39
SIGKILL = 9
ROOM = 48 << 20  # address space beside the sample's memory: stacks, and what Python needs to end


class Unlocked(Exception):
    """A layer that is required is missing or does not hold."""


def lock(space: int, seconds: int, skip: frozenset[str] = frozenset()) -> list[str]:
    """Shuts this process in for good and proves it; names the layers. `skip` leaves layers out: the proof then fails.

    `space`: the most address space, with what this process has already.
    """
    layers = []
    try:
        _limits(space, seconds)
        _no_rights()
        prctl(_SET_DEATH_SIGNAL, SIGKILL)
        prctl(_SET_DUMPABLE, 0)
        prctl(_SET_NO_NEW_PRIVS, 1)
        abi = landlock.version() if "landlock" in skip else landlock.restrict()
        _prove_landlock(abi)
        layers += ["limits", "no new privileges", f"Landlock {abi}"]
        resource.setrlimit(resource.RLIMIT_NOFILE, (0, 0))
        if "seccomp" not in skip:
            seccomp.install()
    except OSError as error:
        raise Unlocked(str(error)) from None
    _prove_seccomp()
    return [*layers, "seccomp"]


def space_for(memory: int) -> int:
    """The address space of this process as it is, and what a sample may use."""
    used = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * resource.getpagesize()
    return used + memory + ROOM


def _limits(space: int, seconds: int) -> None:
    limits = {
        resource.RLIMIT_AS: space,
        resource.RLIMIT_CPU: seconds,
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_NPROC: 0,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_MEMLOCK: 0,
        resource.RLIMIT_MSGQUEUE: 0,
        resource.RLIMIT_SIGPENDING: 0,
    }
    for which, most in limits.items():
        resource.setrlimit(which, (most, most))


def _no_rights() -> None:
    """Gives up every capability; what is not there needs no giving up."""
    header, nothing = struct.pack("Ii", 0x20080522, 0), bytes(24)
    call("capset", ctypes.c_char_p(header), ctypes.c_char_p(nothing))


def _prove_landlock(abi: int) -> None:
    for path, flags in (
        ("/", os.O_RDONLY),
        ("/etc/passwd", os.O_RDONLY),
        ("/dev/null", os.O_WRONLY),
    ):
        _must_fail(f"Landlock lets it open {path}", errno.EACCES, lambda path=path, flags=flags: os.open(path, flags))
    if abi >= landlock.NETWORK_SINCE:
        address = ctypes.create_string_buffer(struct.pack("!2xH4s8x", 9, bytes((127, 0, 0, 1))))
        ctypes.memmove(address, struct.pack("=H", 2), 2)
        opened = call("socket", 2, 1, 0)
        _must_fail("Landlock lets it connect", errno.EACCES, lambda: call("connect", opened, ctypes.byref(address), 16))
        os.close(opened)
    if prctl(_GET_NO_NEW_PRIVS) != 1:
        raise Unlocked("new privileges are possible")


def _prove_seccomp() -> None:
    """`getppid` never fails but under our filter; the filter's answer to it proves that the filter is there."""
    _must_fail("seccomp is not in force", seccomp.MARK, lambda: call("getppid"))
    page = resource.getpagesize()
    _must_fail("executable memory is possible", errno.EPERM, lambda: call("mmap", 0, page, 7, 0x22, -1, 0))
    at = call("mmap", 0, page, 3, 0x22, -1, 0)
    _must_fail("memory can be made executable", errno.EPERM, lambda: call("mprotect", at, page, 5))


def _must_fail(what: str, number: int, attempt: object) -> None:
    try:
        attempt()  # type: ignore[operator]
    except OSError as error:
        if error.errno == number:
            return
        raise Unlocked(f"{what}: {error.strerror}") from None
    raise Unlocked(what)
