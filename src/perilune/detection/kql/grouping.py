"""summarize, distinct, count, top-nested and make-series."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sqlglot import exp

from perilune.detection.kql.aggregates import AGGREGATES, percentile_of
from perilune.detection.kql.errors import KqlError, Span
from perilune.detection.kql.functions.base import Args
from perilune.detection.kql.kinds import Kind
from perilune.detection.kql.naming import Namer, own_name
from perilune.detection.kql.relations import Column, Names, Relation, Scope, physical
from perilune.detection.kql.syntax import Call, Count, Distinct, Expr, Item, Literal, Name, Star, Summarize
from perilune.detection.kql.values import Sql, Value, binary, coalesce, column, fn, is_null, not_, text

if TYPE_CHECKING:
    from perilune.detection.kql.compiler import Compiler


@dataclass(frozen=True, slots=True)
class Output:
    """One column of a summary."""

    name: str
    value: Value


@dataclass(frozen=True, slots=True)
class Packed(Output):
    """One row as a struct, which becomes these columns once the groups are made: it is then computed once."""

    fields: tuple[tuple[str, Kind], ...] = ()


def summarize(compiler: Compiler, relation: Relation, tree: Summarize, names: Names) -> Relation:
    scope = Scope(names, relation)
    namer = Namer()
    keys = [Output(item.names[0] if item.names else "", compiler.scalars.value(item.expr, scope)) for item in tree.by]
    for item in tree.by:
        if item.names:
            namer.take(item.names[0])
    keys = [
        key if key.name else Output(namer.named(item.expr), key.value) for key, item in zip(keys, tree.by, strict=True)
    ]
    _check_keys(tree.by, keys)
    outputs: list[Output] = []
    for item in tree.aggregates:
        outputs += _aggregated(compiler, relation, item, replace(scope, aggregating=True), namer, keys)
    if not keys and not outputs:
        raise KqlError("summarize needs an aggregate or `by`", tree.at)
    found = grouped(compiler, relation, keys, outputs, traced=True)
    return _unpacked(compiler, found, [*keys, *outputs])


def _unpacked(compiler: Compiler, relation: Relation, outputs: list[Output]) -> Relation:
    if not any(isinstance(one, Packed) for one in outputs):
        return relation
    items: list[tuple[Column, Sql]] = []
    for one, held in zip(outputs, relation.columns, strict=False):
        if not isinstance(one, Packed):
            items.append((replace(held, sql=""), column(held.physical)))
            continue
        for n, (name, kind) in enumerate(one.fields):
            field: Sql = fn("struct_extract", column(held.physical), text(f"f{n}"))
            if kind is Kind.STRING:
                field = coalesce(field, text(""))
            items.append((Column(name, kind), field))
    return compiler.select(relation, items)


def _check_keys(items: tuple[Item, ...], keys: list[Output]) -> None:
    for item, key in zip(items, keys, strict=True):
        if key.value.kind is Kind.DYNAMIC:
            name = own_name(item.expr) or "…"
            raise KqlError("a dynamic cannot be grouped by", item.at, hint=f"use tostring({name})")


def grouped(
    compiler: Compiler, relation: Relation, keys: list[Output], outputs: list[Output], *, traced: bool = False
) -> Relation:
    """One row for each combination of the keys; one row of all where there is no key.

    Traced, a row leads to the first event of its group.
    """
    trail = compiler.lineage(relation) if traced else []
    inner = [column(relation.partition)] if relation.partition else []
    every = [*keys, *outputs]
    columns = physical([Column(one.name, one.value.kind, one.value.nullable) for one in every])
    items = [_as(one.value.sql, col.physical) for one, col in zip(every, columns, strict=True)]
    hidden: tuple[Column, ...] = ()
    if relation.partition:
        hidden = (Column(relation.partition, Kind.LONG, False, hidden=True),)
        items += [_as(column(relation.partition), relation.partition)]
    for one in trail:
        items.append(_as(fn("arg_min", column(one.physical), column(trail[0].physical)), one.physical))
        hidden = (*hidden, one)
    select = exp.select(*items).from_(relation.sql)
    groups: list[Sql] = [*inner, *[key.value.sql.copy() for key in keys]]
    if groups and not outputs and not trail:
        select = select.distinct()
    elif groups:
        select = select.group_by(*groups, copy=False)
    return compiler.emit(select, (*columns, *hidden), relation)


def _as(sql: Sql, name: str) -> Sql:
    return exp.Alias(this=sql.copy(), alias=exp.to_identifier(name, quoted=True))


def _aggregated(
    compiler: Compiler, relation: Relation, item: Item, scope: Scope, namer: Namer, keys: list[Output]
) -> list[Output]:
    expr = item.expr
    if isinstance(expr, Call) and expr.name in ("arg_max", "arg_min", "argmax", "argmin"):
        return _arg(compiler, relation, item, expr, scope, namer, keys)
    if isinstance(expr, Call) and expr.name == "percentiles":
        return _percentiles(compiler, item, expr, scope, namer)
    if isinstance(expr, Call) and expr.name in ("take_any", "any") and (
        len(expr.args) > 1 or any(isinstance(arg, Star) for arg in expr.args)
    ):  # fmt: skip
        return _take_any(compiler, relation, expr, scope, namer, keys)
    value = compiler.scalars.value(expr, scope)
    if not _has_aggregate(value):
        raise KqlError("this is no aggregate", item.at, hint="group by it, or use take_any()")
    name = namer.take(item.names[0]) if item.names else namer.named(expr)
    return [Output(name, value)]


def _has_aggregate(value: Value) -> bool:
    """Whether something is gathered over rows; constants and sub-queries may stand alone too."""
    outer = [node for node in value.sql.find_all(exp.Column) if node.find_ancestor(exp.Select) is None]
    return not outer or bool(value.sql.find(exp.AggFunc, exp.Filter)) or any(
        node.name.lower() in SQL_AGGREGATES for node in value.sql.find_all(exp.Anonymous)
    )  # fmt: skip


SQL_AGGREGATES = frozenset(
    "sum avg min max first list stddev_samp stddev_pop var_samp var_pop quantile_disc bit_and bit_or bit_xor "
    "arg_max arg_min".split()
)


def _star_columns(relation: Relation, keys: list[Output], but: str) -> list[Column]:
    taken = {key.name for key in keys} | {but}
    return [one for one in relation.shown if one.name not in taken]


def _arg(
    compiler: Compiler, relation: Relation, item: Item, call: Call, scope: Scope, namer: Namer, keys: list[Output]
) -> list[Output]:
    """arg_max(by, what…): every column comes from the one row that has the greatest value."""
    if not call.args:
        raise KqlError(f"{call.name}() takes what to order by, and columns", call.at)
    sql_name = "max" if call.name in ("arg_max", "argmax") else "min"
    plain = replace(scope, aggregating=False)
    by = compiler.scalars.value(call.args[0], plain)
    wanted: list[tuple[str, Value]] = []
    for number, arg in enumerate(call.args[1:], start=1):
        if isinstance(arg, Star):
            wanted += [(one.name, one.value()) for one in _star_columns(relation, keys, own_name(call.args[0]) or "")]
        else:
            given = item.names[number] if number < len(item.names) else None
            wanted.append((given or own_name(arg) or "", compiler.scalars.value(arg, plain)))
    first = item.names[0] if item.names else own_name(call.args[0])
    outputs = [Output(namer.take(first or f"{sql_name}_"), Value(fn(sql_name, by.sql), by.kind))]
    if not wanted:
        return outputs
    fields = [exp.PropertyEQ(this=exp.to_identifier(f"f{n}"), expression=value.sql.copy())
              for n, (_, value) in enumerate(wanted)]  # fmt: skip
    row = fn(f"arg_{sql_name}", exp.Anonymous(this="struct_pack", expressions=fields), by.sql)
    named = tuple((namer.take(name) if name else namer.named(Star(call.at)), value.kind) for name, value in wanted)
    return [*outputs, Packed(namer.take("arg_row"), Value(row, Kind.DYNAMIC), named)]


def _take_any(
    compiler: Compiler, relation: Relation, call: Call, scope: Scope, namer: Namer, keys: list[Output]
) -> list[Output]:
    outputs = []
    for arg in call.args:
        if isinstance(arg, Star):
            wanted = [(one.name, Name(one.name, call.at)) for one in _star_columns(relation, keys, "")]
        else:
            wanted = [(own_name(arg) or "Column", arg)]  # type: ignore[list-item]
        for name, expr in wanted:
            found = compiler.scalars.value(Call("take_any", (expr,), call.at), scope)
            outputs.append(Output(namer.take(name), found))
    return outputs


def _percentiles(compiler: Compiler, item: Item, call: Call, scope: Scope, namer: Namer) -> list[Output]:
    args = Args(call.name, call.args, call.at, replace(scope, aggregating=False), compiler)
    if len(args) < 2:
        raise args.error("percentiles() takes a column and percents")
    value = args.value(0)
    outputs = []
    for number in range(1, len(args)):
        share = args.value(number).const
        if not isinstance(share, int | float) or not 0 <= share <= 100:
            raise args.error("percentiles() takes percents from 0 to 100")
        given = item.names[number - 1] if number <= len(item.names) else None
        name = given or f"percentile_{own_name(call.args[0]) or ''}_{share}"
        outputs.append(Output(namer.take(name), percentile_of(args, value, share / 100)))
    return outputs


def aggregate_value(compiler: Compiler, expr: Call, scope: Scope) -> Value:
    """An aggregate within an expression of summarize."""
    inner = replace(scope, aggregating=False)
    return AGGREGATES[expr.name](Args(expr.name, expr.args, expr.at, inner, compiler))


def distinct(compiler: Compiler, relation: Relation, tree: Distinct, names: Names) -> Relation:
    scope = Scope(names, relation)
    if len(tree.columns) == 1 and isinstance(tree.columns[0], Star):
        keys = [Output(one.name, one.value()) for one in relation.shown]
        return grouped(compiler, relation, keys, [], traced=True)
    namer = Namer()
    keys = [Output(namer.named(expr), compiler.scalars.value(expr, scope)) for expr in tree.columns]
    return grouped(compiler, relation, keys, [], traced=True)


def count(compiler: Compiler, relation: Relation, tree: Count, names: Names) -> Relation:
    rows = Value(exp.Count(this=exp.Star()), Kind.LONG, False)
    return grouped(compiler, relation, [], [Output(tree.name, rows)], traced=True)


def span_of(expr: Expr) -> Span:
    return expr.at


__all__ = ["Literal", "binary", "is_null", "not_"]
