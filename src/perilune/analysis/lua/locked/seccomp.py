"""The filter of system calls: a short list is allowed, executable memory is refused, everything else ends the process."""

from __future__ import annotations

import ctypes
import errno

from perilune.analysis.lua.locked.system import Machine, Prepared, machine

KILL, ERRNO, ALLOW = 0x80000000, 0x00050000, 0x7FFF0000
MARK = 1717  # what getppid answers under this filter, and nowhere else
PROT_EXEC, MAP_ANONYMOUS = 4, 0x20
TRACE_FD = 1

_ALLOWED = ("munmap", "brk", "mremap", "madvise", "futex", "rt_sigreturn", "rt_sigprocmask", "clock_gettime", "gettimeofday",
            "getrandom", "getpid", "gettid", "exit", "exit_group")  # fmt: skip
# abort() ends in a SIGSEGV where it may not send its signal: that tells damaged memory from a forbidden call.
_REFUSED = {"getppid": MARK, "tgkill": errno.EPERM, "pkey_mprotect": errno.EPERM}

_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER, _ARCH, _ARGUMENTS = 0, 4, 16

Step = tuple[int, int, int, int]


class _Filter(ctypes.Structure):
    _fields_ = (("code", ctypes.c_ushort), ("jt", ctypes.c_ubyte), ("jf", ctypes.c_ubyte), ("k", ctypes.c_uint))


class _Program(ctypes.Structure):
    _fields_ = (("len", ctypes.c_ushort), ("filter", ctypes.POINTER(_Filter)))


def program(on: Machine) -> list[Step]:
    """The filter as instructions for the kernel's machine: code, jump if true, jump if false, value."""
    steps: list[Step] = [(_LOAD, 0, 0, _ARCH), (_EQUAL, 1, 0, on.audit), _answer(KILL), (_LOAD, 0, 0, _NUMBER)]
    if on.other_abi:
        steps += [(_AT_LEAST, 0, 1, on.other_abi), _answer(KILL)]
    for name in _ALLOWED:
        if name in on.numbers:
            steps += _when(on, name, [_answer(ALLOW)])
    for name, number in _REFUSED.items():
        steps += _when(on, name, [_answer(ERRNO | number)])
    steps += _when(on, "write", [_argument(0), (_EQUAL, 0, 1, TRACE_FD), _answer(ALLOW), _answer(ERRNO | errno.EPERM)])
    no_code = [_argument(2), (_ANY_BIT, 0, 1, PROT_EXEC), _answer(ERRNO | errno.EPERM)]
    steps += _when(on, "mprotect", [*no_code, _answer(ALLOW)])
    no_file = [_argument(3), (_ANY_BIT, 0, 1, MAP_ANONYMOUS), _answer(ALLOW), _answer(KILL)]
    steps += _when(on, "mmap", [*no_code, *no_file])
    return [*steps, _answer(KILL)]


def refusing(on: Machine, names: tuple[str, ...], number: int) -> list[Step]:
    """A filter that lets everything pass but some calls, as a system has it that lacks them."""
    steps: list[Step] = [(_LOAD, 0, 0, _NUMBER)]
    for name in names:
        steps += _when(on, name, [_answer(ERRNO | number)])
    return [*steps, _answer(ALLOW)]


def _when(on: Machine, name: str, then: list[Step]) -> list[Step]:
    return [(_EQUAL, 0, len(then), on.numbers[name]), *then]


def _answer(value: int) -> Step:
    return (_RETURN, 0, 0, value)


def _argument(number: int) -> Step:
    """Loads the low half of an argument: both machines keep it first."""
    return (_LOAD, 0, 0, _ARGUMENTS + 8 * number)


def prepared(steps: list[Step] | None = None) -> Prepared:
    """The call that puts the filter on the process that makes it, for good."""
    code = steps if steps is not None else program(machine())
    block = (_Filter * len(code))(*[_Filter(*step) for step in code])
    return Prepared("seccomp", 1, 0, ctypes.byref(_Program(len(code), block)))


def install(steps: list[Step] | None = None) -> None:
    """Puts a filter on this process; OSError where the kernel refuses it."""
    prepared(steps)()
