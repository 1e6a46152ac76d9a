"""Tables made by the query itself: datatable, range, print."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sqlglot import exp

from perilune.detection.kql.comparing import moment
from perilune.detection.kql.convert import convert
from perilune.detection.kql.errors import KqlError
from perilune.detection.kql.kinds import NUMERIC, WHOLE, Kind
from perilune.detection.kql.relations import Column, Names, Relation, Scope, physical
from perilune.detection.kql.syntax import DataTable, Item, Print, Range
from perilune.detection.kql.values import (
    SQL_TYPES,
    Sql,
    Value,
    binary,
    case,
    cast,
    column,
    fn,
    long,
    number,
    text,
)

if TYPE_CHECKING:
    from perilune.detection.kql.compiler import Compiler

MAX_RANGE = 10_000_000  # rows of one range


def datatable(compiler: Compiler, tree: DataTable, names: Names) -> Relation:
    width = len(tree.columns)
    kinds = [kind for _, kind in tree.columns]
    columns = physical([Column(name, kind) for name, kind in tree.columns])
    rows: list[Sql] = []
    for start in range(0, len(tree.values), width):
        cells = [compiler.scalars.value(expr, Scope(names)) for expr in tree.values[start : start + width]]
        rows.append(exp.Tuple(expressions=[_cell(cell, kind) for cell, kind in zip(cells, kinds, strict=True)]))
    if not rows:
        empty = [cast(exp.Null(), SQL_TYPES[kind]) for kind in kinds]
        select = exp.select(*[_as(sql, one) for sql, one in zip(empty, columns, strict=True)])
        return compiler.emit(select.where(exp.Boolean(this=False)), columns)
    alias = exp.TableAlias(
        this=exp.to_identifier("v"), columns=[exp.to_identifier(one.physical, quoted=True) for one in columns]
    )
    return compiler.emit(exp.select("*").from_(exp.Values(expressions=rows, alias=alias)), columns)


def _cell(value: Value, kind: Kind) -> Sql:
    if value.kind is Kind.STRING and kind is Kind.DYNAMIC:
        return cast(fn("to_json", value.sql), "JSON")
    found = convert(value, kind).sql
    return cast(found, SQL_TYPES[kind])


def _as(sql: Sql, one: Column) -> Sql:
    return exp.Alias(this=sql.copy(), alias=exp.to_identifier(one.physical, quoted=True))


def range_(compiler: Compiler, tree: Range, names: Names) -> Relation:
    scope = Scope(names)
    start, stop, step = (compiler.scalars.value(expr, scope) for expr in (tree.start, tree.stop, tree.step))
    if start.kind is Kind.DATETIME:
        first, last = fn("epoch_us", start.sql), fn("epoch_us", convert(stop, Kind.DATETIME).sql)
        if step.kind is not Kind.TIMESPAN:
            raise KqlError("a range of times needs a timespan as its step", tree.step.at)
        value = Value(moment(_nth(first, binary(exp.IntDiv, step.sql, number(10)))), Kind.DATETIME)
        count = _count(first, last, binary(exp.IntDiv, step.sql, number(10)))
    elif (start.kind in WHOLE and step.kind in WHOLE) or start.kind is Kind.TIMESPAN:
        value = Value(_nth(start.sql, step.sql), start.kind)
        count = _count(start.sql, stop.sql, step.sql)
    elif start.kind in NUMERIC:
        parts = [convert(one, Kind.REAL).sql for one in (start, stop, step)]
        value = Value(_nth(parts[0], parts[2]), Kind.REAL)
        count = cast(fn("floor", binary(exp.Add, binary(exp.Div, binary(exp.Sub, parts[1], parts[0]), parts[2]),
                                        cast(number(1), "DOUBLE"))), "BIGINT")  # fmt: skip
    else:
        raise KqlError(f"there is no range of {start.kind}s", tree.start.at)
    count = fn("greatest", count, long(0))
    too_many = binary(exp.GT, count, long(MAX_RANGE))
    count = case((too_many, fn("error", text(f"a range of more than {MAX_RANGE:,} rows"))), default=count)
    one = Column(tree.name, value.kind, False)
    rows = exp.select(_as(value.sql, one)).from_(exp.Table(this=fn("range", count), alias=exp.TableAlias(
        this=exp.to_identifier("r"), columns=[exp.to_identifier("i")])))  # fmt: skip
    return compiler.emit(rows, physical([one]))


def _nth(first: Sql, step: Sql) -> Sql:
    return binary(exp.Add, first, binary(exp.Mul, column("i"), step))


def _count(first: Sql, last: Sql, step: Sql) -> Sql:
    return binary(exp.Add, binary(exp.IntDiv, binary(exp.Sub, last, first), step), number(1))


def print_(compiler: Compiler, tree: Print, names: Names) -> Relation:
    values: dict[str, Value] = {}
    for place, item in enumerate(tree.items):
        name = item.names[0] if item.names else f"print_{place}"
        values[name] = compiler.scalars.value(item.expr, Scope(names))
    return compiler.single(values)


def names_of(items: Sequence[Item]) -> list[str]:
    return [name for item in items for name in item.names]
