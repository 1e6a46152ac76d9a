"""Applications' own logs, by the pattern files of `content/applogs`."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import BinaryIO

from perilune.ports import Limits, Read
from perilune.readers.clock import Clock
from perilune.readers.entries import Entries
from perilune.readers.gather import Gathered
from perilune.readers.patterns import LogFormat
from perilune.readers.text import Lines, line_blocks

_LOOK_AT = 60


class AppLogReader:
    """The log of one application."""

    def __init__(self, log_format: LogFormat, changed: datetime | None = None) -> None:
        self._format = log_format
        self._changed = changed
        self.name = log_format.name
        self.looks_for = log_format.about.rstrip(".")

    def dated(self, changed: datetime) -> AppLogReader:
        """The same for a file that was last changed then, for times without a year."""
        return AppLogReader(self._format, changed)

    def recognises(self, head: bytes) -> bool:
        """Whether half of the first lines, or the first of them and those that it goes on in, are entries."""
        if b"\0" in head[:4096]:
            return False
        lines = [line for line in head.decode("utf-8", "replace").encode().splitlines()[:_LOOK_AT] if line.strip()]
        entries = [entry for entry in self._format.entries if not entry.header]
        hits = [any(entry.pattern.match(line) is not None for entry in entries) for line in lines]
        if not any(hits):
            return False
        return 2 * sum(hits) >= len(hits) or (self._format.continued and hits[0])

    def read(self, stream: BinaryIO, limits: Limits) -> Iterator[Read]:
        gathered = Gathered()
        entries = Entries(Clock(self._changed), limits, gathered.add)
        for block in line_blocks(stream, limits):
            if not isinstance(block, Lines):
                yield block
                continue
            for number, line in enumerate(block.lines, block.first):
                text = line.rstrip(b"\r").decode("utf-8", "replace")
                if not entries.begin(self._format, text, number) and not entries.follow(text):
                    entries.skip(text)
                if gathered.full:
                    yield from gathered.drain()
        entries.finish()
        yield from gathered.drain()
        yield from entries.counts()
