"""join, lookup and union."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sqlglot import exp

from perilune.detection.kql.comparing import alike
from perilune.detection.kql.convert import convert
from perilune.detection.kql.errors import KqlError, Span
from perilune.detection.kql.kinds import Kind, common
from perilune.detection.kql.naming import free
from perilune.detection.kql.relations import Column, Names, Relation, Scope, physical
from perilune.detection.kql.shaping import refuse_in_apply
from perilune.detection.kql.syntax import Binary, Expr, Join, Logic, Member, Name, Union
from perilune.detection.kql.values import Sql, binary, coalesce, column, fn, joined, null, number, text

if TYPE_CHECKING:
    from perilune.detection.kql.compiler import Compiler

_SQL_KINDS = {
    "inner": "INNER", "innerunique": "INNER", "leftouter": "LEFT", "rightouter": "RIGHT", "fullouter": "FULL",
}  # fmt: skip
_SEMI = {
    "leftsemi": ("left", True), "rightsemi": ("right", True), "leftanti": ("left", False), "anti": ("left", False),
    "leftantisemi": ("left", False), "rightanti": ("right", False), "rightantisemi": ("right", False),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Key:
    """One condition: the two sides, and the column's name where both sides have it under one name."""

    left: Sql
    right: Sql
    left_sql: str
    name: str | None


def join(compiler: Compiler, relation: Relation, tree: Join, names: Names) -> Relation:
    refuse_in_apply(relation, "join", tree.at)
    right = compiler.table(tree.right, Scope(names))
    keys = [_key(relation, right, expr) for expr in _conditions(tree.on)]
    if tree.kind in _SEMI:
        return _semi(compiler, relation, right, keys, tree)
    left = _unique(compiler, relation, keys) if tree.kind == "innerunique" else relation
    return _joined(compiler, left, right, keys, tree)


def _conditions(on: tuple[Expr, ...]) -> list[Expr]:
    found: list[Expr] = []
    for expr in on:
        found += _conditions(expr.of) if isinstance(expr, Logic) and expr.op == "and" else [expr]
    return found


def _key(left: Relation, right: Relation, expr: Expr) -> Key:
    if isinstance(expr, Name):
        one, other, name = left.get(expr.name, expr.at), right.get(expr.name, expr.at), expr.name
    elif isinstance(expr, Binary) and expr.op == "==":
        sides = {side.of.name: side for side in (expr.left, expr.right)
                 if isinstance(side, Member) and isinstance(side.of, Name)}  # fmt: skip
        if set(sides) != {"$left", "$right"}:
            raise _no_condition(expr.at)
        one = left.get(sides["$left"].name, sides["$left"].at)
        other = right.get(sides["$right"].name, sides["$right"].at)
        name = None
    else:
        raise _no_condition(expr.at)
    if Kind.DYNAMIC in (one.kind, other.kind):
        raise KqlError("a dynamic cannot be joined on", expr.at, hint="extend a column with tostring() first")
    a, b, _ = alike(one.value("l"), other.value("r"), expr.at, "==")
    return Key(a.sql, b.sql, one.physical, name)


def _no_condition(at: Span) -> KqlError:
    hint = "write a column of both sides, or $left.A == $right.B"
    return KqlError("a join's condition is a column's name or an equality of both sides", at, hint=hint)


def _unique(compiler: Compiler, relation: Relation, keys: list[Key]) -> Relation:
    """innerunique, Kusto's default: of the left rows with the same key one is used; here the first."""
    parts = [column(key.left_sql) for key in keys]
    rank = exp.Window(this=fn("row_number"), partition_by=parts)
    select = exp.select("*").from_(relation.sql)
    select.set("qualify", exp.Qualify(this=exp.EQ(this=rank, expression=number(1))))
    return compiler.emit(select, relation.columns, relation)


def _on(keys: list[Key]) -> Sql:
    return joined(exp.And, [binary(exp.EQ, key.left, key.right) for key in keys])


def _semi(compiler: Compiler, left: Relation, right: Relation, keys: list[Key], tree: Join) -> Relation:
    side, wanted = _SEMI[tree.kind]
    kept, other = (left, right) if side == "left" else (right, left)
    aliases = ("l", "r") if side == "left" else ("r", "l")
    inner = exp.select("1").from_(_table(other.sql, aliases[1])).where(_on(keys))
    exists: Sql = exp.Exists(this=inner)
    select = exp.select(f"{aliases[0]}.*").from_(_table(kept.sql, aliases[0]))
    found = compiler.emit(select.where(exists if wanted else exp.Not(this=exists)), kept.columns, kept, other)
    return replace(found, sorted=kept.sorted)


def _table(name: str, alias: str) -> exp.Table:
    return exp.Table(this=exp.to_identifier(name), alias=exp.TableAlias(this=exp.to_identifier(alias)))


def _joined(compiler: Compiler, left: Relation, right: Relation, keys: list[Key], tree: Join) -> Relation:
    same = {key.name for key in keys if key.name}
    kind = _SQL_KINDS[tree.kind]
    columns: list[Column] = []
    items: list[Sql] = []
    for one in left.columns:
        outer = kind in ("RIGHT", "FULL")
        columns.append(replace(one, nullable=one.nullable or outer, sql=""))
        items.append(_side(one, "l", outer))
    taken = {one.name for one in left.columns}
    dropped = set(same)
    if tree.lookup:
        dropped |= {side.name for expr in _conditions(tree.on) if isinstance(expr, Binary)
                    for side in (expr.left, expr.right)
                    if isinstance(side, Member) and isinstance(side.of, Name) and side.of.name == "$right"}  # fmt: skip
    for one in right.shown:
        if tree.lookup and one.name in dropped:
            continue
        outer = kind in ("LEFT", "FULL")
        name = free(one.name, taken)
        taken.add(name)
        columns = [old for old in columns if not (old.hidden and old.name == name)] if one.name == name else columns
        columns.append(Column(name, one.kind, one.nullable or outer))
        items.append(_side(one, "r", outer))
    items = items if len(items) == len(columns) else _without_replaced(left, columns, items)
    named = physical(columns)
    select = exp.select(*[_as(sql, one.physical) for sql, one in zip(items, named, strict=True)])
    select = select.from_(_table(left.sql, "l"))
    select = select.join(_table(right.sql, "r"), on=_on(keys), join_type=kind, copy=False)
    return compiler.emit(select, named, left, right)


def _without_replaced(left: Relation, columns: list[Column], items: list[Sql]) -> list[Sql]:
    kept = {one.name for one in columns}
    dropped = [n for n, one in enumerate(left.columns) if one.hidden and one.name not in kept]
    return [sql for n, sql in enumerate(items) if n not in dropped]


def _side(one: Column, alias: str, outer: bool) -> Sql:
    sql = column(one.physical, alias)
    return coalesce(sql, text("")) if outer and one.kind is Kind.STRING else sql


def _as(sql: Sql, name: str) -> Sql:
    return exp.Alias(this=sql, alias=exp.to_identifier(name, quoted=True))


# ── union ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def union(compiler: Compiler, piped: Relation | None, tree: Union, names: Names) -> Relation:
    """Rows of several tables; of columns with one name and two types each type becomes its own column."""
    if piped is not None:
        refuse_in_apply(piped, "union", tree.at)
    legs: list[tuple[str, Relation]] = []
    for number_, expr in enumerate(tree.tables):
        legs += _legs(compiler, piped, expr, tree, names, number_)
    if not legs:
        raise KqlError("none of these tables exists", tree.at)
    return stacked(compiler, legs, tree.source, only_common=tree.kind == "inner")


def _legs(
    compiler: Compiler, piped: Relation | None, expr: Expr | None, tree: Union, names: Names, place: int
) -> list[tuple[str, Relation]]:
    if expr is None:
        assert piped is not None
        return [("union_arg0", piped)]
    if isinstance(expr, Name) and "*" in expr.name:
        return compiler.matching(expr.name, expr.at, names)
    try:
        found = compiler.table(expr, Scope(names))
    except KqlError:
        if tree.fuzzy and isinstance(expr, Name):
            return []
        raise
    is_stored = isinstance(expr, Name) and expr.name not in names.bound
    return [(expr.name if is_stored and isinstance(expr, Name) else f"union_arg{place}", found)]


def stacked(
    compiler: Compiler, legs: list[tuple[str, Relation]], source: str | None, *, only_common: bool = False
) -> Relation:
    kinds: dict[str, list[Kind]] = {}
    for _, leg in legs:
        for one in leg.shown:
            if one.kind not in kinds.setdefault(one.name, []):
                kinds[one.name].append(one.kind)
    hidden = [one for one in legs[0][1].columns if one.hidden and one.name not in kinds
              and all(leg.find(one.name) for _, leg in legs)]  # fmt: skip
    if only_common:
        kinds = {name: found for name, found in kinds.items()
                 if len(found) == 1 and all(_shown(leg, name) for _, leg in legs)}  # fmt: skip
    columns: list[Column] = [Column(source, Kind.STRING, False)] if source else []
    wanted: list[tuple[str, Kind, Kind | None]] = []
    for name, found in kinds.items():
        merged = _merged(found)
        for kind in [merged] if merged else found:
            wanted.append((name, kind, kind if merged is None else None))
            columns.append(Column(name if merged else f"{name}_{kind.value}", kind))
    columns += [replace(one, sql="") for one in hidden]
    named = physical(columns)
    parts = [_leg(label, leg, source, wanted, hidden, named) for label, leg in legs]
    whole: exp.Query = parts[0]
    for part in parts[1:]:
        whole = exp.Union(this=whole, expression=part, distinct=False)
    select = exp.select("*").from_(exp.Subquery(this=whole, alias=exp.TableAlias(this=exp.to_identifier("u"))))
    return compiler.emit(select, named, *[leg for _, leg in legs])


def _shown(leg: Relation, name: str) -> Column | None:
    found = leg.find(name)
    return found if found and not found.hidden else None


def _merged(kinds: list[Kind]) -> Kind | None:
    """int and long are one column; any other two types are not."""
    if len(kinds) == 1:
        return kinds[0]
    return common(kinds) if set(kinds) <= {Kind.INT, Kind.LONG} else None


def _leg(
    label: str, leg: Relation, source: str | None, wanted: list[tuple[str, Kind, Kind | None]], hidden: list[Column],
    named: tuple[Column, ...],
) -> exp.Select:  # fmt: skip
    items: list[Sql] = [text(label)] if source else []
    for name, kind, only in wanted:
        one = _shown(leg, name)
        fits = one is not None and (only is None or one.kind is only)
        items.append(convert(one.value(), kind).sql if one is not None and fits else null(kind))
    items += [column(leg.get(one.name, Span(0, 1, 1)).physical) for one in hidden]
    return exp.select(*[_as(sql.copy(), one.physical) for sql, one in zip(items, named, strict=True)]).from_(leg.sql)
