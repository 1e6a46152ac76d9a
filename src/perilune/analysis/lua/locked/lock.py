"""The lock of one child: limits, no rights, Landlock, seccomp; and the proof that each holds.

The proof asks the kernel to do what must fail. Where it does not fail, `Unlocked` is raised and nothing is run. All is
made ready before the fork: of a child's time most goes into copying the memory that it touches.
"""

from __future__ import annotations

import ctypes
import errno
import os
import resource
import struct
from pathlib import Path

from perilune.analysis.lua.locked import landlock, seccomp
from perilune.analysis.lua.locked.system import Prepared, call, prctl

_SET_DEATH_SIGNAL, _SET_DUMPABLE, _SET_NO_NEW_PRIVS, _GET_NO_NEW_PRIVS = 1, 4, 38, 39
SIGKILL = 9
ROOM = 48 << 20  # address space beside the sample's memory: stacks, and what Python needs to end
_LASTING = (
    resource.RLIMIT_FSIZE,
    resource.RLIMIT_CORE,
    resource.RLIMIT_MEMLOCK,
    resource.RLIMIT_MSGQUEUE,
    resource.RLIMIT_SIGPENDING,
)


class Unlocked(Exception):
    """A layer that is required is missing or does not hold."""


def settle() -> None:
    """What the zygote already gives up for itself and its children: rights, new rights, and the limits that it can live with."""
    header, nothing = struct.pack("Ii", 0x20080522, 0), bytes(24)
    call("capset", ctypes.c_char_p(header), ctypes.c_char_p(nothing))
    prctl(_SET_NO_NEW_PRIVS, 1)
    if prctl(_GET_NO_NEW_PRIVS) != 1:
        raise Unlocked("new privileges are possible")
    prctl(_SET_DUMPABLE, 0)
    for which in _LASTING:
        resource.setrlimit(which, (0, 0))


def space_for(memory: int) -> int:
    """The address space of this process as it is, and what a sample may use."""
    used = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * resource.getpagesize()
    return used + memory + ROOM


class Lock:
    """Made ready in the zygote, closed in each child. `skip` leaves layers out: the proof then fails."""

    def __init__(self, skip: frozenset[str] = frozenset()) -> None:
        abi = landlock.version()
        self._ruleset = landlock.ruleset(abi)
        self._dies = Prepared("prctl", _SET_DEATH_SIGNAL, SIGKILL, 0, 0, 0)
        self._restrict = None if "landlock" in skip else Prepared("landlock_restrict_self", self._ruleset, 0)
        self._filter = None if "seccomp" in skip else seccomp.prepared()
        self._address = _loopback()
        self._connects = abi >= landlock.NETWORK_SINCE
        page = resource.getpagesize()
        self._asked = Prepared("getppid")
        self._executable = Prepared("mmap", 0, page, 7, 0x22, -1, 0)
        self._data = Prepared("mmap", 0, page, 3, 0x22, -1, 0)
        self.layers = ["limits", "no new privileges", f"Landlock {abi}", "seccomp"]

    def close(self, space: int, seconds: int) -> None:
        """Shuts this process in for good, and proves it."""
        try:
            self._dies()
            resource.setrlimit(resource.RLIMIT_AS, (space, space))
            resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
            resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
            if self._restrict is not None:
                self._restrict()
            self._prove_landlock()
            os.closerange(2, 1024)
            os.close(0)
            resource.setrlimit(resource.RLIMIT_NOFILE, (0, 0))
            if self._filter is not None:
                self._filter()
        except OSError as error:
            raise Unlocked(str(error)) from None
        self._prove_seccomp()

    def _prove_landlock(self) -> None:
        for path in (b"/", b"/etc/passwd"):
            try:
                os.open(path, os.O_RDONLY)
            except OSError as error:
                if error.errno == errno.EACCES:
                    continue
            raise Unlocked(f"Landlock lets it open {path.decode()}")
        if self._connects:
            opened = call("socket", 2, 1, 0)
            if Prepared("connect", opened, ctypes.byref(self._address), 16).fails() != errno.EACCES:
                raise Unlocked("Landlock lets it connect")
            os.close(opened)

    def _prove_seccomp(self) -> None:
        """`getppid` never fails but under our filter; the filter's answer to it proves that the filter is there."""
        if self._asked.fails() != seccomp.MARK:
            raise Unlocked("seccomp is not in force")
        if self._executable.fails() != errno.EPERM:
            raise Unlocked("executable memory is possible")
        if Prepared("mprotect", self._data(), resource.getpagesize(), 5).fails() != errno.EPERM:
            raise Unlocked("memory can be made executable")


def _loopback() -> ctypes.Array[ctypes.c_char]:
    return ctypes.create_string_buffer(struct.pack("=H", 2) + struct.pack("!H4s8x", 9, bytes((127, 0, 0, 1))))
