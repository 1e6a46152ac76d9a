"""A plan is run: DuckDB in memory, locked before the first query, over Arrow tables that are not copied.

The query's text never reaches DuckDB: only what SQLGlot renders of our own tree does. Should a hole be found in that,
the connection still cannot open a file, load an extension, reach a network or see a variable of this process.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from sqlglot import exp

from perilune.detection.kql.catalog import ROW, Catalog, Source, declared, standard
from perilune.detection.kql.compiler import Plan, compile_query
from perilune.detection.kql.errors import KqlError
from perilune.detection.kql.kinds import Kind
from perilune.detection.kql.udfs import UDFS, Udf
from perilune.model.tables import TABLES

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

MEMO = 50_000  # results of one function kept while a query runs


@dataclass(frozen=True, slots=True)
class Limits:
    """What one query may use. `rows` of its result are given back, and the rest is said to be missing."""

    seconds: float = 120.0
    memory_mb: int = 4096
    threads: int | None = None
    rows: int = 1_000_000


@dataclass(frozen=True, slots=True)
class Result:
    """A query's rows. `data` has the columns of the plan by place; dynamics are JSON text, timespans ticks."""

    plan: Plan
    data: pa.Table
    cut: bool
    now: datetime

    @property
    def columns(self) -> tuple[tuple[str, Kind], ...]:
        return self.plan.columns


@dataclass(slots=True)
class Session:
    """Tables to ask, with the connection that holds them. Close it, or use it as a context."""

    catalog: Catalog
    limits: Limits
    _connection: DuckDBPyConnection
    _known: set[str] = field(default_factory=set)

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._connection.close()

    def plan(self, query: str, now: datetime) -> Plan:
        return compile_query(query, self.catalog, now, self._probe)

    def run(self, query: str, now: datetime) -> Result:
        """Compiles and runs a query. `now` is naive and in UTC."""
        plan = self.plan(query, now)
        data, cut = self._fetch(plan.select, self.limits.rows)
        return Result(plan, data.rename_columns([name for name, _ in plan.columns]), cut, now)

    def trace(self, query: str, now: datetime) -> tuple[Result, list[tuple[str, int]]]:
        """As `run`, and for each row the table and the place of the event that it comes from."""
        plan = compile_query(query, self.catalog, now, self._probe, trace=True)
        return traced(plan, *self._fetch(plan.select, self.limits.rows), now)

    def _probe(self, select: exp.Select) -> list[tuple[object, ...]]:
        data, _ = self._fetch(select, 10_000)
        columns = [column.to_pylist() for column in data.columns]
        return list(zip(*columns, strict=True))

    def _fetch(self, select: exp.Select, most: int) -> tuple[pa.Table, bool]:
        import duckdb

        self._need(select)
        sql = select.sql(dialect="duckdb", comments=False)
        try:
            with _deadline(self._connection, self.limits.seconds):
                return _read(self._connection, sql, most)
        except duckdb.InterruptException:
            raise KqlError(f"the query took more than {self.limits.seconds:g} seconds and was stopped",
                           hint="filter earlier, or give more time") from None  # fmt: skip
        except duckdb.OutOfMemoryException:
            raise KqlError(f"the query needed more than {self.limits.memory_mb:,} MB and was stopped",
                           hint="filter or summarize earlier") from None  # fmt: skip
        except duckdb.Error as error:
            raise KqlError(f"the query could not be run: {_first_line(error)}") from None

    def _need(self, select: exp.Select) -> None:
        """Gives the connection those of our functions that the statement calls."""
        called = {node.name.lower() for node in select.find_all(exp.Anonymous)}
        for name in sorted(called & UDFS.keys() - self._known):
            _register(self._connection, name, UDFS[name])
            self._known.add(name)


def traced(plan: Plan, data: pa.Table, cut: bool, now: datetime) -> tuple[Result, list[tuple[str, int]]]:
    """A result without the two columns of where its rows come from, and these."""
    width = len(plan.columns)
    data = data.filter(pc.is_valid(data.column(width + 1)))
    tables, places = (data.column(width + n).to_pylist() for n in (0, 1))
    events = [(str(table), int(place or 0)) for table, place in zip(tables, places, strict=True)]
    shown = pa.table(data.columns[:width], names=[name for name, _ in plan.columns])
    return Result(plan, shown, cut, now), events


def open_session(tables: Mapping[str, pa.Table], limits: Limits | None = None, *, traced: bool = False) -> Session:
    """A session over Arrow tables by the names of the schema; only filled columns need to be there.

    With `traced`, rows know their place, as `Session.trace` needs it.
    """
    import duckdb

    limits = limits or Limits()
    config: dict[str, str | bool | int | float | list[str]] = {
        "enable_external_access": "false",
        "autoload_known_extensions": "false",
        "autoinstall_known_extensions": "false",
        "allow_community_extensions": "false",
        "python_enable_replacements": "false",
        "temp_directory": "",
        "memory_limit": f"{limits.memory_mb}MB",
    }
    if limits.threads:
        config["threads"] = str(limits.threads)
    connection = duckdb.connect(":memory:", config=config)
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute("SET error_on_division_by_zero = false")
    connection.execute("SET lock_configuration = true")
    sources = dict(standard().sources)
    for name, data in tables.items():
        ready = _ready(data)
        if traced:
            ready = ready.append_column(ROW, pa.array(np.arange(ready.num_rows)))
        connection.register(name, ready)
        sources[name] = _source(name, ready)
    return Session(Catalog(sources), limits, connection)


def _ready(data: pa.Table) -> pa.Table:
    """Times without their zone, which is UTC: the same buffers, and DuckDB needs no calendar to read them."""
    fields = [pa.field(f.name, pa.timestamp("us")) if pa.types.is_timestamp(f.type) else f for f in data.schema]
    return data.cast(pa.schema(fields)) if fields != list(data.schema) else data


def _source(name: str, data: pa.Table) -> Source:
    schema = TABLES.get(name)
    columns = declared(schema) if schema else _described(data)
    held = frozenset(data.column_names)
    whole = frozenset(c for c in data.column_names if data.column(c).null_count == 0)
    lists = frozenset(f.name for f in data.schema if pa.types.is_nested(f.type))
    return Source(name, columns, held, whole, lists)


def _described(data: pa.Table) -> tuple[tuple[str, Kind], ...]:
    """The columns of a table that is not of the schema, by its Arrow types."""
    return tuple((one.name, _kind_of(one.type)) for one in data.schema)


def _kind_of(kind: pa.DataType) -> Kind:
    if pa.types.is_boolean(kind):
        return Kind.BOOL
    if pa.types.is_int64(kind):
        return Kind.LONG
    if pa.types.is_int32(kind):
        return Kind.INT
    if pa.types.is_float64(kind):
        return Kind.REAL
    if pa.types.is_timestamp(kind):
        return Kind.DATETIME
    return Kind.DYNAMIC if pa.types.is_nested(kind) else Kind.STRING


@contextmanager
def _deadline(connection: DuckDBPyConnection, seconds: float) -> Iterator[None]:
    timer = threading.Timer(seconds, connection.interrupt)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _read(connection: DuckDBPyConnection, sql: str, most: int) -> tuple[pa.Table, bool]:
    """The result up to so many rows; whether there were more."""
    reader = connection.sql(sql).to_arrow_reader(100_000)
    batches: list[pa.RecordBatch] = []
    rows = 0
    for batch in reader:
        batches.append(batch)
        rows += batch.num_rows
        if rows > most:
            break
    table = pa.Table.from_batches(batches, reader.schema)
    return table.slice(0, most), rows > most


def _first_line(error: Exception) -> str:
    text = str(error).strip().split("\n")[0]
    return text if len(text) <= 300 else text[:297] + "…"


def _register(connection: DuckDBPyConnection, name: str, udf: Udf) -> None:
    connection.create_function(
        name, _vectorized(udf), list(udf.takes), udf.gives, type="arrow", null_handling="special"
    )  # type: ignore[call-overload]


_ARROW = {
    "VARCHAR": pa.string(), "BIGINT": pa.int64(), "DOUBLE": pa.float64(), "BOOLEAN": pa.bool_(),
    "TIMESTAMP": pa.timestamp("us"), "DECIMAL(38, 0)": pa.decimal128(38, 0),
}  # fmt: skip


def _vectorized(udf: Udf) -> Callable[..., pa.Array[Any]]:
    """The function over columns; equal arguments are computed once."""
    known: dict[tuple[object, ...], object] = {}

    def run(*columns: Any) -> pa.Array[Any]:
        if len(known) > MEMO:
            known.clear()
        found: list[object] = []
        for row in zip(*[column.to_pylist() for column in columns], strict=True):
            if row not in known:
                known[row] = None if None in row else safely(udf.function, row)
            found.append(known[row])
        return pa.array(found, _ARROW[udf.gives])

    run.__signature__ = _signature(len(udf.takes))  # type: ignore[attr-defined]
    return run


def _signature(count: int) -> object:
    import inspect

    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    return inspect.Signature([inspect.Parameter(f"c{n}", kind) for n in range(count)])


def safely(function: Callable[..., object], row: Sequence[object]) -> object:
    try:
        return function(*row)
    except (ValueError, TypeError, ArithmeticError, LookupError, RecursionError, AttributeError):
        return None


def newest(tables: Mapping[str, pa.Table]) -> datetime | None:
    """The time of the newest event, naive and in UTC."""
    found = []
    for data in tables.values():
        if "Timestamp" in data.column_names:
            last = pc.max(data.column("Timestamp")).as_py()
            if last is not None:
                found.append(last.astimezone(UTC).replace(tzinfo=None) if last.tzinfo else last)
    return max(found, default=None)
