"""Lines of a text stream, many at a time, each within its budget."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from perilune.model.sources import Problem
from perilune.ports import MIB, Limits, Lost
from perilune.readers.streams import read_head


@dataclass(frozen=True, slots=True)
class Lines:
    """Consecutive lines of a file as they stand there; `first` is the number of the first, from 1."""

    first: int
    data: bytes
    count: int

    @staticmethod
    def of(first: int, data: bytes) -> Lines:
        """With the lines counted."""
        return Lines(first, data, data.count(b"\n") + 1)

    @property
    def lines(self) -> list[bytes]:
        """The lines without their line feeds."""
        return self.data.split(b"\n")

    def __len__(self) -> int:
        return self.count


def line_blocks(stream: BinaryIO, limits: Limits, block: int = MIB, first: int = 1) -> Iterator[Lines | Lost]:
    """All lines in blocks of about `block` bytes. A line over its budget is left out, and said."""
    number, rest, skipping = first, b"", False
    while data := read_head(stream, block):
        if skipping:
            _, found, data = data.partition(b"\n")
            if not found:
                continue
            number, skipping = number + 1, False
        end = data.rfind(b"\n")
        if end >= 0:
            lines = Lines.of(number, b"".join((rest, memoryview(data)[:end])))
            yield from _within(lines, limits)
            number += len(lines)
            rest = data[end + 1 :]
        else:
            rest += data
        if len(rest) > limits.max_line_bytes:
            yield _too_long(number, limits)
            rest, skipping = b"", True
    if rest:
        yield from _within(Lines.of(number, rest), limits)


def _within(block: Lines, limits: Limits) -> Iterator[Lines | Lost]:
    most = limits.max_line_bytes
    if len(block.data) <= most or max(map(len, block.lines)) <= most:
        yield block
        return
    kept = []
    for number, line in enumerate(block.lines, block.first):
        if len(line) > most:
            yield _too_long(number, limits)
        kept.append(line if len(line) <= most else b"")
    yield Lines(block.first, b"\n".join(kept), block.count)


def _too_long(number: int, limits: Limits) -> Lost:
    return Lost(Problem(f"line longer than {limits.max_line_bytes:,} bytes", 1, f"line {number}"))
