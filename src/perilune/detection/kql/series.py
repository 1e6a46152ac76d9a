"""make-series and top-nested."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sqlglot import exp

from perilune.detection.kql.comparing import moment
from perilune.detection.kql.convert import convert, text_of
from perilune.detection.kql.errors import KqlError, unsupported
from perilune.detection.kql.grouping import Output, grouped
from perilune.detection.kql.kinds import NUMERIC, Kind
from perilune.detection.kql.naming import Namer, default_name
from perilune.detection.kql.relations import Column, Names, Relation, Scope, physical
from perilune.detection.kql.shaping import refuse_in_apply
from perilune.detection.kql.syntax import MakeSeries, NestedLevel, TopNested
from perilune.detection.kql.values import (
    Sql,
    Value,
    binary,
    case,
    cast,
    coalesce,
    column,
    fn,
    joined,
    long,
    number,
    text,
)

if TYPE_CHECKING:
    from perilune.detection.kql.compiler import Compiler

MAX_POINTS = 1_000_000


def make_series(compiler: Compiler, relation: Relation, tree: MakeSeries, names: Names) -> Relation:
    """An array of aggregates at regular steps for each group, gaps filled with the default."""
    refuse_in_apply(relation, "make-series", tree.at)
    scope = Scope(names, relation)
    axis, step = compiler.scalars.value(tree.on, scope), compiler.scalars.value(tree.step, scope)
    name = default_name(tree.on) or "Column1"
    if axis.kind is not Kind.DATETIME and axis.kind not in NUMERIC:
        raise KqlError(f"make-series runs over times or numbers, not {axis.kind}", tree.on.at)
    at, width = _axis(axis), _axis(step)
    bound = [compiler.scalars.value(one, scope) if one is not None else None for one in (tree.start, tree.stop)]
    lowest = exp.Subquery(this=exp.select(fn("min", at)).from_(relation.sql))
    highest = exp.Subquery(this=exp.select(fn("max", at)).from_(relation.sql))
    start = _axis(convert(bound[0], axis.kind)) if bound[0] else _floor(lowest, width)
    stop = _axis(convert(bound[1], axis.kind)) if bound[1] else binary(exp.Add, highest, long(1))
    namer = Namer()
    keys = [Output(item.names[0] if item.names else namer.named(item.expr), compiler.scalars.value(item.expr, scope))
            for item in tree.by]  # fmt: skip
    place = binary(exp.IntDiv, binary(exp.Sub, at, start), width)
    inside = joined(exp.And, [binary(exp.GTE, at, start), binary(exp.LT, at, stop)])
    kept = compiler.filtered(relation, inside)
    outputs = []
    defaults = []
    for item, default in tree.aggregates:
        value = compiler.scalars.value(item.expr, replace(Scope(names, kept), aggregating=True))
        outputs.append(Output(item.names[0] if item.names else namer.named(item.expr), value))
        defaults.append(compiler.scalars.value(default, scope).sql if default is not None else number(0))
    points = [*keys, Output("series_place", Value(place, Kind.LONG, False))]
    summed = grouped(compiler, kept, points, outputs)
    count = binary(exp.IntDiv, binary(exp.Sub, binary(exp.Add, binary(exp.Sub, stop, start), width), long(1)), width)
    whole = _Series(keys, outputs, defaults, name, axis.kind, start, width, count)
    return whole.gather(compiler, summed)


def _axis(value: Value) -> Sql:
    """Times as microseconds; numbers must be whole."""
    match value.kind:
        case Kind.DATETIME:
            return fn("epoch_us", value.sql)
        case Kind.TIMESPAN:
            return binary(exp.IntDiv, value.sql, number(10))
    return cast(value.sql, "BIGINT")


def _floor(sql: Sql, width: Sql) -> Sql:
    rest = binary(exp.Mod, binary(exp.Add, binary(exp.Mod, sql, width), width), width)
    return binary(exp.Sub, sql, rest)


class _Series:
    """Puts the points of each group into arrays."""

    def __init__(
        self, keys: list[Output], outputs: list[Output], defaults: list[Sql], name: str, kind: Kind, start: Sql,
        width: Sql, count: Sql,
    ) -> None:  # fmt: skip
        self._keys, self._outputs, self._defaults = keys, outputs, defaults
        self._name, self._kind = name, kind
        self._start, self._width, self._count = start, width, count

    def gather(self, compiler: Compiler, summed: Relation) -> Relation:
        keys = list(summed.columns[: len(self._keys)])
        place = summed.columns[len(keys)]
        values = summed.columns[len(keys) + 1 :]
        bounded = case(
            (binary(exp.GT, self._count, long(MAX_POINTS)), fn("error", text("make-series has too many points"))),
            default=self._count,
        )
        limit = cast(bounded, "BIGINT")
        items: list[Sql] = []
        columns: list[Column] = []
        for one in keys:
            items.append(column(one.physical))
            columns.append(Column(one.name, one.kind, one.nullable))
        for output, default, one in zip(self._outputs, self._defaults, values, strict=True):
            by_place = fn("map_from_entries", fn("list", fn("row", column(place.physical), column(one.physical))))
            items.append(fn("kql_series", cast(fn("to_json", by_place), "VARCHAR"), limit,
                            cast(fn("to_json", default), "VARCHAR")))  # fmt: skip
            columns.append(Column(output.name, Kind.DYNAMIC))
        items.append(self._axis_array(limit))
        columns.append(Column(self._name, Kind.DYNAMIC))
        named = physical(columns)
        aliased = [
            exp.Alias(this=cast(sql, "JSON") if one.kind is Kind.DYNAMIC else sql.copy(),
                      alias=exp.to_identifier(one.physical, quoted=True))
            for sql, one in zip(items, named, strict=True)
        ]  # fmt: skip
        select = exp.select(*aliased).from_(summed.sql)
        if keys:
            select = select.group_by(*[column(one.physical) for one in keys], copy=False)
        return compiler.emit(select, named, summed)

    def _axis_array(self, limit: Sql) -> Sql:
        nth = binary(exp.Add, self._start, binary(exp.Mul, column("i"), self._width))
        value = Value(moment(nth), Kind.DATETIME) if self._kind is Kind.DATETIME else Value(nth, Kind.LONG)
        shown = text_of(value) if self._kind is Kind.DATETIME else value.sql
        inner = exp.select(fn("to_json", fn("list", shown))).from_(
            exp.Table(this=fn("range", limit), alias=exp.TableAlias(
                this=exp.to_identifier("r"), columns=[exp.to_identifier("i")]))
        )  # fmt: skip
        return coalesce(exp.Subquery(this=inner), text("[]"))


def top_nested(compiler: Compiler, relation: Relation, tree: TopNested, names: Names) -> Relation:
    """The biggest groups, and within each of them the biggest of the next level."""
    refuse_in_apply(relation, "top-nested", tree.at)
    chosen: Relation | None = None
    keys: list[Output] = []
    namer = Namer()
    for level in tree.levels:
        chosen = _level(compiler, relation, level, names, chosen, keys, namer)
    assert chosen is not None
    return chosen


def _level(
    compiler: Compiler, relation: Relation, level: NestedLevel, names: Names, above: Relation | None,
    keys: list[Output], namer: Namer,
) -> Relation:  # fmt: skip
    if level.others is not None:
        raise unsupported("`with others` of top-nested", level.others.at)
    scope = Scope(names, relation)
    key = Output(level.by.names[0] if level.by.names else namer.named(level.by.expr),
                 compiler.scalars.value(level.by.expr, scope))  # fmt: skip
    measure = compiler.scalars.value(level.measure.expr, replace(scope, aggregating=True))
    label = level.measure.names[0] if level.measure.names else f"aggregated_{key.name}"
    keys.append(key)
    summed = grouped(compiler, relation, list(keys), [Output(label, measure)])
    parents = summed.columns[: len(keys) - 1]
    kept = list(above.columns) if above else []
    items = [column(one.physical, "a") for one in kept] + [column(one.physical, "s") for one in summed.columns[-2:]]
    columns = physical([replace(one, sql="") for one in (*kept, *summed.columns[-2:])])
    aliased = [exp.Alias(this=sql, alias=exp.to_identifier(one.physical, quoted=True))
               for sql, one in zip(items, columns, strict=True)]  # fmt: skip
    select = exp.select(*aliased).from_(_table(summed.sql, "s"))
    if above:
        on: list[Sql] = [
            exp.NullSafeEQ(this=column(above.columns[2 * n].physical, "a"), expression=column(one.physical, "s"))
            for n, one in enumerate(parents)
        ]
        select = select.join(_table(above.sql, "a"), on=joined(exp.And, on), join_type="INNER", copy=False)
    if level.count is not None:
        most = compiler.scalars.value(level.count, scope).const
        if not isinstance(most, int):
            raise KqlError("the number of groups must be a constant", level.by.at)
        order = exp.Order(expressions=[exp.Ordered(this=column(summed.columns[-1].physical, "s"),
                                                   desc=level.descending, nulls_first=False)])  # fmt: skip
        parts: list[exp.Expression] = [column(one.physical, "s") for one in parents]
        rank = exp.Window(this=fn("row_number"), partition_by=parts, order=order)
        select.set("qualify", exp.Qualify(this=exp.LTE(this=rank, expression=number(most))))
    return compiler.emit(select, columns, summed, *([above] if above else []))


def _table(name: str, alias: str) -> exp.Table:
    return exp.Table(this=exp.to_identifier(name), alias=exp.TableAlias(this=exp.to_identifier(alias)))
