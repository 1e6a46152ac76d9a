"""JSON of any product: one record a line, one array, one envelope, or values one after the other.

Lines go through orjson. A document that is not lines is never held whole: its rows are decoded one by one.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import BinaryIO, cast

import orjson

from perilune.model.sources import Problem
from perilune.ports import MIB, Columns, Limits, Lost, Read
from perilune.readers.columnar import Columnar, Rest
from perilune.readers.gather import Gathered
from perilune.readers.mappings import Mappings
from perilune.readers.products import Products
from perilune.readers.streams import Headed
from perilune.readers.text import Lines, line_blocks

_BEGINS = re.compile(rb"\s*(?:\{\s*[\"}]|\[\s*[\[{\]])")
_ROWS = frozenset({"records", "results", "Results", "value"})
_LOOK = MIB
_FEW = 4096  # characters of objects that are worth to be tried at once


class JsonReader:
    """JSON lines and JSON documents; which product each record comes from is told by its fields."""

    name = "json"
    looks_for = "JSON of a known product (Defender XDR, Windows events)"

    def __init__(self, mappings: Callable[[], Mappings], first: int = 0) -> None:
        """Of a part of a file that is lines, `first` is the number of its first."""
        self._mappings = mappings
        self._first = first

    def is_in_lines(self, head: bytes) -> bool:
        """Whether each line is a record, so that a file may be read in parts."""
        return _is_lines(head)

    def part(self, first: int) -> JsonReader:
        """The same for a part of a file, which begins with this line."""
        return JsonReader(self._mappings, first)

    def recognises(self, head: bytes) -> bool:
        return _BEGINS.match(head) is not None

    def read(self, stream: BinaryIO, limits: Limits) -> Iterator[Read]:
        gathered = Gathered()
        products = Products(self._mappings(), gathered, limits)
        head = stream.read(_LOOK)
        again = cast(BinaryIO, Headed(head, stream))
        values: Iterator[Value | Columns | Lost | Problem]
        if self._first or _is_lines(head):
            values = _lines(again, limits, self._mappings(), self._first or 1)
        else:
            values = _document(again, limits, self._mappings())
        for item in values:
            if isinstance(item, tuple):
                products.add(*item)
            elif isinstance(item, Columns):
                yield from gathered.drain()  # first what came before
                products.found += item.data.num_rows
                yield item
            else:
                yield item
            if gathered.full:
                yield from gathered.drain()
        products.finish()
        yield from gathered.drain()
        yield from products.counts()


Value = tuple[object, int, int]


def _is_lines(head: bytes) -> bool:
    """Whether each line is a value of its own. A damaged first line must not hide that."""
    lines = [line for line in head.split(b"\n")[:20] if line.strip()]
    if len(lines) < 2 and not head.endswith(b"\n"):
        return False
    if _is_whole(lines[0]):
        return True
    return not lines[0].rstrip().endswith((b"[", b"{", b",")) and sum(map(_is_whole, lines[1:])) >= 2


def _is_whole(line: bytes) -> bool:
    try:
        return isinstance(orjson.loads(line), dict | list)
    except orjson.JSONDecodeError:
        return False


def _lines(
    stream: BinaryIO, limits: Limits, mappings: Mappings, first: int
) -> Iterator[Value | Columns | Lost | Problem]:
    columnar = Columnar(mappings)
    for block in line_blocks(stream, limits, first=first):
        if not isinstance(block, Lines):
            yield block
            continue
        for part in columnar.split(block):
            if isinstance(part, Columns):
                yield part
            else:
                yield from _one_by_one(part)


def _one_by_one(rest: Rest) -> Iterator[Value | Lost | Problem]:
    loads = orjson.loads
    for number, line in zip(rest.numbers, rest.lines, strict=True):
        try:
            yield loads(line), number, len(line)
        except orjson.JSONDecodeError:
            if line.strip(b" \t\r\0"):
                yield from _mended(line, number)


def _mended(line: bytes, number: int) -> Iterator[Value | Lost | Problem]:
    """The value of a line that strict JSON refuses: bytes that are no UTF-8, halves of surrogate pairs, NaN."""
    try:
        value = json.loads(line.decode("utf-8", "replace"))
    except (ValueError, RecursionError) as error:
        yield Lost(Problem("line that is not JSON", 1, f"line {number}: {_short(error)}"))
        return
    yield Problem("line that is not strict JSON; what could not be decoded was replaced", 1, f"line {number}")
    yield value, number, len(line)


def _short(error: Exception) -> str:
    return (str(error) or type(error).__name__)[:100]


# --- documents


class _Text:
    """A window on the document's text that moves on as values are taken from it."""

    def __init__(self, stream: BinaryIO, limits: Limits) -> None:
        self._stream = stream
        self._limits = limits
        self._decode = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._scan = json.JSONDecoder().raw_decode
        self.text = ""
        self.at = 0
        self.ended = False
        self._tried = False

    def more(self) -> bool:
        """Reads on; false at the end or when one value has grown over its budget."""
        if self.ended or len(self.text) - self.at > self._limits.max_record_bytes:
            return False
        data = self._stream.read(max(_LOOK, len(self.text) - self.at))
        self.ended = not data
        self.text = self.text[self.at :] + self._decode.decode(data, final=self.ended)
        self.at = 0
        self._tried = False
        return True

    def rows(self) -> bytes | None:
        """Many objects that stand here with commas between, as a JSON array if they are one; tried once a window."""
        if len(self.text) - self.at < _FEW and not self.ended:
            self.more()
        if self._tried or self.peek() != "{":
            return None
        self._tried = True
        end = self.text.rfind("},", self.at)
        if end - self.at < _FEW:
            return None
        return b"[%s]" % self.text[self.at : end + 1].encode("utf-8", "replace")

    def pass_over(self, rows: bytes) -> None:
        """Goes on behind them."""
        self.at += len(rows.decode()) - 2

    def peek(self) -> str:
        """The next character that is not white space or a comma; empty at the end."""
        while True:
            while self.at < len(self.text):
                if self.text[self.at] not in " \t\r\n,\0":
                    return self.text[self.at]
                self.at += 1
            if not self.more():
                return ""

    def value(self) -> tuple[object, int]:
        """The next value and how many characters it takes; ValueError when there is none."""
        self.peek()
        while True:
            try:
                value, end = self._scan(self.text, self.at)
            except ValueError:
                if not self.more():
                    raise
                continue
            if end == len(self.text) and not self.ended and self.more():
                continue  # a number may go on in what is not read yet
            size, self.at = end - self.at, end
            return value, size

    def resume(self) -> None:
        """Goes on at the next line that begins with an object or an array, after a value that is broken."""
        while True:
            end = self.text.find("\n", self.at)
            self.at = len(self.text) if end < 0 else end + 1
            if end < 0 and not self.more():
                return
            if end >= 0 and self.peek() in ("", "{", "["):
                return


def _document(stream: BinaryIO, limits: Limits, mappings: Mappings) -> Iterator[Value | Columns | Lost]:
    """Values one after the other; the rows within an outermost array or envelope count one by one."""
    text, columnar = _Text(stream, limits), Columnar(mappings)
    number = faults = 0
    while (character := text.peek()) and faults < limits.max_faults:
        try:
            if character in "[{]}":
                for item in _open(text, columnar):
                    if isinstance(item, Columns):
                        yield replace(item, first=number + 1)
                        number += item.data.num_rows
                        continue
                    number += 1
                    yield item[0], number, item[1]
            else:
                raise ValueError("no object and no array")
        except (ValueError, RecursionError) as error:
            faults += 1
            text.resume()
            what = (
                "value that is not JSON" if text.peek() else "truncated: the JSON breaks off, or is broken to its end"
            )
            yield Lost(Problem(what, 1, f"after record {number}: {_short(error)}"))


Element = tuple[object, int] | Columns


def _open(text: _Text, columnar: Columnar) -> Iterator[Element]:
    """The rows of the value that begins here."""
    character = text.peek()
    if character in "]}":  # the end of an array or envelope that was opened before
        text.at += 1
    elif character == "[":
        text.at += 1
        yield from _elements(text, columnar)
    else:
        yield from _object(text, columnar)


def _elements(text: _Text, columnar: Columnar) -> Iterator[Element]:
    while character := text.peek():
        rows = text.rows() if character == "{" else None
        found = columnar.array(rows, 1) if rows is not None else None
        if rows is not None and found is not None:
            text.pass_over(rows)
            yield from [found] if isinstance(found, Columns) else [(row, len(rows) // len(found)) for row in found]
            continue
        if character == "]":
            text.at += 1
            return
        yield text.value()
    raise ValueError("the array is not closed")


_ENVELOPE = re.compile(
    r'\{\s*(?:"(?:schema|Schema|stats|Stats|@odata\.\w+)"|"(?:records|results|Results|value)"\s*:\s*\[)'
)


def _object(text: _Text, columnar: Columnar) -> Iterator[Element]:
    """The rows of an envelope one by one, or the object itself.

    Only an envelope's first key is looked at, and its rows are decoded one by one: they may be gigabytes.
    """
    if len(text.text) - text.at < 256:
        text.more()
    if not _ENVELOPE.match(text.text, text.at):
        yield text.value()
        return
    text.at += 1
    while (character := text.peek()) and character != "}":
        name, _ = text.value()
        if text.peek() != ":":
            raise ValueError("a colon is missing")
        text.at += 1
        if name in _ROWS and text.peek() == "[":
            text.at += 1
            yield from _elements(text, columnar)
        else:
            text.value()
    text.at += 1
    if not character:
        raise ValueError("the object is not closed")
