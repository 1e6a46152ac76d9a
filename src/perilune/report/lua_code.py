"""Code as numbered lines with the telling places marked; of a long line only what is around the marks."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from perilune.report.quote import Piece

WIDE = 600  # characters of a line shown from its beginning
AROUND = 160  # characters before and behind a mark further along

Stretch = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Line:
    number: int
    pieces: tuple[Piece, ...]


def merged(spans: Sequence[Stretch], least: int = 0) -> list[Stretch]:
    """In order, those that touch or are closer than `least` joined."""
    found: list[Stretch] = []
    for start, end in sorted(span for span in spans if span[0] < span[1]):
        if found and start <= found[-1][1] + least:
            found[-1] = found[-1][0], max(end, found[-1][1])
        else:
            found.append((start, end))
    return found


def code_lines(text: str, spans: Sequence[Stretch], most: int) -> tuple[list[Line], int]:
    """The lines until `most` characters are shown, and how many lines were left out."""
    marks = merged(spans)
    ends = [end for _, end in marks]
    lines: list[Line] = []
    at = shown = 0
    rows = text.split("\n")
    for number, row in enumerate(rows, 1):
        if shown > most:
            return lines, len(rows) - number + 1
        first = bisect_left(ends, at + 1)
        inside = []
        for start, end in marks[first : first + 200]:
            if start >= at + len(row):
                break
            inside.append((max(start - at, 0), min(end - at, len(row))))
        pieces = tuple(_pieces(row, inside))
        lines.append(Line(number, pieces))
        shown += sum(len(piece.text) for piece in pieces) + 1
        at += len(row) + 1
    return lines, 0


def _pieces(row: str, marks: Sequence[Stretch]) -> Iterator[Piece]:
    position = 0
    for start, end in _windows(row, marks):
        if start > position:
            yield Piece("cut", f" … {start - position:,} characters … ")
        yield from _marked(row, start, end, marks)
        position = end
    if position < len(row):
        yield Piece("cut", f" … {len(row) - position:,} characters")


def _windows(row: str, marks: Sequence[Stretch]) -> list[Stretch]:
    if len(row) <= 2 * WIDE:
        return [(0, len(row))]
    around = [(max(0, start - AROUND), min(len(row), min(end, start + WIDE) + AROUND)) for start, end in marks[:30]]
    return merged([(0, WIDE), *around], least=40)


def _marked(row: str, start: int, end: int, marks: Sequence[Stretch]) -> Iterator[Piece]:
    for first, last in marks:
        if first >= end or last <= start:
            continue
        if max(first, start) > start:
            yield Piece("text", row[start:first])
        yield Piece("hit", row[max(first, start) : min(last, end)])
        start = min(last, end)
    if start < end:
        yield Piece("text", row[start:end])
