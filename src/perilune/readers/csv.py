"""Comma, semicolon and tab separated exports; the header decides what they are."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from typing import BinaryIO, cast

from perilune.model.sources import Problem
from perilune.ports import Limits, Lost, Read
from perilune.readers import defender
from perilune.readers.gather import Gathered
from perilune.readers.mappings import Mappings
from perilune.readers.products import Products

_DELIMITERS = (",", "\t", ";")


class CsvReader:
    """CSV with a header of advanced-hunting columns, or of columns that a mapping recognises."""

    name = "csv"
    looks_for = "CSV with a header of advanced-hunting columns"

    def __init__(self, mappings: Callable[[], Mappings]) -> None:
        self._mappings = mappings

    def recognises(self, head: bytes) -> bool:
        line = head.lstrip().split(b"\n", 1)[0]
        names = _header(line.decode("utf-8", "replace"))
        return len(names) > 1 and (defender.is_row(names) or self._is_recognised(names))

    def _is_recognised(self, names: Sequence[str]) -> bool:
        return any(
            all(len(path) == 1 and path[0] in names for path in (*one.recognise.has, *one.recognise.equals))
            for one in self._mappings().recognised
            if one.recognise
        )

    def read(self, stream: BinaryIO, limits: Limits) -> Iterator[Read]:
        csv.field_size_limit(limits.max_line_bytes)
        gathered = Gathered()
        products = Products(self._mappings(), gathered, limits)
        text = io.TextIOWrapper(io.BufferedReader(cast(io.RawIOBase, stream)), "utf-8", "replace", newline="")
        for item in _rows(text):
            if isinstance(item, Problem | Lost):
                yield item
                continue
            products.add(*item)
            if gathered.full:
                yield from gathered.drain()
        products.finish()
        yield from gathered.drain()
        yield from products.counts()


def _delimiter(line: str) -> str:
    return max(_DELIMITERS, key=line.count)


def _header(line: str) -> list[str]:
    try:
        return [defender.clean_name(name) for name in next(csv.reader([line], delimiter=_delimiter(line)), [])]
    except csv.Error:
        return []


def _rows(text: io.TextIOWrapper) -> Iterator[tuple[dict[str, object], int, int] | Problem | Lost]:
    line = ""
    while not line.strip():
        line = text.readline(1 << 20)
        if not line:
            return
    names = _header(line)
    rows = csv.reader(text, delimiter=_delimiter(line))
    number = 0
    while True:
        try:
            row = next(rows)
        except StopIteration:
            return
        except csv.Error as error:
            yield Lost(Problem(f"row that is not CSV: {error}", 1, f"after row {number}"))
            continue
        if not row:
            continue
        number += 1
        if len(row) != len(names):
            yield Problem(f"row with {len(row)} fields under a header of {len(names)}", 1, f"row {number}")
            row += [""] * (len(names) - len(row))
        yield {name: value or None for name, value in zip(names, row, strict=False)}, number, 16 * len(row)
