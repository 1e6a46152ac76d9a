"""What `perilune kql` prints and writes: a table that fits the terminal, CSV, JSON, Parquet."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import click

from perilune.querying import plain_rows, written

if TYPE_CHECKING:
    import pyarrow as pa
    from rich.table import Table as RichTable

    from perilune.detection.kql.kinds import Kind
    from perilune.detection.kql.running import Result

CELL = 160
NARROWEST = 14  # characters of one column, below which rows are shown one column below the other

Shown = Sequence[tuple[int, str, "Kind"]]


def write(result: Result, form: str | None, output: Path | None, limit: int, *, quiet: bool) -> None:
    if form == "parquet":
        assert output is not None
        _write_parquet(result, output)
    elif form is None and output is None:
        show(result, limit)
    else:
        _write_text(result, form or "csv", output)
    if result.cut and not quiet:
        click.echo(f"Only the first {result.data.num_rows:,} rows; there are more.", err=True)


def show(result: Result, limit: int) -> None:
    """The rows as a table on the terminal; columns that are null in every row are left out and counted."""
    from perilune.cli import console

    names = result.data.column_names
    wide = len(names) > 20
    hidden = [n for n, one in enumerate(result.data.columns) if wide and _is_blank(one)]
    shown = [(n, *one) for n, one in enumerate(result.columns) if n not in hidden]
    if len(shown) * NARROWEST > console.out.width:
        _show_records(result, limit, shown)
    else:
        console.out.print(_rich(result, limit, shown))
    rows = result.data.num_rows
    notes = [f"{rows:,} {'row' if rows == 1 else 'rows'}"]
    if rows > limit:
        notes.append(f"the first {limit:,} shown (--limit)")
    if hidden:
        notes.append(f"{len(hidden)} columns without a value not shown")
    if result.plan.chart:
        notes.append(f"render {result.plan.chart} is only a hint here")
    click.echo("; ".join(notes), err=True)


def _is_blank(column: pa.ChunkedArray[Any]) -> bool:
    return not len(column) or all(value in (None, "") for value in column.unique().slice(0, 3).to_pylist())


def _rich(result: Result, limit: int, shown: Shown) -> RichTable:
    from rich.table import Table

    from perilune.cli import console

    table = Table(box=None, pad_edge=False, header_style="bold")
    for _, name, kind in shown:
        table.add_column(console.plain(name, 80), justify="right" if kind in ("long", "int", "real") else "left")
    for row in _texts(result, limit, shown):
        table.add_row(*[console.plain(cell, CELL) for cell in row])
    return table


def _show_records(result: Result, limit: int, shown: Shown) -> None:
    """One column below the other, where side by side they would be too narrow to read."""
    from rich.padding import Padding
    from rich.text import Text

    from perilune.cli import console

    width = max(len(name) for _, name, _ in shown)
    for number, row in enumerate(_texts(result, limit, shown), start=1):
        console.out.print(Text(f"row {number:,}", style="bold"))
        for cell, (_, name, _) in zip(row, shown, strict=True):
            if cell:
                line = console.plain(f"{name:{width}}  ", 200, "dim").append_text(console.plain(cell, 2000))
                console.out.print(Padding(line, (0, 0, 0, 2)))


def _texts(result: Result, limit: int, shown: Shown) -> Iterator[list[str]]:
    part = result.data.slice(0, limit)
    values = [part.column(n).to_pylist() for n, _, _ in shown]
    for row in zip(*values, strict=True):
        yield [written(value, kind) for value, (_, _, kind) in zip(row, shown, strict=True)]


def _write_text(result: Result, form: str, output: Path | None) -> None:
    if output is None:
        _stream_text(result, form, sys.stdout)
        sys.stdout.flush()
    else:
        with output.open("w", encoding="utf-8", newline="") as stream:
            _stream_text(result, form, stream)


def _stream_text(result: Result, form: str, stream: IO[str]) -> None:
    import csv

    from perilune.cli.output import dump
    from perilune.detection.kql.kinds import format_datetime

    if form == "json":
        columns = [{"name": name, "type": kind.value} for name, kind in result.columns]
        whole = {"columns": columns, "rows": list(plain_rows(result)), "now": format_datetime(result.now),
                 "cut": result.cut}  # fmt: skip
        stream.write(dump(whole).decode() + "\n")
        return
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow([name for name, _ in result.columns])
    kinds = [kind for _, kind in result.columns]
    values = [result.data.column(n).to_pylist() for n in range(len(kinds))]
    for row in zip(*values, strict=True):
        writer.writerow([written(value, kind) for value, kind in zip(row, kinds, strict=True)])


def _write_parquet(result: Result, output: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    from perilune.detection.kql.kinds import Kind

    arrays = [
        pa.array([value // 10 if value is not None else None for value in one.to_pylist()], pa.duration("us"))
        if kind is Kind.TIMESPAN
        else one.cast(pa.timestamp("us", "UTC"))
        if kind is Kind.DATETIME
        else one
        for one, (_, kind) in zip(result.data.columns, result.columns, strict=True)
    ]
    pq.write_table(pa.table(arrays, names=result.data.column_names), output, compression="zstd")
