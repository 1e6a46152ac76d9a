"""Uniform JSON lines straight to columns, without a Python object per value: Arrow's parser reads a block at once.

It is used only where it gives the same as the way over objects (a test proves it): every line one row of one
Defender table, with the same names, and each column of one JSON type. Anything else in a block, a broken line
too, and the whole block takes the other way.
"""

from __future__ import annotations

import io
from collections.abc import Sequence

import orjson
import pyarrow as pa
import pyarrow.json

from perilune.model.tables import BOOL, COLUMNS, LONG, TABLES, TEXT
from perilune.ports import Columns
from perilune.readers import defender
from perilune.readers.text import Lines

_PATIENCE = 3  # blocks in a row that did not fit, after which a file is not tried any more
_MOST_ACTIONS = 300
_TELLING = ("ActionType", "Type", "$table", "TableName")


class Columnar:
    """Tries block after block of one file."""

    def __init__(self) -> None:
        self._patience = _PATIENCE

    def parse(self, block: Lines) -> Columns | None:
        """The block's rows, or None when it has to take the other way."""
        if self._patience <= 0:
            return None
        found = _parse(block)
        self._patience = self._patience - 1 if found is None else _PATIENCE
        return found


def _parse(block: Lines) -> Columns | None:
    data = block.data
    names = _names(data.partition(b"\n")[0])
    if names is None:
        return None
    schema = pa.schema([(name, _type(name)) for name in names])
    try:
        rows = pyarrow.json.read_json(
            io.BytesIO(data),
            read_options=pyarrow.json.ReadOptions(use_threads=False, block_size=len(data) + 1),
            parse_options=pyarrow.json.ParseOptions(explicit_schema=schema, unexpected_field_behavior="error"),
        )
        if not data.isascii():
            rows.validate(full=True)  # bytes that are no UTF-8 are not refused before
    except (pa.ArrowInvalid, UnicodeDecodeError):
        return None
    if rows.num_rows != len(block) or not _is_uniform(names, rows):
        return None
    table = _table(names, rows)
    return Columns(f"defender:{table}", rows, block.first, len(data)) if table else None


def _type(name: str) -> pa.DataType:
    kind = COLUMNS.get(name, TEXT)
    return kind if kind in (BOOL, LONG) else TEXT  # what is no text is converted from it


def _names(line: bytes) -> Sequence[str] | None:
    """The names of the first row, when all of them are a column's, or stand beside the columns."""
    try:
        row = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    if type(row) is not dict or not defender.is_row(row) or defender.is_envelope(row):
        return None
    known = all((name in COLUMNS and name[0] != "X") or name in defender.BESIDE for name in row)
    return list(row) if known and len(row) > 1 else None


def _is_uniform(names: Sequence[str], rows: pa.Table) -> bool:
    """Whether each row has the values that tell what it is; Arrow does not tell a missing one from null."""
    telling = [name for name in (*defender.TIMES, *_TELLING) if name in names]
    return all(rows.column(name).null_count == 0 for name in telling)


def _table(names: Sequence[str], rows: pa.Table) -> str | None:
    """The table of every row, if it is the same one and has all columns."""
    actions = _distinct("ActionType", rows)
    named = [value for name in _TELLING[1:] if name in names for value in _distinct(name, rows)] or [None]
    if len(actions) * len(named) > _MOST_ACTIONS:
        return None
    found = {defender.find_table(names, name, action) for name in named for action in actions}
    table = found.pop()
    if found or table is None:
        return None
    fits = all(name in TABLES[table].columns or name in defender.BESIDE for name in names)
    return table if fits else None


def _distinct(name: str, rows: pa.Table) -> Sequence[object]:
    return rows.column(name).unique().to_pylist() if name in rows.column_names else [None]
