"""System calls by number, through ctypes: what Python's `os` has no function for."""

from __future__ import annotations

import ctypes
import errno
import os
import platform
from dataclasses import dataclass
from functools import lru_cache

_X86_64 = {
    "open": 2, "write": 1, "mmap": 9, "mprotect": 10, "munmap": 11, "brk": 12, "rt_sigprocmask": 14, "rt_sigreturn": 15,
    "mremap": 25, "madvise": 28, "getpid": 39, "socket": 41, "connect": 42, "clone": 56, "fork": 57, "vfork": 58, "execve": 59,
    "exit": 60, "kill": 62, "ptrace": 101, "gettimeofday": 96, "getppid": 110, "capset": 126, "prctl": 157, "gettid": 186,
    "futex": 202, "clock_gettime": 228, "exit_group": 231, "tgkill": 234, "openat": 257, "unshare": 272, "seccomp": 317,
    "getrandom": 318, "memfd_create": 319, "bpf": 321, "execveat": 322, "pkey_mprotect": 329, "io_uring_setup": 425,
    "clone3": 435, "landlock_create_ruleset": 444, "landlock_restrict_self": 446, "process_vm_writev": 311, "sendto": 44,
}  # fmt: skip
_AARCH64 = {
    "write": 64, "mmap": 222, "mprotect": 226, "munmap": 215, "brk": 214, "rt_sigprocmask": 135, "rt_sigreturn": 139,
    "mremap": 216, "madvise": 233, "getpid": 172, "socket": 198, "connect": 203, "clone": 220, "execve": 221, "exit": 93,
    "kill": 129, "ptrace": 117, "gettimeofday": 169, "getppid": 173, "capset": 91, "prctl": 167, "gettid": 178, "futex": 98,
    "clock_gettime": 113, "exit_group": 94, "tgkill": 131, "openat": 56, "unshare": 97, "seccomp": 277, "getrandom": 278,
    "memfd_create": 279, "bpf": 280, "execveat": 281, "pkey_mprotect": 288, "io_uring_setup": 425, "clone3": 435,
    "landlock_create_ruleset": 444, "landlock_restrict_self": 446, "process_vm_writev": 271, "sendto": 206,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Machine:
    """A kind of processor: its token in seccomp, its numbers of system calls."""

    audit: int
    numbers: dict[str, int]
    other_abi: int = 0  # numbers from here on belong to another calling convention


_MACHINES = {"x86_64": Machine(0xC000003E, _X86_64, 0x40000000), "aarch64": Machine(0xC00000B7, _AARCH64)}


@lru_cache(maxsize=1)
def machine() -> Machine:
    """This processor; OSError where the lock has no table for it."""
    if platform.system() != "Linux":
        raise OSError(errno.ENOSYS, f"no lock for {platform.system()}")
    found = _MACHINES.get(platform.machine())
    if found is None or ctypes.sizeof(ctypes.c_void_p) != 8:
        raise OSError(errno.ENOSYS, f"no lock for this processor: {platform.machine()}")
    return found


@lru_cache(maxsize=1)
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


class Prepared:
    """A system call with its arguments, ready before a fork: the child then touches little memory, which costs most there."""

    __slots__ = ("_arguments", "_function", "_name")

    def __init__(self, name: str, *arguments: object) -> None:
        self._name = name
        self._function = _libc().syscall
        self._function.restype = ctypes.c_long
        ready = [ctypes.c_long(one) if isinstance(one, int) else one for one in arguments]
        self._arguments = (ctypes.c_long(machine().numbers[name]), *ready)

    def fails(self) -> int:
        """Makes the call; 0, or the number of its error."""
        return 0 if self._function(*self._arguments) != -1 else ctypes.get_errno()

    def __call__(self) -> int:
        """Makes the call; OSError where it fails."""
        result = int(self._function(*self._arguments))
        if result == -1:
            number = ctypes.get_errno()
            raise OSError(number, f"{self._name}: {os.strerror(number)}")
        return result


def call(name: str, *arguments: object) -> int:
    """A system call; OSError where it fails."""
    return Prepared(name, *arguments)()


def prctl(option: int, value: int = 0) -> int:
    return call("prctl", option, value, 0, 0, 0)
