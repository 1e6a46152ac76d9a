"""mv-expand and mv-apply: the items of arrays as rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from sqlglot import exp

from perilune.detection.kql.convert import coerce, convert
from perilune.detection.kql.errors import KqlError, unsupported
from perilune.detection.kql.kinds import Kind
from perilune.detection.kql.naming import Namer, default_name
from perilune.detection.kql.relations import Column, Names, Relation, Scope, physical
from perilune.detection.kql.shaping import with_columns
from perilune.detection.kql.syntax import (
    Count,
    Distinct,
    Expanded,
    Expr,
    Extend,
    MvApply,
    MvExpand,
    Parse,
    Project,
    ProjectNames,
    Rename,
    SortBy,
    Summarize,
    Take,
    Top,
    Where,
)
from perilune.detection.kql.values import Sql, Value, case, cast, column, fn, number, text

if TYPE_CHECKING:
    from perilune.detection.kql.compiler import Compiler

_IN_APPLY = (
    Where, Extend, Project, ProjectNames, Rename, Summarize, Distinct, SortBy, Top, Take, Count, Parse, MvExpand,
)  # fmt: skip


def mv_expand(compiler: Compiler, relation: Relation, tree: MvExpand, names: Names) -> Relation:
    return expanded(compiler, relation, tree.items, names, tree.index, tree.limit, tree.array)


def expanded(
    compiler: Compiler, relation: Relation, items: Sequence[Expanded], names: Names, index: str | None,
    limit: Expr | None, as_array: bool = False,
) -> Relation:  # fmt: skip
    """Each item of the arrays becomes a row; several arrays go side by side, the shorter filled with nulls."""
    scope = Scope(names, relation)
    most = compiler.scalars.value(limit, scope).const if limit is not None else None
    if most is not None and not isinstance(most, int):
        raise KqlError("the limit must be a constant whole number", limit.at if limit else None)
    lists: list[Sql] = []
    for item in items:
        value = compiler.scalars.value(item.expr, scope)
        if value.kind not in (Kind.DYNAMIC, Kind.STRING):
            raise KqlError(f"mv-expand takes a dynamic, not a {value.kind}", item.at)
        value = coerce(value, Kind.DYNAMIC, item.at, "mv-expand")
        found = _items_of(value, as_array)
        lists.append(fn("list_slice", found, number(1), number(most)) if most is not None else found)
    held = [f"mv_{n}" for n in range(len(lists))]
    select = exp.select("*", *[_as(sql, name) for sql, name in zip(lists, held, strict=True)]).from_(relation.sql)
    step = compiler.emit(select, relation.columns, relation)
    opened = [_as(fn("unnest", column(name)), f"{name}_item") for name in held]
    if index is not None:
        longest = fn("greatest", *[fn("len", column(name)) for name in held])
        opened.append(_as(fn("unnest", fn("range", longest)), "mv_index"))
    star = exp.Star(except_=[exp.to_identifier(name, quoted=True) for name in held])
    select = exp.select(star, *opened).from_(step.sql)
    hidden = [Column(f"{name}_item", Kind.DYNAMIC, hidden=True, sql=f"{name}_item") for name in held]
    step = compiler.emit(select, (*relation.columns, *hidden), relation)
    return _named(compiler, replace(step, sorted=relation.sorted), relation, items, index)


def _named(
    compiler: Compiler, step: Relation, relation: Relation, items: Sequence[Expanded], index: str | None
) -> Relation:
    """The opened items under their names and types, the helpers gone."""
    namer = Namer([name for item in items for name in item.names])
    values: list[tuple[str, Value]] = []
    for place, item in enumerate(items):
        found: Value = Value(fn("nullif", column(f"mv_{place}_item"), cast(text("null"), "JSON")), Kind.DYNAMIC)
        if item.kind is not None:
            found = convert(found, item.kind)
        name = item.names[0] if item.names else default_name(item.expr)
        values.append((name or namer.named(item.expr), found))
    if index is not None:
        values.append((index, Value(cast(column("mv_index"), "BIGINT"), Kind.LONG, False)))
    done = with_columns(compiler, step, values)
    helpers = {f"mv_{place}_item" for place in range(len(items))}
    kept = [one for one in done.columns if not (one.hidden and one.name in helpers)]
    select = exp.select(*[column(one.physical) for one in kept]).from_(done.sql)
    return replace(compiler.emit(select, kept, done), sorted=relation.sorted)


def _items_of(value: Value, as_array: bool) -> Sql:
    """The items as a list: of an array its own, of a bag one bag each, of anything else itself."""
    kind = fn("json_type", value.sql)
    bag = fn("from_json", fn("kql_bag_items", cast(value.sql, "VARCHAR"), text("array" if as_array else "bag")),
             text('["JSON"]'))  # fmt: skip
    return case(
        (exp.EQ(this=kind, expression=text("ARRAY")), fn("json_extract", value.sql, text("$[*]"))),
        (exp.EQ(this=kind.copy(), expression=text("OBJECT")), bag),
        default=exp.Array(expressions=[value.sql.copy()]),
    )


def _as(sql: Sql, name: str) -> Sql:
    return exp.Alias(this=sql.copy(), alias=exp.to_identifier(name, quoted=True))


def mv_apply(compiler: Compiler, relation: Relation, tree: MvApply, names: Names) -> Relation:
    """The operators run over the items of each row by itself; what they give stands beside the row's columns."""
    for operator in tree.on:
        if not isinstance(operator, _IN_APPLY):
            raise unsupported(f"`{type(operator).__name__.lower()}` within mv-apply", operator.at)
    if relation.partition:
        raise unsupported("mv-apply within mv-apply", tree.at)
    row = f"mv_row_{len(relation.columns)}"
    numbered = exp.Window(this=fn("row_number"))
    select = exp.select("*", _as(numbered, row)).from_(relation.sql)
    mark = Column(row, Kind.LONG, False, hidden=True, sql=row)
    source = replace(compiler.emit(select, (*relation.columns, mark), relation, keep=True), sorted=relation.sorted)
    opened = expanded(compiler, source, tree.items, names, tree.index, tree.limit)
    applied = compiler.apply(replace(opened, partition=row), tree.on, names)
    return _beside(compiler, source, applied, row)


def _beside(compiler: Compiler, source: Relation, applied: Relation, row: str) -> Relation:
    columns: list[Column] = []
    items: list[Sql] = []
    new = {one.name: one for one in applied.shown}
    for one in source.columns:
        if one.name == row:
            continue
        found = new.pop(one.name, None)
        columns.append(replace(found or one, sql=""))
        items.append(column(found.physical, "r") if found else column(one.physical, "l"))
    for one in new.values():
        columns.append(replace(one, sql=""))
        items.append(column(one.physical, "r"))
    named = physical(columns)
    left = exp.Table(this=exp.to_identifier(source.sql), alias=exp.TableAlias(this=exp.to_identifier("l")))
    right = exp.Table(this=exp.to_identifier(applied.sql), alias=exp.TableAlias(this=exp.to_identifier("r")))
    select = exp.select(*[_as(sql, one.physical) for sql, one in zip(items, named, strict=True)]).from_(left)
    on = exp.EQ(this=column(row, "l"), expression=column(row, "r"))
    select = select.join(right, on=on, join_type="INNER", copy=False)
    return replace(compiler.emit(select, named, source, applied), partition=None)
