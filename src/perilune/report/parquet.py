"""Cases as Parquet: the same rows as the CSV, typed, with every text as it was logged."""

from __future__ import annotations

import io
from collections.abc import Iterable
from datetime import UTC, datetime

from perilune.model.case import Case
from perilune.report.inert import whole
from perilune.report.rows import COLUMNS, Cell, rows


def render(cases: Iterable[Case]) -> bytes:
    """One row for each finding; times in UTC."""
    import pyarrow as pa  # imported late: most exports do without it
    from pyarrow import parquet

    kinds: dict[type, pa.DataType] = {
        str: pa.string(),
        int: pa.int64(),
        datetime: pa.timestamp("us", tz="UTC"),
    }
    schema = pa.schema([(name, kinds[kind]) for name, kind in COLUMNS.items()])
    columns: dict[str, list[Cell]] = {name: [] for name in COLUMNS}
    for row in rows(cases):
        for name, value in zip(COLUMNS, row, strict=True):
            columns[name].append(_exact(value))
    stream = io.BytesIO()
    parquet.write_table(pa.table(columns, schema=schema), stream, compression="zstd")
    return stream.getvalue()


def _exact(value: Cell) -> Cell:
    if isinstance(value, str):
        return whole(value)
    if isinstance(value, datetime):
        return value if value.tzinfo else value.replace(tzinfo=UTC)
    return value
