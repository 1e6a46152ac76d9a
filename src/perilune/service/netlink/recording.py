"""A recording of this machine: switches the audit on, adds rules, reads, and leaves everything as it was.

What must be put back stands in the rules' own key, `perilune-PROCESS-STARTED-NUMBER-ENABLED-BACKLOG`. So several can
record at once, the last one puts the audit back, and what a killed one has left is cleared away by the next.

A process that is older than the audit's first switching on since boot is not recorded itself, only what it starts: boot
with `audit=1` where the connections of old daemons matter.
"""

from __future__ import annotations

import fcntl
import itertools
import os
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from perilune.errors import SensorError
from perilune.service.netlink.control import Control
from perilune.service.netlink.messages import Status
from perilune.service.netlink.reader import BUFFER, Losses, Reader
from perilune.service.netlink.rules import Rule, is_task_never, key_of

BACKLOG = 8192  # records that the kernel keeps for its readers while this runs
LOCKED = 2
_ANSWER = 5.0  # seconds until the first record must have come
_KEY = re.compile(r"perilune-(\d{1,10})-(\d{1,20})-(\d{1,6})-([01])-(\d{1,10})")
_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Mark:
    """Whose a rule is, and what the audit was like before the first recording."""

    process: int
    started: int
    number: int
    enabled: int
    backlog: int

    @property
    def key(self) -> str:
        return f"perilune-{self.process}-{self.started}-{self.number}-{self.enabled}-{self.backlog}"

    @property
    def alive(self) -> bool:
        return _started(self.process) == self.started


def parse_mark(key: str) -> Mark | None:
    found = _KEY.fullmatch(key)
    return Mark(*(int(part) for part in found.groups())) if found else None


@dataclass(slots=True)
class Recording:
    """What runs between the beginning and the end. `fileno` can be waited for beside others.

    key  what the records of these rules carry as their key
    """

    key: str
    _control: Control
    _reader: Reader
    _rules: int
    _lost_before: int
    _early: list[str] = field(default_factory=list)

    def fileno(self) -> int:
        return self._reader.fileno()

    def read(self, timeout: float | None = 0) -> list[str]:
        """Lines of `audit.log` that are there; waits so many seconds for the first."""
        early, self._early = self._early, []
        return early or self._reader.read(timeout)

    def losses(self) -> Losses:
        lost = max(0, self._control.status().lost - self._lost_before)
        return replace(self._reader.losses(), kernel_lost=lost)

    def is_whole(self) -> bool:
        """Whether the audit is still on and has all the rules: another program may have changed it."""
        mine = [rule for rule in self._control.rules() if key_of(rule) == self.key]
        return self._control.status().enabled > 0 and len(mine) == self._rules

    def _prove(self) -> None:
        """The kernel records that a rule was added: this must arrive, or nothing would."""
        deadline = time.monotonic() + _ANSWER
        while not any(self.key in line for line in self._early):
            if (left := deadline - time.monotonic()) < 0:
                raise SensorError(
                    "the audit's records do not arrive", hint="run on the host itself, not in a container"
                )
            self._early += self._reader.read(left)


@contextmanager
def record(rules: Sequence[Rule], *, buffer: int = BUFFER) -> Iterator[Recording]:
    """Records by these rules, at least one, while entered. Raises SensorError where the machine refuses."""
    with closing(Control()) as control, closing(Reader(buffer)) as reader:
        with _alone():
            living = clear(control)
            status = control.status()
            mark = _mark(status, living)
        recording = Recording(mark.key, control, reader, len(rules), status.lost)
        try:
            with _alone():
                _begin(control, [rule.encode(mark.key) for rule in rules])
            recording._prove()
            yield recording
        finally:
            with _alone():
                _end(control, mark)


def _begin(control: Control, rules: list[bytes]) -> None:
    status = control.status()
    if status.enabled == LOCKED:
        raise SensorError("the audit's rules are locked until the next boot", hint="add rules at boot instead")
    if any(is_task_never(rule) for rule in control.rules()):
        raise SensorError("an audit rule forbids records of system calls", hint="auditctl -d task,never")
    if not status.enabled:
        control.enable(1)
    if status.backlog_limit < BACKLOG:
        control.limit_backlog(BACKLOG)
    for rule in rules:
        control.add(rule)


def _end(control: Control, mark: Mark) -> None:
    for rule in control.rules():
        if key_of(rule) == mark.key:
            control.remove(rule)
    if not clear(control):
        _put_back(control, mark)


def clear(control: Control) -> list[Mark]:
    """Removes the rules of processes that are gone; the marks of those that still record.

    The last of the dead knew what the audit was like before, which is put back with it.
    """
    living: list[Mark] = []
    dead: list[Mark] = []
    for rule in control.rules():
        mark = parse_mark(key_of(rule))
        if mark is not None and mark.alive:
            living.append(mark)
        elif mark is not None:
            dead.append(mark)
            control.remove(rule)
    if dead and not living:
        _put_back(control, dead[0])
    return living


def _mark(status: Status, living: list[Mark]) -> Mark:
    before = (living[0].enabled, living[0].backlog) if living else (min(status.enabled, 1), status.backlog_limit)
    return Mark(os.getpid(), _started(os.getpid()) or 0, next(_numbers), *before)


def _put_back(control: Control, before: Mark) -> None:
    """The audit as it was, unless somebody has locked it or ordered records of his own since."""
    now = control.status()
    if now.enabled == LOCKED:
        return
    if now.backlog_limit == BACKLOG != before.backlog:
        control.limit_backlog(before.backlog)
    if now.enabled != before.enabled and not control.rules():
        control.enable(before.enabled)


def _started(process: int) -> int | None:
    """When a process began, in ticks since boot: with its number it names one process for ever."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
        return int(fields[19])
    except (OSError, IndexError, ValueError):
        return None


@contextmanager
def _alone() -> Iterator[None]:
    """One recording of this machine at a time begins or ends. The lock is on a folder, so it leaves nothing."""
    folder = os.open("/", os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)
