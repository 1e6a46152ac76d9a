"""Audit rules: which system calls the kernel records, as it wants them told."""

from __future__ import annotations

import platform
import struct
from collections.abc import Mapping
from dataclasses import dataclass, replace

from perilune.errors import SensorError

_LIST_EXIT, _ALWAYS = 4, 2
_LIST_TASK, _NEVER = 1, 0
_MOST_FIELDS = 64
_NUMBERS = struct.Struct("=3I64I64I64I64II")  # flags, action, count, calls, fields, values, operators, length of texts
_EQUAL, _ANY_BIT = 0x4000_0000, 0x0800_0000
_ARCH, _LOGIN, _SUCCESS, _FAMILY, _ARGUMENT, _KEY = 11, 9, 104, 113, 200, 210
_CREATE = 0o100  # O_CREAT, the same on every machine of the table
_INET, _INET6 = 2, 10


@dataclass(frozen=True, slots=True)
class Abi:
    """One set of system calls of a machine: its token in the audit, and the calls' numbers."""

    token: int
    calls: Mapping[str, int]


_MACHINES: Mapping[str, tuple[Abi, ...]] = {
    "x86_64": (
        Abi(0xC000_003E, {
            "execve": 59, "execveat": 322, "connect": 42, "open": 2, "openat": 257, "creat": 85, "mkdir": 83,
            "mkdirat": 258, "mknod": 133, "mknodat": 259, "link": 86, "linkat": 265, "symlink": 88, "symlinkat": 266,
            "rename": 82, "renameat": 264, "renameat2": 316,
        }),
        Abi(0x4000_0003, {"execve": 11, "execveat": 358, "connect": 362}),
    ),
    "aarch64": (
        Abi(0xC000_00B7, {
            "execve": 221, "execveat": 281, "connect": 203, "openat": 56, "mkdirat": 34, "mknodat": 33, "linkat": 37,
            "symlinkat": 36, "renameat": 38, "renameat2": 276,
        }),
        Abi(0x4000_0028, {"execve": 11, "execveat": 387, "connect": 283}),
    ),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Rule:
    """Records these calls of one set; `fields` are (field, operator, value), all of which must hold."""

    abi: Abi
    calls: tuple[str, ...]
    fields: tuple[tuple[int, int, int], ...] = ()

    def encode(self, key: str) -> bytes:
        """`struct audit_rule_data`, with the key that its records carry."""
        fields = [(_ARCH, _EQUAL, self.abi.token), *self.fields, (_KEY, _EQUAL, len(key.encode()))]
        calls = [0] * 64
        for number in (self.abi.calls[name] for name in self.calls):
            calls[number // 32] |= 1 << (number % 32)
        rest = [0] * (_MOST_FIELDS - len(fields))
        columns = [[field[0] for field in fields], [field[2] for field in fields], [field[1] for field in fields]]
        numbers = [number for column in columns for number in (*column, *rest)]
        text = key.encode()
        return _NUMBERS.pack(_LIST_EXIT, _ALWAYS, len(fields), *calls, *numbers, len(text)) + text


def key_of(data: bytes) -> str:
    """The key of a rule as the kernel lists it; empty where it has none."""
    if len(data) < _NUMBERS.size:
        return ""
    numbers = _NUMBERS.unpack_from(data)
    count = min(numbers[2], _MOST_FIELDS)
    at = _NUMBERS.size
    for field, length in zip(numbers[67 : 67 + count], numbers[131 : 131 + count], strict=True):
        if field == _KEY:
            return data[at : at + length].decode("utf-8", "replace")
        at += length if field in _TEXTS else 0
    return ""


def is_task_never(data: bytes) -> bool:
    """Whether this is `-a task,never`, with which no new process has its system calls recorded."""
    return len(data) >= 8 and struct.unpack_from("=II", data) == (_LIST_TASK, _NEVER)


# Fields whose value is the length of a text behind the numbers: SELinux's, watch, directory, executable
_TEXTS = frozenset({13, 14, 15, 16, 17, 19, 20, 21, 22, 23, 105, 107, 112, _KEY})


def executions(login: int | None = None) -> tuple[Rule, ...]:
    """Every program start that succeeds; of one login only, where it is given."""
    which = ((_SUCCESS, _EQUAL, 1), *_of(login))
    return tuple(Rule(abi, ("execve", "execveat"), which) for abi in _abis())


def connections(login: int | None = None) -> tuple[Rule, ...]:
    """Every connection that is asked for over IPv4 or IPv6, whether or not it is made."""
    families = ((_FAMILY, _EQUAL, _INET), (_FAMILY, _EQUAL, _INET6))
    return tuple(Rule(abi, ("connect",), (family, *_of(login))) for abi in _abis() for family in families)


def creations(login: int | None = None) -> tuple[Rule, ...]:
    """Files, folders and links that are made or renamed, by programs of the machine's own word size."""
    abi = _abis()[0]
    which = ((_SUCCESS, _EQUAL, 1), *_of(login))
    named = ("creat", "mkdir", "mkdirat", "mknod", "mknodat", "link", "linkat", "symlink", "symlinkat", "rename")
    plain = Rule(abi, tuple(name for name in (*named, "renameat", "renameat2") if name in abi.calls), which)
    opening = (("open", 1), ("openat", 2))  # where O_CREAT stands among their arguments
    opened = (
        replace(plain, calls=(name,), fields=((_ARGUMENT + at, _ANY_BIT, _CREATE), *which))
        for name, at in opening
        if name in abi.calls
    )
    return (plain, *opened)


def _of(login: int | None) -> tuple[tuple[int, int, int], ...]:
    return () if login is None else ((_LOGIN, _EQUAL, login),)


def _abis() -> tuple[Abi, ...]:
    found = _MACHINES.get(platform.machine())
    if found is None:
        known = ", ".join(_MACHINES)
        raise SensorError(
            f"no table of system calls for {platform.machine()}", hint=f"audit rules are known for {known}"
        )
    return found
