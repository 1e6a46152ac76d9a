"""Which program runs under which process id, as far as an audit log told: lineage for the rows of its starts."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from typing import NamedTuple

from perilune.model.sources import Problem
from perilune.ports import Limits, Lost
from perilune.readers.audit_events import Fields
from perilune.readers.derivations import basename


class Process(NamedTuple):
    """The last program that a process id started, as far as the log told."""

    path: str | None
    command_line: str | None
    micros: int
    parent: str | None
    user: str | None
    directory: str | None


class Processes:
    """Who runs under which process id; the oldest are forgotten. A fork without an exec is not known."""

    def __init__(self, limits: Limits) -> None:
        self._most = limits.max_processes
        self._known: OrderedDict[tuple[str | None, str], Process] = OrderedDict()
        self._cut = 0
        self._alone = 0
        self._where: dict[str, str] = {}

    def start(self, node: str | None, pid: str | None, process: Process) -> None:
        if pid is None:
            return
        self._known[(node, pid)] = process
        self._known.move_to_end((node, pid))
        if len(self._known) > self._most:
            self._known.popitem(last=False)

    def find(self, node: str | None, pid: str | None) -> Process | None:
        return self._known.get((node, pid)) if pid is not None else None

    def cut(self, number: int) -> None:
        self._cut += 1
        self._where.setdefault("cut", f"line {number}")

    def alone(self, number: int) -> None:
        self._alone += 1
        self._where.setdefault("alone", f"line {number}")

    def problems(self) -> Iterator[Lost]:
        if self._cut:
            yield Lost(Problem("execve whose arguments are truncated in the log", self._cut, self._where["cut"]))
        if self._alone:
            yield Lost(Problem("execve without its SYSCALL record", self._alone, self._where["alone"]))


def parent_fields(parent: Process | None, processes: Processes, node: str | None) -> Fields | None:
    """What a row says of the process that started it."""
    if parent is None:
        return None
    grand = processes.find(node, parent.parent)
    return {
        "exe": parent.path,
        "command_line": parent.command_line,
        "time": parent.micros,
        "cwd": parent.directory,
        "user": parent.user,
        "ppid": parent.parent,
        "grand_exe": grand and grand.path,
        "grand_name": grand and grand.path and basename(grand.path),
        "grand_command_line": grand and grand.command_line,
        "grand_time": grand and grand.micros,
    }
