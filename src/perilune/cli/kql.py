"""`perilune kql`: a query over any log, or a prompt to ask several."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import click

from perilune.cli.main import EXIT_FOUND, EXIT_NOTHING, EXIT_PARTIAL
from perilune.errors import UsageError

if TYPE_CHECKING:
    import pyarrow as pa
    from rich.table import Table as RichTable

    from perilune.detection.kql.kinds import Kind
    from perilune.detection.kql.running import Result, Session
    from perilune.model.sources import SourceReport

QUERY_SUFFIXES = (".kql", ".csl", ".kusto", ".txt")
MAX_QUERY_BYTES = 2_000_000
SHOWN_ROWS = 200
CELL = 160
NARROWEST = 14  # characters of one column, below which rows are shown one column below the other
OLD = timedelta(days=1)


@click.command(short_help="Ask a log in KQL, as in Defender's advanced hunting.")
@click.argument("query_and_paths", nargs=-1, metavar="[QUERY|FILE|-] [PATHS]...")
@click.option("--json", "form", flag_value="json", help="Print one JSON object.")
@click.option("--csv", "form", flag_value="csv", help="Print CSV.")
@click.option("--parquet", "form", flag_value="parquet", help="Write Parquet to the file given with -o.")
@click.option("--output", "-o", type=click.Path(path_type=Path, dir_okay=False), help="Write to this file.")
@click.option("--explain", is_flag=True, help="Show the plan and the SQL instead of running the query.")
@click.option("--now", "clock", help="The time that now() and ago() go by, such as 2026-01-05 or newest.")
@click.option("--limit", type=click.IntRange(1), default=SHOWN_ROWS, show_default=True, help="Rows shown as a table.")
@click.option("--timeout", type=click.FloatRange(0.1), default=120.0, show_default=True, help="Seconds for a query.")
@click.option("--memory", type=click.IntRange(64), default=4096, show_default=True, help="Megabytes for a query.")
@click.option(
    "--jobs", "-j", type=click.IntRange(1), help="Processes that read, where there is much.  [default: cores]"
)
@click.option("--fail-on-rows", is_flag=True, help="Exit with 1 when the query gives rows.")
@click.option("--quiet", "-q", is_flag=True, help="No notes on stderr.")
def kql(
    query_and_paths: tuple[str, ...],
    form: str | None,
    output: Path | None,
    explain: bool,
    clock: str | None,
    limit: int,
    timeout: float,
    memory: int,
    jobs: int | None,
    fail_on_rows: bool,
    quiet: bool,
) -> int:
    """Run a KQL query over the logs at PATHS (files and folders, archives too).

    The query is given as text, as a file (.kql, .csl, .txt) or as - for standard input. Every log is read into the
    tables of Defender's advanced hunting: DeviceProcessEvents, DeviceNetworkEvents and so on. Without a query there
    is a prompt.

    Where the data are older than a day, now() is the time of the newest event, and a note says so.
    """
    query, paths = split_arguments(query_and_paths)
    if form == "parquet" and output is None:
        raise UsageError("--parquet needs a file to write", hint="add -o FILE")
    if query is None and not sys.stdin.isatty():
        raise UsageError("there is no query", hint="give one, a file of one, or - for standard input")
    from perilune.detection.kql.running import Limits

    limits = Limits(seconds=timeout, memory_mb=memory)
    if query is not None:
        check(query)
        if explain and not paths:
            click.echo(explained(query, None, clock_of(clock, None)))
            return EXIT_NOTHING
    if query is not None and not paths and needs_data(query):
        raise UsageError("there is nothing to ask", hint="give files or folders after the query")
    sources, tables = read(paths, jobs)
    with open_session(tables, limits) as session:
        now = clock_of(clock, tables)
        if not quiet:
            say_input(sources, query, clock, now)
        if query is None:
            return Prompt(session, tables, now, limit).run()
        if explain:
            click.echo(explained(query, session, now))
            return EXIT_NOTHING
        result = session.run(query, now)
        if not quiet and (missing := [name for name in result.plan.tables if name not in tables]):
            click.echo(f"No events were read for {', '.join(missing)}; the table counts as empty.", err=True)
        write(result, form, output, limit, quiet=quiet)
    if any(source.reading.value != "complete" for source in sources):
        return EXIT_PARTIAL
    return EXIT_FOUND if fail_on_rows and result.data.num_rows else EXIT_NOTHING


# ── what was asked ──────────────────────────────────────────────────────────────────────────────────────────────────


def split_arguments(given: Sequence[str]) -> tuple[str | None, list[Path]]:
    """The query's text and the paths. Where the first argument is a log, there is no query."""
    if not given:
        return None, []
    first, rest = given[0], [_existing(Path(one)) for one in given[1:]]
    if first == "-":
        return _bounded(sys.stdin.read(MAX_QUERY_BYTES + 1), "standard input"), rest
    path = _as_path(first)
    if path is None:
        return first, rest
    if path.is_file() and path.suffix.lower() in QUERY_SUFFIXES:
        return _bounded(path.read_bytes()[: MAX_QUERY_BYTES + 1].decode("utf-8-sig", "replace"), str(path)), rest
    return None, [path, *rest]


def _as_path(text: str) -> Path | None:
    """The path that a text is; most queries are too long for a file's name."""
    try:
        return Path(text) if len(text) < 1024 and "\n" not in text and Path(text).exists() else None
    except (OSError, ValueError):
        return None


def _existing(path: Path) -> Path:
    if not path.exists():
        raise UsageError("there is no such file or folder", where=str(path))
    return path


def _bounded(text: str, where: str) -> str:
    if len(text) > MAX_QUERY_BYTES:
        raise UsageError(f"a query of more than {MAX_QUERY_BYTES:,} characters", where=where)
    return text


def check(query: str) -> None:
    """Says what is wrong with a query before gigabytes are read for it."""
    from perilune.detection.kql.catalog import standard
    from perilune.detection.kql.compiler import compile_query

    compile_query(query, standard(filled=True), datetime(2026, 1, 1), lambda _: [])


def needs_data(query: str) -> bool:
    from perilune.detection.kql.catalog import standard
    from perilune.detection.kql.compiler import compile_query

    plan = compile_query(query, standard(filled=True), datetime(2026, 1, 1), lambda _: [])
    return bool(plan.tables)


def explained(query: str, session: Session | None, now: datetime) -> str:
    """The plan in words, then the SQL."""
    from perilune.detection.kql.catalog import standard
    from perilune.detection.kql.compiler import compile_query
    from perilune.detection.kql.kinds import format_datetime

    plan = session.plan(query, now) if session else compile_query(query, standard(filled=True), now, lambda _: [])
    columns = ", ".join(f"{name}: {kind}" for name, kind in plan.columns)
    head = [
        f"-- reads: {', '.join(plan.tables) or 'no table'}",
        f"-- now(): {format_datetime(now)}",
        f"-- columns: {columns}",
    ]
    return "\n".join([*head, plan.pretty])


# ── data and clock ──────────────────────────────────────────────────────────────────────────────────────────────────


def read(paths: Sequence[Path], jobs: int | None = 1) -> tuple[list[SourceReport], dict[str, pa.Table]]:
    """Everything at the paths, by table; the user's own mappings and pattern files are used too."""
    from perilune import reading, settings
    from perilune.model.sources import SourceReport
    from perilune.store.spool import Spool

    spool = Spool()
    sources: list[SourceReport] = []
    content = settings.load().content
    own = reading.Own(content if content.is_dir() else None)
    for item in reading.read(paths, own=own, jobs=jobs):
        if isinstance(item, SourceReport):
            sources.append(item)
        else:
            spool.add(item)
    tables = {name: spool.table(name).data for name in sorted(spool.rows) if spool.rows[name]}
    spool.close()
    return sources, tables


@contextmanager
def open_session(tables: Mapping[str, pa.Table], limits: object) -> Iterator[Session]:
    from perilune.detection.kql import running

    assert isinstance(limits, running.Limits)
    with running.open_session(tables, limits) as session:
        yield session


def clock_of(given: str | None, tables: Mapping[str, pa.Table] | None) -> datetime:
    """What now() is: as given, else the real time, else (for data older than a day) the newest event's."""
    from perilune.detection.kql.kinds import parse_datetime
    from perilune.detection.kql.running import newest

    real = datetime.now(UTC).replace(tzinfo=None)
    last = newest(tables) if tables else None
    if given is None:
        return last if last is not None and last < real - OLD else real
    if given == "newest":
        return last or real
    if given == "now":
        return real
    found = parse_datetime(given)
    if found is None:
        raise UsageError(f"--now: {given!r} is no time", hint="such as 2026-01-05T10:00:00Z, newest or now")
    return found


def say_input(sources: Sequence[SourceReport], query: str | None, clock: str | None, now: datetime) -> None:
    from perilune.cli import console
    from perilune.detection.kql.kinds import format_datetime

    if sources:
        console.show_input(sources)
    is_old = clock is None and now < datetime.now(UTC).replace(tzinfo=None) - OLD
    if is_old and (query is None or any(word in query for word in ("ago(", "now("))):
        console.note(f"The data are older than a day: now() is the newest event's time, {format_datetime(now)[:19]}Z "
                     "(--now changes it).")  # fmt: skip


# ── results ─────────────────────────────────────────────────────────────────────────────────────────────────────────


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


Shown = Sequence[tuple[int, str, "Kind"]]


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


def written(value: object, kind: Kind) -> str:
    """A cell as text, as Kusto writes it."""
    from perilune.detection.kql.convert import plain_text
    from perilune.detection.kql.kinds import Kind

    if value is None:
        return ""
    if kind is Kind.DYNAMIC:
        return str(value)
    return plain_text(value, kind).lower() if kind is Kind.BOOL else plain_text(value, kind)


def plain_rows(result: Result) -> Iterator[dict[str, object]]:
    """Rows for JSON: times and timespans as text, dynamics as what they hold."""
    from perilune.detection.kql.kinds import Kind
    from perilune.detection.kql.values import loads

    columns = [result.data.column(n).to_pylist() for n in range(len(result.columns))]
    for row in zip(*columns, strict=True):
        plain: dict[str, object] = {}
        for value, (name, kind) in zip(row, result.columns, strict=True):
            if value is None:
                plain[name] = None
            elif kind is Kind.DYNAMIC:
                plain[name] = loads(str(value))
            elif kind in (Kind.DATETIME, Kind.TIMESPAN, Kind.DECIMAL):
                plain[name] = written(value, kind)
            else:
                plain[name] = value
        yield plain


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


# ── the prompt ──────────────────────────────────────────────────────────────────────────────────────────────────────


class Prompt:
    """Asks for queries until there are no more. A query ends with a `;` or an empty line."""

    def __init__(self, session: Session, tables: Mapping[str, pa.Table], now: datetime, limit: int) -> None:
        self._session = session
        self._tables = tables
        self._now = now
        self._limit = limit

    def run(self) -> int:
        from perilune.errors import PeriluneError

        click.echo("Tables: " + (", ".join(f"{n} ({t.num_rows:,})" for n, t in self._tables.items()) or "none"))
        click.echo("A query ends with ; or an empty line. Tab completes, Ctrl-D leaves.")
        with _line_editing(self.words()):
            while (query := self._query()) is not None:
                if not query.strip():
                    continue
                try:
                    show(self._session.run(query, self._now), self._limit)
                except PeriluneError as error:
                    click.echo(f"{error}", err=True)
        return EXIT_NOTHING

    def words(self) -> list[str]:
        """What Tab offers: tables and their filled columns, operators, functions."""
        from perilune.detection.kql.aggregates import AGGREGATE_SIGNATURES
        from perilune.detection.kql.functions import SIGNATURES
        from perilune.detection.kql.operators import OPERATORS

        columns = [name for data in self._tables.values() for name in data.column_names]
        known = [*self._tables, *columns, *OPERATORS, *SIGNATURES, *AGGREGATE_SIGNATURES]
        return sorted(dict.fromkeys(known))

    def _query(self) -> str | None:
        lines: list[str] = []
        while True:
            try:
                line = input("kql> " if not lines else "...> ")
            except EOFError:
                click.echo()
                return "\n".join(lines) if lines else None
            except KeyboardInterrupt:
                click.echo()
                return ""
            if not line.strip():
                return "\n".join(lines)
            lines.append(line)
            if line.rstrip().endswith(";") and not line.lstrip().startswith("let"):
                return "\n".join(lines)


@contextmanager
def _line_editing(words: Sequence[str]) -> Iterator[None]:
    """readline, where the system has it: history kept between runs, completion with Tab."""
    try:
        import readline
    except ImportError:
        yield
        return
    from perilune import settings

    history = settings.load().home / "kql_history"
    history.parent.mkdir(parents=True, exist_ok=True)
    if history.is_file():
        readline.read_history_file(history)
    readline.set_history_length(2000)

    def complete(start: str, place: int) -> str | None:
        found = [word for word in words if word.lower().startswith(start.lower())]
        return found[place] if place < len(found) else None

    readline.set_completer(complete)
    readline.set_completer_delims(" \t\n`!@#$%^&*()=+[{]}\\|;:'\",<>/?")
    readline.parse_and_bind("tab: complete")
    try:
        yield
    finally:
        readline.write_history_file(history)
