"""Comma, semicolon and tab separated exports; the header decides what they are."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Callable, Iterator, Sequence
from typing import BinaryIO, cast

import pyarrow as pa
import pyarrow.csv

from perilune.model.sources import Problem
from perilune.ports import MIB, Columns, Limits, Lost, Read
from perilune.readers import defender
from perilune.readers.gather import Gathered
from perilune.readers.mappings import Mappings
from perilune.readers.products import Products
from perilune.readers.shapes import TELLING, table_of
from perilune.readers.streams import Headed, read_head

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
        for item in _parts(stream, limits):
            if isinstance(item, Problem | Lost):
                yield item
                continue
            if isinstance(item, Columns):
                yield from gathered.drain()
                products.found += item.data.num_rows
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


Row = tuple[dict[str, object], int, int]
_PATIENCE = 3  # blocks put together before what cannot be parsed at once is left to the slower way
_LONGEST_HEADER = MIB


def _parts(stream: BinaryIO, limits: Limits) -> Iterator[Row | Columns | Problem | Lost]:
    """Blocks of rows at once as far as they are all whole and of one width, the others one by one."""
    line, data = _header_line(stream)
    if not line:
        return
    names, delimiter = _header(line), _delimiter(line)
    number = patience = 0
    while len(set(names)) == len(names) and patience < _PATIENCE:
        more = read_head(stream, MIB)
        data += more
        end = data.rfind(b"\n") + 1 if more else len(data)
        rows = _parse(data[:end], names, delimiter)
        if rows is not None:
            yield from _said(rows, names, number, end)
            number, data, patience = number + rows.num_rows, data[end:], 0
        if not more and (rows is not None or not data):
            return
        patience += rows is None
    rest = io.BufferedReader(cast(io.RawIOBase, Headed(data, stream)))
    yield from _rows(io.TextIOWrapper(rest, "utf-8", "replace", newline=""), names, delimiter, number)


def _header_line(stream: BinaryIO) -> tuple[str, bytes]:
    """The first line that says something, and what was read beyond it."""
    data = read_head(stream, _LONGEST_HEADER)
    found = _LINE.match(data)
    if found is None:
        return "", b""
    return found[1].decode("utf-8", "replace"), data[found.end() :]


_LINE = re.compile(rb"(?:[ \t]*(?:\r\n|\r|\n))*([^\r\n]+)(?:\r\n|\r|\n)?")


def _parse(data: bytes, names: Sequence[str], delimiter: str) -> pa.Table | None:
    """The rows as columns of texts, empty ones null; None when a row is not whole or not as wide as the header."""
    if data.startswith(codecs.BOM_UTF8):
        return None
    sentinel = delimiter.join(["end"] * len(names)).encode()  # swallowed by a quote that is still open
    places = [str(place) for place in range(len(names))]
    try:
        rows = pyarrow.csv.read_csv(
            io.BytesIO(b"".join((data, b"" if data.endswith(b"\n") else b"\n", sentinel))),
            read_options=pyarrow.csv.ReadOptions(use_threads=False, column_names=places, block_size=len(data) + MIB),
            parse_options=pyarrow.csv.ParseOptions(delimiter=delimiter, newlines_in_values=True),
            convert_options=pyarrow.csv.ConvertOptions(
                column_types=dict.fromkeys(places, pa.string()),
                strings_can_be_null=True,
                null_values=[""],
                quoted_strings_can_be_null=True,
            ),
        )
    except pa.ArrowInvalid:
        return None
    last = rows.slice(rows.num_rows - 1).to_pylist()[0]
    return rows.slice(0, rows.num_rows - 1) if set(last.values()) == {"end"} else None


def _said(rows: pa.Table, names: Sequence[str], number: int, size: int) -> Iterator[Row | Columns]:
    """The rows as columns if they are all of one Defender table, else one by one."""
    if not rows.num_rows:
        return
    rows = rows.rename_columns(list(names))
    telling = {name: rows.column(name).unique().to_pylist() for name in TELLING if name in names}
    table = table_of(names, telling) if defender.is_row(names) else None
    if table is not None:
        yield Columns(f"defender:{table}", rows, number + 1, size)
        return
    each = size // rows.num_rows
    for row in rows.to_pylist():
        number += 1
        yield row, number, each


def _rows(text: io.TextIOWrapper, names: Sequence[str], delimiter: str, number: int) -> Iterator[Row | Problem | Lost]:
    rows = csv.reader(text, delimiter=delimiter)
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
