"""Syslog files and what is sent to syslog: the header, then whatever the program writes.

Programs with a pattern file become what it says; audit records that audispd or the kernel sent become what they are
in the audit log; Sysmon for Linux (XML), AUOMS and products that send JSON become what their maps say; everything
else is a row of XLogEvents under the program's name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import BinaryIO

import orjson

from perilune.ports import Limits, Read
from perilune.readers.auditd import AuditLog
from perilune.readers.clock import YEARLESS, Clock, offset_of
from perilune.readers.entries import Entries, Fields
from perilune.readers.gather import Gathered
from perilune.readers.mappings import Mappings
from perilune.readers.patterns import LogFormat
from perilune.readers.prepare import auoms
from perilune.readers.products import Products
from perilune.readers.syslog_header import is_syslog, parse_header
from perilune.readers.text import Lines, line_blocks
from perilune.readers.windows_xml import parse_event

_LEVELS = ("emergency", "alert", "critical", "error", "warning", "notice", "info", "debug")


class SyslogReader:
    """Lines with a syslog header, of RFC 3164, RFC 5424 or rsyslog's own form."""

    name = "syslog"
    looks_for = "lines with a syslog header"

    def __init__(
        self,
        mappings: Callable[[], Mappings],
        formats: Callable[[], Sequence[LogFormat]],
        changed: datetime | None = None,
    ) -> None:
        self._mappings = mappings
        self._formats = formats
        self._changed = changed

    def dated(self, changed: datetime) -> SyslogReader:
        """The same for a file that was last changed then, for times without a year."""
        return SyslogReader(self._mappings, self._formats, changed)

    def recognises(self, head: bytes) -> bool:
        return is_syslog(head)

    def read(self, stream: BinaryIO, limits: Limits) -> Iterator[Read]:
        gathered = Gathered()
        clock = Clock(self._changed)
        lines = _Lines(self._mappings(), self._formats(), gathered, clock, limits)
        for block in line_blocks(stream, limits):
            if not isinstance(block, Lines):
                yield block
                continue
            for number, line in enumerate(block.lines, block.first):
                lines.add(line.rstrip(b"\r").decode("utf-8", "replace"), number)
                if gathered.full:
                    yield from gathered.drain()
        yield from lines.finish()
        yield from gathered.drain()


class _Lines:
    """Gives each message to whoever understands it."""

    def __init__(
        self, mappings: Mappings, formats: Sequence[LogFormat], gathered: Gathered, clock: Clock, limits: Limits
    ) -> None:
        self._gathered = gathered
        self._clock = clock
        self._products = Products(mappings, gathered, limits)
        self._entries = Entries(clock, limits, gathered.add)
        self._audit = AuditLog(limits, gathered)
        self._by_program = {program: one for one in formats for program in one.programs}

    def add(self, line: str, number: int) -> None:
        match = parse_header(line)
        if match is None:
            if not self._entries.follow(line):
                self._entries.skip(line)
            return
        message = _decoded(match["message"] or "")
        one = self._by_program.get(match["program"].rpartition("/")[2])
        header = _header(match)
        if one is not None and self._entries.begin(one, message, number, {**header, "application": one.name}):
            return
        self._entries.finish()
        if not self._add_product(message, header, number):
            self._entries.found += 1
            self._gathered.add("syslog:line", self._timed({**header, "message": message}), number, len(line))

    def _add_product(self, message: str, header: Fields, number: int) -> bool:
        """Whether the message is a record of a product that is known."""
        if self._add_audit(message, header, number):
            return True
        record: object = None
        if "<Event" in message:
            event = parse_event(message)
            record = {"Event": event} if event else None
        elif message.startswith("{"):
            record = _json(message)
        elif "type=AUOMS_" in message and (fields := auoms(message)):
            self._entries.found += 1
            self._gathered.add(f"auoms:{fields['type']}", {**header, "audit": fields}, number, len(message))
            return True
        if record is None:
            return False
        self._products.add(record, number, len(message))
        return True

    def _add_audit(self, message: str, header: Fields, number: int) -> bool:
        """Whether it is a record of audispd's, or the kernel's where no audit daemon runs; others could forge one."""
        program, host = str(header.get("program")), header.get("host")
        if "audit(" not in message or "type=AUOMS_" in message or not ("audi" in program or program == "kernel"):
            return False
        return self._audit.add_sent(message, number, host if isinstance(host, str) else None)

    def _timed(self, fields: Fields) -> Fields:
        text = fields.get("time")
        if isinstance(text, str):
            fields["offset"] = offset_of(text)
            fields["time"] = self._clock.micros(text, YEARLESS if text[:1].isalpha() else "iso")
        return fields

    def finish(self) -> Iterator[Read]:
        self._entries.finish()
        self._products.finish()
        self._audit.finish()
        yield from self._audit.counts()
        yield from self._products.counts()
        yield from self._entries.counts()


def _header(match: re.Match[str]) -> Fields:
    fields: Fields = {name: match[name] for name in ("time", "host", "program") if match[name] not in (None, "-")}
    if match["pid"] and match["pid"].isdigit():
        fields["pid"] = match["pid"]
    if match["pri"]:
        fields["level"] = _LEVELS[int(match["pri"]) % 8]
        fields["facility"] = str(int(match["pri"]) // 8)
    return fields


def _decoded(message: str) -> str:
    """The message with the line ends that rsyslog writes as `#012`."""
    return message.replace("#012", "\n").replace("#011", "\t") if "#01" in message else message


def _json(message: str) -> object:
    try:
        found = orjson.loads(message)
    except orjson.JSONDecodeError:
        return None
    return found if isinstance(found, dict) else None
