"""Ends processes: one by its number and start time, or a whole lineage, frozen first so that it cannot run away.

A lineage is the process, its children of any depth, and whatever shares its memory layout: a child that was forked
twice and given to `init` still does. Members go into a frozen control group one by one until no new one turns up; those
that fork and exit every millisecond are caught by looking at the process numbers that were given out last. Then the
group is killed at once.

Not found: a child that ran another program and lost its parent before anybody looked.
"""

from __future__ import annotations

import os
import select
import signal
import time
from dataclasses import dataclass, field
from pathlib import Path

from perilune.connectors.linux.kept import Keeper
from perilune.connectors.linux.proc import (
    PROC,
    Process,
    has_random_layout,
    is_same,
    load_process,
    newest_pid,
    processes,
    started_at,
)
from perilune.errors import ConnectorError
from perilune.model.actions import Action, Kind, Observation, Outcome, Receipt, Request, State, Target

QUIET_SCANS = 3  # scans in a row without a new member
CHASE = 0.25  # seconds of looking at fresh numbers after each scan
PATIENCE = 10.0
GROUPS = (Path("/sys/fs/cgroup"), Path("/sys/fs/cgroup/unified"))


@dataclass(frozen=True, slots=True)
class Member:
    """What is kept of a process before it is ended."""

    pid: int
    parent: int
    started: str
    image: str
    command: str
    folder: str


@dataclass(slots=True)
class _Lineage:
    """Who belongs: numbers with their start, and the layouts of those that were seen."""

    root: Process
    known: dict[tuple[int, int], Process] = field(default_factory=dict)
    layouts: set[tuple[int, ...]] = field(default_factory=set)
    own: frozenset[int] = field(default_factory=lambda: own_line())

    def takes(self, process: Process) -> bool:
        if (process.pid, process.ticks) in self.known or process.pid in self.own:
            return False
        if process.ticks < self.root.ticks:
            return False
        parent = any(pid == process.parent and ticks <= process.ticks for pid, ticks in self.known)
        return parent or process.layout in self.layouts

    def add(self, process: Process) -> None:
        self.known[process.pid, process.ticks] = process
        if process.layout and has_random_layout(process.pid):
            self.layouts.add(process.layout)

    def scan(self) -> list[Process]:
        """New members among all processes, their children too."""
        found: list[Process] = []
        everything = [one for one in processes() if one.alive]
        while fresh := [one for one in everything if self.takes(one)]:
            for one in fresh:
                self.add(one)
            found += fresh
        return found


@dataclass(frozen=True, slots=True)
class Trees:
    """`terminate-process` and `terminate-tree`."""

    keeper: Keeper

    def describe(self, action: Action) -> list[Request]:
        pid = action.target.pid
        if action.kind is Kind.TERMINATE_PROCESS:
            return [Request(f"pidfd_send_signal({pid}, SIGKILL)", effect="only if its start time is that of the case")]
        return [
            Request("freeze a new control group, move the lineage into it until no new member turns up"),
            Request(f"cgroup.kill of the lineage of {pid}", effect="all of it ends at once"),
        ]

    def check(self, action: Action) -> Observation:
        root = _root(action.target)
        if root is None:
            left = self._kept_family(action)
            if left:
                return Observation(State.ABSENT, f"{len(left)} of its family are left: {_numbers(left)}")
            return Observation(State.HOLDS, f"no process has the number {action.target.pid} and that start time")
        return Observation(State.ABSENT, f"it runs: {root.name}, since {started_at(root).isoformat()}")

    def act(self, action: Action, key: str) -> Receipt:
        root = _root(action.target)
        lineage = _Lineage(root) if root else self._again(action)
        if lineage is None:
            return Receipt(Outcome.FAILED, "there is no such process any more")
        if root is not None and root.pid in own_line():
            return Receipt(Outcome.REFUSED, "it is this program or what started it")
        if action.kind is Kind.TERMINATE_PROCESS:
            self.keeper.keep(key, _Kept(action.target.key, (), (_member(lineage.root),)))
            return _end_one(action.target)
        if root:
            lineage.add(root)
        return self._end_lineage(lineage, action, key)

    def _end_lineage(self, lineage: _Lineage, action: Action, key: str) -> Receipt:
        group = _make_group(key)
        try:
            (group / "cgroup.freeze").write_text("1")
            for one in list(lineage.known.values()):
                _move(group, one)
            _gather(group, lineage)
            members = tuple(_member(one) for one in lineage.known.values())
            self.keeper.keep(key, _Kept(action.target.key, tuple(lineage.layouts), members))
            (group / "cgroup.kill").write_text("1")
            left = _emptied(group)
        finally:
            _remove(group)
        if left:
            return Receipt(Outcome.UNKNOWN, f"{left} processes of the group are still there")
        return Receipt(Outcome.DONE, f"{len(lineage.known)} processes ended", reference=key)

    def _kept_family(self, action: Action) -> list[Process]:
        """Who is left of a lineage that was ended before: forked away in between."""
        lineage = self._again(action)
        return lineage.scan() if lineage and action.kind is Kind.TERMINATE_TREE else []

    def _again(self, action: Action) -> _Lineage | None:
        for _, kept in self.keeper.newest(_Kept):
            if kept.target == action.target.key and kept.layouts and action.target.started:
                ticks = 0
                root = Process(0, 0, 0, 0, ticks, action.target.started.timestamp(), (), "", "X")
                return _Lineage(root, layouts={tuple(one) for one in kept.layouts})
        return None


@dataclass(frozen=True, slots=True)
class _Kept:
    target: str
    layouts: tuple[tuple[int, ...], ...]
    members: tuple[Member, ...]


def own_line() -> frozenset[int]:
    """This process, those that it comes from, and the first of all: ending one would end what is meant to answer."""
    found = [1]
    current = load_process(os.getpid())
    while current is not None and current.pid not in found:
        found.append(current.pid)
        current = load_process(current.parent)
    return frozenset(found)


def _root(target: Target) -> Process | None:
    found = load_process(target.pid) if target.pid is not None else None
    return found if found is not None and found.alive and is_same(found, target) else None


def _numbers(found: list[Process]) -> str:
    return ", ".join(str(one.pid) for one in found[:10])


def _end_one(target: Target) -> Receipt:
    """Opens the process first and compares then: what was opened cannot become another."""
    assert target.pid is not None
    try:
        descriptor = os.pidfd_open(target.pid)
    except ProcessLookupError:
        return Receipt(Outcome.FAILED, "there is no such process any more")
    try:
        if _root(target) is None:
            return Receipt(Outcome.REFUSED, "the number belongs to another process now")
        signal.pidfd_send_signal(descriptor, signal.SIGKILL)
        gone = bool(select.select([descriptor], [], [], PATIENCE)[0])
    finally:
        os.close(descriptor)
    return Receipt(Outcome.DONE if gone else Outcome.UNKNOWN, "" if gone else "it did not end within 10 seconds")


def _gather(group: Path, lineage: _Lineage) -> None:
    """Scans and chases until a few scans in a row found nobody new."""
    quiet = 0
    deadline = time.monotonic() + PATIENCE
    while quiet < QUIET_SCANS and time.monotonic() < deadline:
        fresh = lineage.scan()
        for one in fresh:
            _move(group, one)
        caught = _chase(group, lineage)
        quiet = 0 if fresh or caught else quiet + 1


def _chase(group: Path, lineage: _Lineage) -> bool:
    """Looks at each number as it is given out: a process that lives a millisecond is in no list of all processes."""
    caught = False
    seen = newest_pid()
    deadline = time.monotonic() + CHASE
    while time.monotonic() < deadline:
        newest = newest_pid()
        for pid in range(max(seen, newest - 32) + 1, newest + 1):
            found = load_process(pid)
            if found is not None and found.alive and lineage.takes(found):
                lineage.add(found)
                caught = _move(group, found) or caught
        seen = newest
    return caught


def _make_group(key: str) -> Path:
    for base in GROUPS:
        if (base / "cgroup.procs").exists():
            group = base / f"perilune-{key.replace(':', '-')}-{os.getpid()}"
            try:
                group.mkdir()
            except OSError as error:
                raise ConnectorError(f"no control group can be made in {base}: {error.strerror}") from error
            if (group / "cgroup.kill").exists():
                return group
            group.rmdir()
    raise ConnectorError("this kernel has no control groups v2 with cgroup.kill (Linux 5.14 or newer)")


def _move(group: Path, process: Process) -> bool:
    """Moves one, if it is still the same; what ended in between needs no moving."""
    now = load_process(process.pid)
    if now is None or now.ticks != process.ticks:
        return False
    try:
        (group / "cgroup.procs").write_text(str(process.pid))
    except OSError:
        return False
    return True


def _emptied(group: Path) -> int:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        left = [pid for pid in (group / "cgroup.procs").read_text().split() if _runs(int(pid))]
        if not left:
            return 0
        time.sleep(0.01)
    return len(left)


def _runs(pid: int) -> bool:
    found = load_process(pid)
    return found is not None and found.alive


def _remove(group: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        try:
            (group / "cgroup.freeze").write_text("0")
            group.rmdir()
        except FileNotFoundError:
            return
        except OSError:
            time.sleep(0.01)  # the kernel is still taking the last ones away
        else:
            return


def _member(process: Process) -> Member:
    folder = PROC / str(process.pid)
    return Member(
        process.pid,
        process.parent,
        started_at(process).isoformat(),
        _link(folder / "exe"),
        _command(folder / "cmdline"),
        _link(folder / "cwd"),
    )


def _link(path: Path) -> str:
    try:
        return str(path.readlink())
    except OSError:
        return ""


def _command(path: Path) -> str:
    try:
        return path.read_bytes()[:65536].replace(b"\0", b" ").decode("utf-8", "replace").strip()
    except OSError:
        return ""
