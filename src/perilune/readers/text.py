"""Lines of a text stream, many at a time, each within its budget."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from perilune.model.sources import Problem
from perilune.ports import MIB, Limits, Lost


@dataclass(frozen=True, slots=True)
class Lines:
    """Consecutive lines without their line feeds; `first` is the number of the first, from 1."""

    first: int
    lines: list[bytes]


def line_blocks(stream: BinaryIO, limits: Limits, block: int = MIB) -> Iterator[Lines | Lost]:
    """All lines in blocks of about `block` bytes. A line over its budget is left out, and said."""
    number, rest, skipping = 1, b"", False
    while data := stream.read(block):
        lines = (rest + data).split(b"\n")
        rest = lines.pop()
        if skipping and lines:
            lines.pop(0)
            number += 1
            skipping = False
        if lines:
            yield from _within(lines, number, limits)
            number += len(lines)
        if skipping:
            rest = b""
        elif len(rest) > limits.max_line_bytes:
            yield _too_long(number, limits)
            rest, skipping = b"", True
    if rest and not skipping:
        yield from _within([rest], number, limits)


def _within(lines: list[bytes], first: int, limits: Limits) -> Iterator[Lines | Lost]:
    most = limits.max_line_bytes
    if max(map(len, lines)) <= most:
        yield Lines(first, lines)
        return
    for number, line in enumerate(lines, first):
        if len(line) > most:
            yield _too_long(number, limits)
    yield Lines(first, [line if len(line) <= most else b"" for line in lines])


def _too_long(number: int, limits: Limits) -> Lost:
    return Lost(Problem(f"line longer than {limits.max_line_bytes:,} bytes", 1, f"line {number}"))
