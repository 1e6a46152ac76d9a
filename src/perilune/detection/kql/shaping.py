"""Operators on the columns and rows of one table: where, extend, project and its kin, sort, top, take, serialize."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from sqlglot import exp

from perilune.detection.kql.errors import KqlError, Span, unsupported
from perilune.detection.kql.kinds import Kind
from perilune.detection.kql.naming import Namer, free
from perilune.detection.kql.relations import Column, Names, Relation, Scope, physical, unknown
from perilune.detection.kql.syntax import (
    As,
    Expr,
    Extend,
    GetSchema,
    Item,
    Pattern,
    Project,
    ProjectNames,
    Rename,
    Render,
    Serialize,
    Sort,
    SortBy,
    Take,
    Top,
    Where,
)
from perilune.detection.kql.values import Sql, Value, column, fn, number, text

if TYPE_CHECKING:
    from perilune.detection.kql.compiler import Compiler

MAX_TAKE = 1 << 40


def where(compiler: Compiler, relation: Relation, tree: Where, names: Names) -> Relation:
    found = compiler.scalars.predicate(tree.predicate, Scope(names, relation))
    return compiler.filtered(relation, found.sql)


def named_values(compiler: Compiler, items: Sequence[Item], scope: Scope, namer: Namer) -> list[tuple[str, Value]]:
    """Each item under its name; a single expression may fill several names from an array."""
    found: list[tuple[str, Value]] = []
    for item in items:
        value = compiler.scalars.value(item.expr, scope)
        if len(item.names) > 1:
            found += _taken_apart(item, value)
        else:
            found.append((item.names[0] if item.names else namer.named(item.expr), value))
    return found


def _taken_apart(item: Item, value: Value) -> list[tuple[str, Value]]:
    if value.kind is not Kind.DYNAMIC:
        raise KqlError(f"{len(item.names)} names for one {value.kind}", item.at)
    parts = [fn("json_extract", value.sql, text(f"$[{n}]")) for n in range(len(item.names))]
    return [(name, Value(part, Kind.DYNAMIC)) for name, part in zip(item.names, parts, strict=True)]


def extend(compiler: Compiler, relation: Relation, tree: Extend | Serialize, names: Names) -> Relation:
    """New columns go last; a column that exists keeps its place. All expressions see the table as it was."""
    scope = Scope(names, relation)
    own = {name for item in tree.items for name in item.names}
    unnamed = [one.name for one in relation.columns if not one.hidden]
    items = [item for item in tree.items if not _is_itself(item, relation)]
    values = named_values(compiler, items, scope, Namer({*unnamed, *own}))
    if not values:
        return relation
    return with_columns(compiler, relation, values)


def _is_itself(item: Item, relation: Relation) -> bool:
    """`extend x` of a column x changes nothing."""
    return not item.names and getattr(item.expr, "name", None) is not None and hasattr(item.expr, "at") and (
        type(item.expr).__name__ == "Name" and relation.find(item.expr.name) is not None  # type: ignore[union-attr]
    )  # fmt: skip


def with_columns(compiler: Compiler, relation: Relation, values: Sequence[tuple[str, Value]]) -> Relation:
    changed = dict(values)
    kept = [one for one in relation.columns if not (one.hidden and one.name in changed)]
    columns: list[Column] = []
    items: list[Sql] = []
    replaced: list[Sql] = []
    taken = {one.physical.lower() for one in kept}
    for one in kept:
        value = changed.pop(one.name, None)
        if value is not None:
            replaced.append(_as(value.sql, one.physical))
            one = Column(one.name, value.kind, value.nullable, one.physical)
        columns.append(one)
    for name, value in changed.items():
        sql_name = name
        while sql_name.lower() in taken:
            sql_name += "_"
        taken.add(sql_name.lower())
        columns.append(Column(name, value.kind, value.nullable, sql_name))
        items.append(_as(value.sql, sql_name))
    held = {id(one) for one in kept}
    dropped = [exp.to_identifier(one.physical, quoted=True) for one in relation.columns if id(one) not in held]
    star = exp.Star(replace=replaced or None, except_=dropped or None)
    found = compiler.emit(exp.select(star, *items).from_(relation.sql), columns, relation)
    return replace(found, sorted=relation.sorted)


def _as(sql: Sql, name: str) -> Sql:
    return exp.Alias(this=sql.copy(), alias=exp.to_identifier(name, quoted=True))


def project(compiler: Compiler, relation: Relation, tree: Project, names: Names) -> Relation:
    own = [name for item in tree.items for name in item.names]
    twice = {name for name in own if own.count(name) > 1}
    if twice:
        raise KqlError(f"the column {min(twice)!r} is given twice", tree.at)
    values = named_values(compiler, tree.items, Scope(names, relation), Namer(own))
    items = [(Column(name, value.kind, value.nullable), value.sql) for name, value in values]
    if relation.partition:
        items.append((Column(relation.partition, Kind.LONG, False, hidden=True), column(relation.partition)))
    items += [(replace(one, sql=""), column(one.physical)) for one in compiler.lineage(relation)]
    columns = physical([one for one, _ in items])
    select = exp.select(*[_as(sql, one.physical) for (_, sql), one in zip(items, columns, strict=True)])
    if not items:
        select = exp.select(_as(number(0), "_"))
        columns = (Column("_", Kind.LONG, hidden=True),)
    return replace(compiler.emit(select.from_(relation.sql), columns, relation), sorted=relation.sorted)


def _matching(relation: Relation, pattern: Pattern, *, must: bool) -> list[Column]:
    if "*" not in pattern.text:
        found = relation.find(pattern.text)
        if found is None and must:
            raise unknown("column", pattern.text, pattern.at, [one.name for one in relation.shown])
        return [found] if found else []
    escaped = pattern.text.replace("[", "[[]").replace("?", "[?]")
    return [one for one in relation.shown if fnmatchcase(one.name, escaped)]


def project_names(compiler: Compiler, relation: Relation, tree: ProjectNames, names: Names) -> Relation:
    chosen = [(pattern, _matching(relation, pattern, must=True)) for pattern in tree.patterns]
    named = {one.name for _, found in chosen for one in found}
    match tree.how:
        case "away":
            kept = [one for one in relation.shown if one.name not in named]
        case "keep":
            kept = [one for one in relation.shown if one.name in named]
        case _:
            kept = _reordered(relation, tree, chosen)
    return compiler.select(relation, [(one, column(one.physical)) for one in kept])


def _reordered(relation: Relation, tree: ProjectNames, chosen: list[tuple[Pattern, list[Column]]]) -> list[Column]:
    exact = {pattern.text for pattern in tree.patterns if "*" not in pattern.text}
    kept: list[Column] = []
    for (pattern, found), direction in zip(chosen, tree.directions, strict=True):
        if "*" in pattern.text:
            found = [one for one in found if one.name not in exact]
        if direction:
            natural = direction.startswith("granny")
            found = sorted(found, key=lambda one: _natural(one.name) if natural else [(0, 0, one.name)],
                           reverse=direction.endswith("desc"))  # fmt: skip
        kept += [one for one in found if one not in kept]
    return kept + [one for one in relation.shown if one not in kept]


def _natural(name: str) -> list[tuple[int, int, str]]:
    """Numbers in a name count as numbers."""
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in re.split(r"(\d+)", name)]


def rename(compiler: Compiler, relation: Relation, tree: Rename, names: Names) -> Relation:
    renamed = {relation.get(old, at).name: new for new, old, at in tree.pairs}
    columns = [replace(one, name=renamed.get(one.name, one.name), sql="") for one in relation.shown]
    doubled = [one.name for one in columns if [other.name for other in columns].count(one.name) > 1]
    if doubled:
        raise KqlError(f"there would be two columns {doubled[0]!r}", tree.at)
    values = [column(one.physical) for one in relation.shown]
    return compiler.select(relation, list(zip(columns, values, strict=True)))


# ── order and number ────────────────────────────────────────────────────────────────────────────────────────────────


def _keys(compiler: Compiler, relation: Relation, keys: Sequence[Sort], names: Names) -> list[exp.Ordered]:
    found: list[exp.Ordered] = []
    if relation.partition:
        found.append(exp.Ordered(this=column(relation.partition)))
    for key in keys:
        value = compiler.scalars.value(key.expr, Scope(names, relation))
        if value.kind is Kind.DYNAMIC:
            raise KqlError("a dynamic cannot be sorted by", key.at, hint="convert it, for example with tostring()")
        sql = text("") if value.is_const else value.sql  # a number would mean a column's place
        found.append(exp.Ordered(this=sql.copy(), desc=key.descending, nulls_first=key.nulls_first))
    return found


def sort(compiler: Compiler, relation: Relation, tree: SortBy, names: Names) -> Relation:
    select = exp.select("*").from_(relation.sql).order_by(*_keys(compiler, relation, tree.keys, names))
    return replace(compiler.emit(select, relation.columns, relation), sorted=True)


def top(compiler: Compiler, relation: Relation, tree: Top, names: Names) -> Relation:
    limit = _row_count(compiler, tree.count, names)
    keys = _keys(compiler, relation, tree.keys, names)
    if relation.partition:
        return _first_of_each(compiler, relation, keys, limit)
    select = exp.select("*").from_(relation.sql).order_by(*keys).limit(limit)
    return replace(compiler.emit(select, relation.columns, relation), sorted=True)


def _first_of_each(compiler: Compiler, relation: Relation, keys: list[exp.Ordered], limit: int) -> Relation:
    """Within mv-apply: so many rows of each group."""
    assert relation.partition
    order = exp.Order(expressions=keys) if keys else None
    rank = exp.Window(this=fn("row_number"), partition_by=[column(relation.partition)], order=order)
    select = exp.select("*").from_(relation.sql)
    select.set("qualify", exp.Qualify(this=exp.LTE(this=rank, expression=number(limit))))
    return replace(compiler.emit(select, relation.columns, relation), sorted=bool(keys))


def take(compiler: Compiler, relation: Relation, tree: Take, names: Names) -> Relation:
    limit = _row_count(compiler, tree.count, names)
    if relation.partition:
        return _first_of_each(compiler, relation, [], limit)
    select = exp.select("*").from_(relation.sql)
    if tree.random:
        compiler.volatile = True
        select = select.order_by(exp.Ordered(this=fn("random")))
    found = compiler.emit(select.limit(limit), relation.columns, relation)
    return replace(found, sorted=relation.sorted and not tree.random)


def _row_count(compiler: Compiler, expr: Expr, names: Names) -> int:
    value = compiler.scalars.value(expr, Scope(names))
    if not isinstance(value.const, int) or isinstance(value.const, bool) or not 0 <= value.const < MAX_TAKE:
        raise KqlError("the number of rows must be a constant whole number", expr.at)
    return value.const


def serialize(compiler: Compiler, relation: Relation, tree: Serialize, names: Names) -> Relation:
    relation = replace(relation, sorted=True)
    return extend(compiler, relation, tree, names) if tree.items else relation


# ── names, hints, schemas ───────────────────────────────────────────────────────────────────────────────────────────


def as_(compiler: Compiler, relation: Relation, tree: As, names: Names) -> tuple[Relation, Names]:
    return relation, names.having(tree.name, relation)


def render(compiler: Compiler, relation: Relation, tree: Render, names: Names) -> Relation:
    compiler.chart = tree.chart
    return relation


_NET_TYPES = {
    Kind.BOOL: "System.SByte", Kind.INT: "System.Int32", Kind.LONG: "System.Int64", Kind.REAL: "System.Double",
    Kind.DECIMAL: "System.Data.SqlTypes.SqlDecimal", Kind.STRING: "System.String", Kind.DATETIME: "System.DateTime",
    Kind.TIMESPAN: "System.TimeSpan", Kind.DYNAMIC: "System.Object", Kind.GUID: "System.Guid",
}  # fmt: skip


def getschema(compiler: Compiler, relation: Relation, tree: GetSchema, names: Names) -> Relation:
    rows = [
        exp.Tuple(expressions=[text(one.name), number(place), text(_NET_TYPES[one.kind]), text(one.kind.value)])
        for place, one in enumerate(relation.shown)
    ]
    columns = (
        Column("ColumnName", Kind.STRING), Column("ColumnOrdinal", Kind.LONG),
        Column("DataType", Kind.STRING), Column("ColumnType", Kind.STRING),
    )  # fmt: skip
    alias = exp.TableAlias(this=exp.to_identifier("v"), columns=[exp.to_identifier(one.name, True) for one in columns])
    return compiler.emit(exp.select("*").from_(exp.Values(expressions=rows, alias=alias)), columns)


def refuse_in_apply(relation: Relation, what: str, at: Span) -> None:
    if relation.partition:
        raise unsupported(f"`{what}` within mv-apply", at)


__all__ = ["free"]
