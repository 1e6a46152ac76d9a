"""Processes as the kernel shows them: who started whom, when, and from which image of memory."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from perilune.model.actions import Target

PROC = Path("/proc")
TOLERANCE = 2.0  # seconds between a log's start time and the kernel's
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Process:
    """One process.

    started  in seconds since the epoch
    layout   where its program, stack and arguments lie. A child has its parent's until it runs another program, and the
             kernel chooses at random at each start: the same layout is the same family, whoever its parent is by now
    tty      its terminal, 0 for none
    """

    pid: int
    parent: int
    session: int
    tty: int
    ticks: int
    started: float
    layout: tuple[int, ...]
    name: str
    state: str

    @property
    def alive(self) -> bool:
        return self.state not in "ZX"


def load_process(pid: int) -> Process | None:
    """The process, or None where there is none (any more)."""
    try:
        text = (PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    opening, closing = text.find("("), text.rfind(")")
    fields = text[closing + 2 :].split()
    ticks = int(fields[19])
    layout = tuple(int(fields[n - 3]) for n in (26, 27, 28, 48, 50) if n - 3 < len(fields))
    return Process(
        pid=pid,
        parent=int(fields[1]),
        session=int(fields[3]),
        tty=int(fields[4]),
        ticks=ticks,
        started=_booted() + ticks / _TICKS,
        layout=layout if any(layout) else (),
        name=text[opening + 1 : closing],
        state=fields[0],
    )


def processes() -> Iterator[Process]:
    """Every process there is."""
    for entry in os.scandir(PROC):
        if entry.name.isdecimal() and (found := load_process(int(entry.name))) is not None:
            yield found


def newest_pid() -> int:
    """The number that was given out last."""
    return int((PROC / "loadavg").read_text().rsplit(" ", 1)[-1])


def is_same(process: Process, target: Target) -> bool:
    """Whether this is the process that the target means: its number and its start time, within the log's precision."""
    return target.started is not None and abs(process.started - target.started.timestamp()) <= TOLERANCE


def started_at(process: Process) -> datetime:
    return datetime.fromtimestamp(process.started, UTC)


def has_random_layout(pid: int) -> bool:
    """Whether the kernel chose the layout at random, so that it tells families apart."""
    try:
        general = int((PROC / "sys/kernel/randomize_va_space").read_text())
        personality = int((PROC / str(pid) / "personality").read_text(), 16)
    except (OSError, ValueError):
        return False
    return general > 0 and not personality & 0x0040000


def _booted() -> float:
    return time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
