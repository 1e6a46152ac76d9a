"""Zeek's tab-separated logs, which say their columns and types in their first lines. JSON logs need only the maps."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO

from perilune.model.sources import Problem
from perilune.ports import Count, Limits, Lost, Read
from perilune.readers.gather import Gathered
from perilune.readers.text import Lines, line_blocks

_ESCAPE = re.compile(r"\\x([0-9a-fA-F]{2})")
_MOST_COLUMNS = 1000


@dataclass(slots=True)
class _Header:
    """What the lines that begin with `#` have said so far."""

    separator: str = "\t"
    set_separator: str = ","
    empty: str = "(empty)"
    unset: str = "-"
    path: str = ""
    fields: Sequence[str] = ()
    types: Sequence[str] = ()

    def take(self, line: str) -> None:
        name, _, rest = line[1:].partition(" " if line.startswith("#separator") else self.separator)
        match name:
            case "separator":
                self.separator = _plain(rest)[:1] or "\t"
            case "set_separator":
                self.set_separator = _plain(rest)[:1] or ","
            case "empty_field":
                self.empty = rest
            case "unset_field":
                self.unset = rest
            case "path":
                self.path = rest[:64]
            case "fields":
                self.fields = rest.split(self.separator)[:_MOST_COLUMNS]
            case "types":
                self.types = rest.split(self.separator)[:_MOST_COLUMNS]


class ZeekReader:
    """Zeek's own text format."""

    name = "zeek"
    looks_for = "`#separator` and `#fields` of a Zeek log"

    def recognises(self, head: bytes) -> bool:
        return head.startswith(b"#separator ") and b"#fields" in head

    def read(self, stream: BinaryIO, limits: Limits) -> Iterator[Read]:
        gathered, header = Gathered(), _Header()
        found = 0
        wrong: Counter[str] = Counter()
        where = ""
        for block in line_blocks(stream, limits):
            if not isinstance(block, Lines):
                yield block
                continue
            for number, line in enumerate(block.lines, block.first):
                text = line.rstrip(b"\r").decode("utf-8", "replace")
                if text.startswith("#"):
                    header.take(text)
                elif text:
                    found += 1
                    row = _row(text, header)
                    if row is None:
                        wrong["line with another number of fields than the header"] += 1
                        where = where or f"line {number}"
                    else:
                        gathered.add(f"zeek:{header.path}", row, number, len(line))
                if gathered.full:
                    yield from gathered.drain()
        yield from gathered.drain()
        yield Count(found)
        for what, count in wrong.items():
            yield Lost(Problem(what, count, where))


def _row(text: str, header: _Header) -> dict[str, object] | None:
    parts = text.split(header.separator)
    if not header.fields or len(parts) != len(header.fields):
        return None
    types = header.types if len(header.types) == len(parts) else ["string"] * len(parts)
    row: dict[str, object] = {"_path": header.path}
    for name, kind, part in zip(header.fields, types, parts, strict=True):
        if part != header.unset:
            row[name] = _value(part, kind, header)
    return row


def _value(text: str, kind: str, header: _Header) -> object:
    if kind.startswith(("set[", "vector[")):
        return [] if text == header.empty else [_plain(part) for part in text.split(header.set_separator)]
    if text == header.empty:
        return ""
    if kind == "bool":
        return text == "T"
    return _plain(text)


def _plain(text: str) -> str:
    return _ESCAPE.sub(lambda match: chr(int(match[1], 16)), text) if "\\x" in text else text
