"""A log that grows, read piece by piece: its format is told once, and what was learned of its processes stays.

A piece is whole lines. Audit records that belong together may lie in different pieces: a piece of an audit log is
taken up to the last line at which no event is open, and the rest is asked for again, until it has waited long enough.
"""

from __future__ import annotations

import io
import re
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, BinaryIO, cast

import pyarrow as pa
import pyarrow.compute as pc

from perilune.model.sources import Reading, SourceReport
from perilune.model.tables import LONG, Table
from perilune.ports import Count, Limits, Lost, Read, Reader
from perilune.readers import _dated, _tables
from perilune.readers.auditd import AuditdReader, AuditLog
from perilune.readers.csv import CsvReader
from perilune.readers.derived import with_derived
from perilune.readers.detect import find_reader
from perilune.readers.gather import Gathered
from perilune.readers.mappings import Mappings
from perilune.readers.mappings import packaged as packaged_mappings
from perilune.readers.normalize import Normalizer
from perilune.readers.rejoined import Window as Held
from perilune.readers.source import Source
from perilune.readers.tally import Tally
from perilune.readers.text import Lines, line_blocks
from perilune.readers.zeek import ZeekReader

compute: Any = pc  # whose stubs ask for arrays where Arrow takes plain values

NOT_LINES = frozenset({"evtx", "parquet", "compiled-lua", "script"})  # whose files do not grow line by line
_OF_EVENT = re.compile(rb"type=(\w+) msg=audit\([\d.]+:(\d+)\):")
# Records that are an event by themselves; any other is followed by more, up to an EOE, or waits in vain for a moment
_ALONE = re.compile(
    rb"(?:USER|CRED|SERVICE|DAEMON|SYSTEM|ADD|DEL|GRP|ACCT|CHGRP|CHUSER|ROLE|CRYPTO|VIRT|SOFTWARE|KERNEL|TTY)(?:_.*)?"
    rb"|CONFIG_CHANGE|LOGIN|SECCOMP|ANOM_.*|UNKNOWN\[.*"
)
_BEGINNING = 64  # bytes by which a header is known again
_HELD_BYTES = 1 << 20  # of an audit log that wait for the rest of an event


@dataclass(frozen=True, slots=True)
class Piece:
    """What whole lines gave. `size` bytes and `lines` lines of them were taken."""

    tables: tuple[Table, ...]
    report: SourceReport
    size: int
    lines: int


class Follower:
    """Reads one growing log. `head` is what it begins with."""

    def __init__(
        self, name: str, reader: Reader, mappings: Mappings | None, limits: Limits, head: bytes, host: str = ""
    ) -> None:
        self._source = Source(name)
        self._host = host
        self._limits = limits
        self._normalizer = Normalizer(mappings or packaged_mappings(), limits)
        self._audit = isinstance(reader, AuditdReader)
        self._reader: Reader = _Audit(limits) if self._audit else reader
        self._header = _header_of(reader, head)

    @property
    def format(self) -> str:
        return self._reader.name

    @property
    def keeps_memory(self) -> bool:
        """Whether it goes on where the log begins anew: it has learned of processes, and needs no header."""
        return self._audit

    def read(self, data: bytes, first: int, *, whole: bool) -> Piece:
        """The rows of these lines, whose first has the number `first`.

        whole: take all of them, although an event may be open at their end.
        """
        if self._audit and not whole and len(data) < _HELD_BYTES:
            data = data[: closed_events(data)]
        tables, report = self._rows(data, first) if data else ((), _nothing(self._source, self.format))
        return Piece(tables, report, len(data), data.count(b"\n"))

    def warm(self, data: bytes) -> None:
        """Learns of processes from what was read before."""
        if self._audit:
            self._rows(data, 1)

    def _rows(self, data: bytes, first: int) -> tuple[tuple[Table, ...], SourceReport]:
        make = getattr(self._reader, "part", None)
        reader = cast(Reader, make(first)) if make is not None else self._reader
        numbered = make is not None or isinstance(reader, _Audit)
        if isinstance(reader, _Audit):
            reader.first = first
        reader = _dated(reader, self._source)
        header = b"" if data.startswith(self._header[:_BEGINNING]) else self._header
        text = io.BytesIO(header + data)
        origin = self._normalizer.begin(self._source.name, reader.name)
        tally = Tally(self._limits)
        found = list(_tables(reader, cast(BinaryIO, text), self._normalizer, tally, self._limits))
        found += self._normalizer.flush()
        shift = 0 if numbered else first - 1 - header.count(b"\n")
        rows = tuple(_hosted(_shifted(table, shift), self._host) for table in found)
        return rows, tally.report(self._source, origin)


def follow(
    name: str,
    head: bytes,
    readers: Sequence[Reader],
    mappings: Mappings | None,
    limits: Limits,
    *,
    host: str = "",
    form: str = "",
) -> Follower | None:
    """A follower of a log that begins like this; None where no reader of lines recognises it.

    host: whose rows these are where they do not say it themselves.
    form: the name of the reader, where it is known beforehand.
    """
    if form:
        named = next(reader for reader in readers if reader.name == form)
        return Follower(name, named, mappings, limits, head, host)
    reader = find_reader(head, readers)
    in_lines = getattr(reader, "is_in_lines", None)
    if reader is None or reader.name in NOT_LINES or (in_lines is not None and not in_lines(head)):
        return None
    return Follower(name, reader, mappings, limits, head, host)


class Joining:
    """What follows from rows as they come: scripts whole whose parts are in different batches, rows of other tables.

    A script that lacks parts is given as it is when nothing more of it has come for `patience` seconds.
    """

    def __init__(self, limits: Limits, patience: float = 30.0) -> None:
        self._window = Held(limits)
        self._patience = patience
        self._since = 0.0

    def add(self, tables: Sequence[Table]) -> list[Table]:
        now = time.monotonic()
        if not self._window.waiting:
            self._since = now
        whole = [one for table in tables if (one := self._window.take(table)) is not None]
        if self._window.waiting and now - self._since >= self._patience and (rest := self._window.rest()) is not None:
            whole.append(rest)
        return [item for item in with_derived(iter(whole)) if isinstance(item, Table)]


class _Audit:
    """The reader of audit logs, with one memory of processes for all pieces."""

    name = AuditdReader.name
    looks_for = AuditdReader.looks_for

    def __init__(self, limits: Limits) -> None:
        self._gathered = Gathered()
        self._log = AuditLog(limits, self._gathered)
        self._before: Counter[str] = Counter()
        self.first = 1

    def recognises(self, head: bytes) -> bool:
        return True

    def read(self, stream: BinaryIO, limits: Limits) -> Iterator[Read]:
        for block in line_blocks(stream, limits, first=self.first):
            if not isinstance(block, Lines):
                yield block
                continue
            for _ in self._log.add(block):
                if self._gathered.full:
                    yield from self._gathered.drain()
        self._log.finish()
        yield from self._gathered.drain()
        for item in self._log.counts():  # which count from the beginning of all
            if isinstance(item, Count):
                yield Count(self._more("", item.found))
            elif more := self._more(item.problem.what, item.problem.count):
                yield Lost(replace(item.problem, count=more))

    def _more(self, what: str, count: int) -> int:
        more = count - self._before[what]
        self._before[what] = count
        return more


def closed_events(data: bytes) -> int:
    """Where the last line ends at which no audit event of several records is open."""
    open_events: set[bytes] = set()
    end = safe = 0
    for line in data.splitlines(keepends=True):
        end += len(line)
        found = _OF_EVENT.search(line, 0, 400)
        if found is not None:
            kind, serial = found.groups()
            if kind == b"EOE":
                open_events.discard(serial)
            elif not _ALONE.fullmatch(kind):
                open_events.add(serial)
        if not open_events:
            safe = end
    return safe


def _header_of(reader: Reader, head: bytes) -> bytes:
    """The lines that say what the columns are, which every piece needs before it."""
    lines = head.splitlines(keepends=True)
    if isinstance(reader, ZeekReader):
        return b"".join(line for line in lines if line.startswith(b"#"))
    if isinstance(reader, CsvReader):
        return lines[0]
    return b""


def _shifted(table: Table, by: int) -> Table:
    """The rows with their places counted from the beginning of the log."""
    if not by or not table.has("XSourceRecord"):
        return table
    at = table.data.schema.get_field_index("XSourceRecord")
    numbers = compute.add(table.data.column(at), pa.scalar(by, LONG))
    return Table(table.name, table.data.set_column(at, "XSourceRecord", numbers))


def _hosted(table: Table, host: str) -> Table:
    """The rows with the host's name where they name none."""
    if not host or (table.has("DeviceName") and not table.column("DeviceName").null_count):
        return table
    names = compute.fill_null(table.column("DeviceName").cast(pa.string()), host)
    at = table.data.schema.get_field_index("DeviceName")
    data = table.data if at < 0 else table.data.remove_column(at)
    return Table(table.name, data.append_column("DeviceName", names))


def _nothing(source: Source, form: str) -> SourceReport:
    return SourceReport(source.name, form, Reading.COMPLETE)
