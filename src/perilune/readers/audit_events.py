"""Records of a Linux audit log that share a serial, joined to events although others lie between them."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Iterator
from typing import NamedTuple

from perilune.model.sources import Problem
from perilune.ports import Limits, Lost
from perilune.readers.text import Lines

_HEADER = re.compile(r"(?:node=(\S+) )?type=(\S+) msg=audit\((\d{1,12})\.(\d{1,9}):(\d{1,20})\): ?")
_SENT = re.compile(r"(?:node=(\S+) )?\btype=(\w+) (?:msg=)?audit\((\d{1,12})\.(\d{1,9}):(\d{1,20})\): ?")
_NUMBERED = {  # as the kernel names the types where no audit daemon runs
    "1300": "SYSCALL", "1302": "PATH", "1306": "SOCKADDR", "1307": "CWD", "1309": "EXECVE", "1320": "EOE",
    "1326": "SECCOMP", "1327": "PROCTITLE", "1400": "AVC", "1701": "ANOM_ABEND", "1100": "USER_AUTH",
    "1101": "USER_ACCT", "1103": "CRED_ACQ", "1104": "CRED_DISP", "1105": "USER_START", "1106": "USER_END",
    "1112": "USER_LOGIN", "1123": "USER_CMD", "1130": "SERVICE_START", "1131": "SERVICE_STOP", "1305": "CONFIG_CHANGE",
}  # fmt: skip

Fields = dict[str, object]
Key = tuple[str | None, str, str, str]


class Record(NamedTuple):  # made for every line: a frozen dataclass takes three times as long
    """One line: its type, its number in the file and what follows the header."""

    kind: str
    number: int
    body: str


class Event(NamedTuple):
    """All records of one serial."""

    node: str | None
    micros: int
    records: tuple[Record, ...]


_MOST_TYPES = 500
_REMEMBERED = 16_384  # events that have left the window, to tell a late record from a new event


class Window:
    """Joins records of one serial while no more than so many other events have come since."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._waiting: OrderedDict[Key, list[Record]] = OrderedDict()
        self._done: OrderedDict[Key, None] = OrderedDict()
        self._key: Key = (None, "", "", "")
        self._stamp = ""
        self._types: set[str] = set()
        self._bytes = 0
        self._late = 0
        self._overfull = 0
        self._alien = 0
        self._where: dict[str, str] = {}

    def add(self, block: Lines) -> Iterator[Event]:
        """Takes lines in, and gives the events that have left the window."""
        for number, line in enumerate(block.data.decode("utf-8", "backslashreplace").split("\n"), block.first):
            head, mark, body = line.partition("):")
            kind, _, stamp = head.partition(" msg=audit(")
            if mark and stamp == self._stamp and kind in self._types:  # as most lines: of the same event as the last
                self._put(self._key, Record(kind[5:], number, body.removeprefix(" ").rstrip("\r")))
            else:
                self._look(line.rstrip("\r"), number)
            while len(self._waiting) > self._limits.max_join_window or self._bytes > self._limits.max_join_bytes:
                yield self._leave()

    def _look(self, line: str, number: int) -> None:
        """Takes one line whatever it is, and keeps what tells the others of its event."""
        header = _HEADER.match(line) or _HEADER.search(line[:1024])
        if header is None:
            self._no_record(line, number)
            return
        node, kind, seconds, fraction, serial = header.groups()
        self._key = (node, seconds, fraction, serial)
        if node is None and header.start() == 0:
            self._stamp = f"{seconds}.{fraction}:{serial}"
            if len(self._types) < _MOST_TYPES:
                self._types.add(f"type={kind}")
        else:
            self._stamp = ""
        self._put(self._key, Record(kind, number, line[header.end() :]))

    def add_sent(self, message: str, number: int, host: str | None) -> bool:
        """Takes a record out of a message that was sent to syslog; false where it holds none."""
        header = _SENT.search(message[:1024])
        if header is None:
            return False
        node, kind, seconds, fraction, serial = header.groups()
        key = (node or host, seconds, fraction, serial)
        self._put(key, Record(_NUMBERED.get(kind, kind), number, message[header.end() :]))
        return True

    def leave(self) -> Iterator[Event]:
        """The events that have waited too long."""
        while len(self._waiting) > self._limits.max_join_window or self._bytes > self._limits.max_join_bytes:
            yield self._leave()

    def _put(self, key: Key, record: Record) -> None:
        records = self._waiting.get(key)
        if records is None:
            if key in self._done:
                self._late += 1
                self._where.setdefault("late", f"line {record.number}")
            records = self._waiting[key] = []
        records.append(record)
        self._bytes += len(record.body)

    def _no_record(self, line: str, number: int) -> None:
        if line.strip() and not line.startswith("----"):  # ausearch rules its events off with these
            self._alien += 1
            self._where.setdefault("alien", f"line {number}")

    def _leave(self) -> Event:
        """The event that has waited longest."""
        self._overfull += self._bytes > self._limits.max_join_bytes
        key, records = self._waiting.popitem(last=False)
        self._bytes -= sum(len(record.body) for record in records)
        self._done[key] = None
        if len(self._done) > _REMEMBERED:
            self._done.popitem(last=False)
        node, seconds, fraction, _ = key
        micros = int(seconds) * 1_000_000 + int(fraction.ljust(6, "0")[:6])
        return Event(node, micros, tuple(records))

    def rest(self) -> Iterator[Event]:
        while self._waiting:
            yield self._leave()

    def problems(self) -> Iterator[Lost]:
        if self._alien:
            yield Lost(Problem("line that is no audit record", self._alien, self._where["alien"]))
        if self._late:
            what = "record too far from the others of its event to be joined to them"
            yield Lost(Problem(what, self._late, self._where["late"]))
        if self._overfull:
            yield Lost(Problem("event let go early: too many bytes waited to be joined", self._overfull))
