"""`perilune kql`: a query over any log, or a prompt to ask several."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from perilune.cli.kql_output import write
from perilune.cli.kql_prompt import Prompt
from perilune.cli.main import EXIT_FOUND, EXIT_NOTHING, EXIT_PARTIAL
from perilune.errors import UsageError
from perilune.querying import OLD, check, clock_of, explained, needs_data, read

if TYPE_CHECKING:
    from perilune.model.sources import SourceReport

QUERY_SUFFIXES = (".kql", ".csl", ".kusto", ".txt")
MAX_QUERY_BYTES = 2_000_000
SHOWN_ROWS = 200


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
    from perilune.detection.kql import running

    limits = running.Limits(seconds=timeout, memory_mb=memory)
    if query is not None:
        check(query)
        if explain and not paths:
            click.echo(explained(query, None, clock_of(clock, None)))
            return EXIT_NOTHING
    if query is not None and not paths and needs_data(query):
        raise UsageError("there is nothing to ask", hint="give files or folders after the query")
    sources, tables = read(paths, jobs)
    with running.open_session(tables, limits) as session:
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


def say_input(sources: Sequence[SourceReport], query: str | None, clock: str | None, now: datetime) -> None:
    from perilune.cli import console
    from perilune.detection.kql.kinds import format_datetime

    if sources:
        console.show_input(sources)
    is_old = clock is None and now < datetime.now(UTC).replace(tzinfo=None) - OLD
    if is_old and (query is None or any(word in query for word in ("ago(", "now("))):
        console.note(f"The data are older than a day: now() is the newest event's time, {format_datetime(now)[:19]}Z "
                     "(--now changes it).")  # fmt: skip
