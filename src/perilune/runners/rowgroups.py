"""Parquet files in pieces of a bounded number of rows, read as the matcher likes them best."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from perilune.model.tables import COLUMNS, Table

ROWS = 1 << 20


@dataclass(frozen=True, slots=True)
class Piece:
    """Some row groups of one file; `first` is the number of their first row in it."""

    path: Path
    groups: tuple[int, ...]
    first: int
    rows: int


def pieces(path: Path, rows: int = ROWS) -> Iterator[Piece]:
    """The file's row groups, together as long as they have no more rows than asked for."""
    metadata = pq.read_metadata(path)
    groups: list[int] = []
    first = count = 0
    for group in range(metadata.num_row_groups):
        size = metadata.row_group(group).num_rows
        if groups and count + size > rows:
            yield Piece(path, tuple(groups), first, count)
            first, groups, count = first + count, [], 0
        groups.append(group)
        count += size
    if groups:
        yield Piece(path, tuple(groups), first, count)


def read(piece: Piece, table: str, columns: Sequence[str] | None = None) -> Table:
    """The rows of a piece. Texts stay dictionary-encoded: each distinct value is then matched once."""
    schema = pq.read_schema(piece.path)
    names = [name for name in schema.names if name in COLUMNS and (columns is None or name in columns)]
    texts = [name for name in names if pa.types.is_string(COLUMNS[name])]
    with pq.ParquetFile(piece.path, read_dictionary=texts, memory_map=True) as file:
        return Table(table, file.read_row_groups(list(piece.groups), columns=names, use_threads=False))
