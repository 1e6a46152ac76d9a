"""KQL over logs, for everyone who asks: the command, the console, a model's tools."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from perilune.errors import UsageError

if TYPE_CHECKING:
    import pyarrow as pa

    from perilune.detection.kql.kinds import Kind
    from perilune.detection.kql.running import Result, Session
    from perilune.model.sources import SourceReport

OLD = timedelta(days=1)  # of the newest event, after which now() is its time


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


def written(value: object, kind: Kind) -> str:
    """A cell as text, as Kusto writes it."""
    from perilune.detection.kql.convert import plain_text
    from perilune.detection.kql.kinds import Kind

    if value is None:
        return ""
    if kind is Kind.DYNAMIC:
        return str(value)
    return plain_text(value, kind).lower() if kind is Kind.BOOL else plain_text(value, kind)
