"""Uniform JSON lines to columns without a dictionary per record: only what a mapping takes is ever made an object.

Lines of one kind have one shape. The first of them are looked at, a decoder is made for just that shape, and it
reads the others at once: it skips what no column takes, and it refuses any line that is different. What is refused
takes the way over dictionaries, which says what is right; a test proves both ways equal.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import cast

import msgspec
import orjson
import pyarrow as pa

from perilune.ports import Columns
from perilune.readers.mappings import Mappings
from perilune.readers.shapes import Shape, learn
from perilune.readers.text import Lines

_MOST_KINDS = 64
_LOOK = 64  # lines of a kind that are looked at to learn its shape
_PATIENCE = 4  # times that a kind may turn out to be different before it is left to the other way
_FEW = 16  # lines for which a decoder is not worth its making
_ARRAY = "(array)"

# What tells lines of different kinds apart at a glance; a wrong guess is refused by the decoder.
_GLANCE = re.compile(
    rb'"(?:Name"\s*:\s*"([^"\\]{1,80})".{0,400}?"EventID"\s*:\s*(\d{1,9})'
    rb'|category"\s*:\s*"([^"\\]{1,80})")', re.DOTALL,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Rest:
    """Lines that take the way over dictionaries, with their numbers."""

    lines: Sequence[bytes]
    numbers: Sequence[int]


@dataclass(slots=True)
class _Kind:
    """What is known of the lines that look alike."""

    shape: Shape | None = None
    patience: int = _PATIENCE


class Columnar:
    """Tries block after block of one file."""

    def __init__(self, mappings: Mappings) -> None:
        self._mappings = mappings
        self._kinds: dict[object, _Kind] = {}
        self._last: object = None

    def split(self, block: Lines) -> Iterator[Columns | Rest]:
        """The block's lines: as columns where they are uniform, the rest as they are."""
        if not _is_text(block.data):
            yield Rest(block.lines, range(block.first, block.first + len(block)))
            return
        whole = self._whole(block)
        if whole is not None:
            yield whole
            return
        groups: dict[object, tuple[list[bytes], list[int]]] = {}
        for number, line in enumerate(block.lines, block.first):
            lines, numbers = groups.setdefault(_glance(line), ([], []))
            lines.append(line)
            numbers.append(number)
        rest: list[tuple[int, bytes]] = []
        for key, (lines, numbers) in groups.items():
            found = self._group(key, lines, numbers)
            if found is not None:
                yield found
            else:
                rest += zip(numbers, lines, strict=True)
        if rest:
            yield Rest([line for _, line in sorted(rest)], [number for number, _ in sorted(rest)])

    def array(self, data: bytes, first: int) -> Columns | list[object] | None:
        """The elements of a JSON array: as columns where they are uniform, else as they are; None if it is none."""
        known = self._kinds.setdefault(_ARRAY, _Kind())
        found = _decode_array(known.shape, data) if known.shape else None
        if found is None:
            try:
                rows = orjson.loads(data)
            except orjson.JSONDecodeError:
                return None
            if not rows or known.patience <= 0:
                return cast("list[object]", rows)
            known.patience -= 1
            known.shape = learn(rows, self._mappings, known.shape.names if known.shape else ())
            found = _decode_array(known.shape, data) if known.shape else None
            if found is None:
                return cast("list[object]", rows)
        return Columns(found[0], found[1], first, len(data))

    def _whole(self, block: Lines) -> Columns | None:
        """All lines by the shape of the last ones."""
        known = self._kinds.get(self._last)
        if known is None or known.shape is None:
            return None
        found = _decode(known.shape, block.data, len(block))
        return None if found is None else Columns(found[0], found[1], block.first, len(block.data))

    def _group(self, key: object, lines: list[bytes], numbers: list[int]) -> Columns | None:
        known = self._kinds.get(key)
        if known is None:
            if len(lines) < _FEW or len(self._kinds) >= _MOST_KINDS:
                return None
            known = self._kinds[key] = _Kind()
        data = b"\n".join(lines)
        while known.patience > 0:
            found = _decode(known.shape, data, len(lines)) if known.shape else None
            if found is not None:
                self._last = key
                return Columns(found[0], found[1], numbers[0], len(data), numbers)
            known.patience -= 1
            every = 1 if known.shape else max(1, len(lines) // _LOOK)
            known.shape = _learn(lines[::every], self._mappings, known.shape.names if known.shape else ())
            if known.shape is None:
                break
        return None


def _is_text(data: bytes) -> bool:
    """Whether the bytes are UTF-8, also where no decoder looks at them."""
    ends = pa.py_buffer(struct.pack("<ii", 0, len(data)))
    try:
        pa.Array.from_buffers(pa.string(), 1, [None, ends, pa.py_buffer(data)]).validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True


def _glance(line: bytes) -> object:
    found = _GLANCE.search(line, 0, 2048)
    return found.groups() if found else None


def _decode(shape: Shape, data: bytes, count: int) -> tuple[str, pa.Table] | None:
    try:
        rows = shape.decoder.decode_lines(data)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return None
    return shape.finish(rows) if len(rows) == count else None


def _decode_array(shape: Shape, data: bytes) -> tuple[str, pa.Table] | None:
    try:
        return shape.finish(shape.array.decode(data))
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return None


def _learn(lines: Sequence[bytes], mappings: Mappings, known: Sequence[str] = ()) -> Shape | None:
    """A shape from lines and the names known before, if all are of one shape that can be read this way."""
    try:
        rows = [orjson.loads(line) for line in lines]
    except orjson.JSONDecodeError:
        return None
    return learn(rows, mappings, known)
