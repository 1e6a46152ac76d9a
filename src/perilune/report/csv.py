"""Cases as CSV for a spreadsheet: every cell is text that no spreadsheet runs, on one line, in quotes."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable

from perilune.model.case import Case
from perilune.report.rows import COLUMNS, Cell, rows
from perilune.report.text import shorten, visible, when

CELL_MOST = 30_000  # characters; Excel cuts a cell at 32,767 without a word

# What begins a formula: in Excel and LibreOffice, and with the wide forms that East Asian versions take for them.
_FORMULA = "=+\\-@|%＝＋－＠"
_BEGINS = re.compile(rf"\s*['\"]*\s*[{_FORMULA}]")
# Where a spreadsheet splits at semicolons, what follows one begins a cell, and the quotes around it no longer hold.
_SPLIT = re.compile(rf"(;\s*\"*\s*)(?=[{_FORMULA}])")


def render(cases: Iterable[Case]) -> str:
    """One row for each finding. Begins with a byte-order mark, without which Excel takes UTF-8 for something else."""
    stream = io.StringIO()
    stream.write("\ufeff")
    writer = csv.writer(stream, quoting=csv.QUOTE_ALL, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    for row in rows(cases):
        writer.writerow([cell(value) for value in row])
    return stream.getvalue()


def cell(value: Cell) -> str:
    """The value as one line of text; an apostrophe stands before whatever could begin a formula."""
    if value is None:
        return ""
    if isinstance(value, int):
        return str(value)
    if not isinstance(value, str):
        return when(value).removesuffix(" UTC")
    text = visible(shorten(value, CELL_MOST))
    text = _SPLIT.sub(r"\1'", text)
    return f"'{text}" if _BEGINS.match(text) else text
