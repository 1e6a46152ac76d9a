"""Sixty hunts as analysts write them: all run over the samples, and where duckdb-kql runs too the rows are its rows."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from perilune.detection.kql.catalog import standard
from perilune.detection.kql.running import Session, newest
from perilune.detection.kql.values import loads
from perilune.querying import plain_rows, read
from tests.conftest import CHECKOUT
from tests.detection.kql.build import NOW, session

CORPUS = sorted((Path(__file__).parent / "corpus").glob("*.kql"))
# Where the two may differ by right: which row is taken, the order within a set, an exact count for an estimate.
CHOOSES = frozenset(("accounts_per_host", "any_column", "process_tree_join", "timeline_of_one_host"))


@pytest.fixture(scope="module")
def tables() -> dict[str, pa.Table]:
    return read([CHECKOUT / "src" / "perilune" / "content" / "samples"])[1]


@pytest.fixture(scope="module")
def now(tables: dict[str, pa.Table]) -> datetime:
    return newest(tables) or NOW


@pytest.fixture(scope="module")
def one(tables: dict[str, pa.Table]) -> Iterator[Session]:
    with session(**tables) as opened:
        yield opened


def test_there_are_sixty() -> None:
    assert len(CORPUS) >= 60


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.stem)
def test_a_hunt_of_the_corpus_runs(path: Path, one: Session, now: datetime) -> None:
    result = one.run(path.read_text(encoding="utf-8"), now)
    assert result.columns


@pytest.fixture(scope="module")
def oracle(tables: dict[str, pa.Table], now: datetime) -> Any:
    """duckdb-kql over the same rows: every column declared, texts never null, as Kusto has them."""
    duckdb_kql = pytest.importorskip("duckdb_kql", reason="duckdb-kql, a second opinion, is not installed")
    connection = duckdb_kql.connect()
    schemas: dict[str, list[str]] = {}
    for name, source in standard().sources.items():
        data = tables.get(name)
        columns: dict[str, Any] = {}
        for column, kind in source.columns:
            columns[column] = _declared(data, column, kind.value)
        schemas[name] = list(columns)
        connection.register(name, pa.table(columns))

    def ask(query: str) -> list[str]:
        fixed = query.replace("now()", f"datetime({now:%Y-%m-%dT%H:%M:%S.%f})")
        sql = duckdb_kql.to_sql(_without_ago(fixed, now), schema=schemas)
        return sorted(_comparable(list(row)) for row in connection.execute(sql).fetchall())

    return ask


def _without_ago(query: str, now: datetime) -> str:
    import re

    def moment(found: re.Match[str]) -> str:
        size = {"d": "days", "h": "hours", "m": "minutes"}[found[2]]
        return f"datetime({now - timedelta(**{size: int(found[1])}):%Y-%m-%dT%H:%M:%S.%f})"

    return re.sub(r"ago\((\d+)([dhm])\)", moment, query)


def _declared(data: pa.Table | None, name: str, kind: str) -> Any:
    arrow = {"long": pa.int64(), "int": pa.int32(), "bool": pa.bool_(), "real": pa.float64(),
             "datetime": pa.timestamp("us")}.get(kind, pa.string())  # fmt: skip
    if data is None or name not in data.column_names:
        return pa.array(["" if arrow == pa.string() else None] * (0 if data is None else data.num_rows), arrow)
    column = data.column(name)
    if pa.types.is_nested(column.type):
        return pa.array([json.dumps(value) for value in column.to_pylist()], pa.string())
    filled = column.cast(arrow)
    if arrow != pa.string():
        return filled
    return pa.array(["" if value is None else value for value in filled.to_pylist()])


def _comparable(row: list[object]) -> str:
    return json.dumps([_plain(value) for value in row], ensure_ascii=False, default=str)


def _plain(value: object) -> object:
    """Times and spans as numbers, arrays without their order, JSON text as what it says."""
    if isinstance(value, datetime):
        return round(value.replace(tzinfo=UTC).timestamp(), 3)
    if isinstance(value, timedelta):
        return round(value.total_seconds(), 3)
    if isinstance(value, float):
        return "NaN" if value != value else float(f"{value:.9g}")
    if isinstance(value, str) and value[:1] in ("[", "{"):
        try:
            return _plain(loads(value))
        except ValueError:
            return value
    if isinstance(value, list):
        return sorted((_plain(item) for item in value), key=str)
    return None if value == "" else value


def _ours(result: Any) -> list[str]:
    from perilune.detection.kql.kinds import Kind, parse_datetime, parse_timespan

    def back(value: object, kind: Kind) -> object:
        if kind is Kind.DATETIME and isinstance(value, str):
            return parse_datetime(value)
        if kind is Kind.TIMESPAN and isinstance(value, str):
            return timedelta(microseconds=(parse_timespan(value) or 0) / 10)
        return value

    kinds = [kind for _, kind in result.columns]
    return sorted(
        _comparable([back(value, kind) for value, kind in zip(row.values(), kinds, strict=True)])
        for row in plain_rows(result)
    )


@pytest.mark.parametrize("path", [p for p in CORPUS if p.stem not in CHOOSES], ids=lambda path: path.stem)
def test_rows_are_those_of_duckdb_kql_where_it_runs(path: Path, one: Session, now: datetime, oracle: Any) -> None:
    import duckdb
    import duckdb_kql

    query = path.read_text(encoding="utf-8")
    try:
        theirs = oracle(query)
    except (duckdb_kql.KqlError, duckdb.Error) as error:
        pytest.skip(f"duckdb-kql does not run it: {str(error).splitlines()[0][:80]}")
    assert _ours(one.run(query, now)) == theirs
