"""search and find: a condition over many columns, and over many tables."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sqlglot import exp

from perilune.detection.kql.convert import convert
from perilune.detection.kql.errors import KqlError
from perilune.detection.kql.functions.base import call
from perilune.detection.kql.joining import stacked
from perilune.detection.kql.kinds import Kind
from perilune.detection.kql.relations import Column, Names, Relation, Scope
from perilune.detection.kql.syntax import Binary, Call, Expr, Find, Item, Literal, Logic, Name, Search, Star
from perilune.detection.kql.terms import escape
from perilune.detection.kql.values import Value, cast, column, constant, fn, null, text

if TYPE_CHECKING:
    from perilune.detection.kql.compiler import Compiler


def search(compiler: Compiler, relation: Relation, tree: Search, names: Names) -> Relation:
    predicate = _terms(tree.predicate, tree.cased)
    return compiler.filtered(relation, compiler.scalars.predicate(predicate, Scope(names, relation)).sql)


def search_tables(compiler: Compiler, tree: Search, names: Names) -> Relation:
    legs = [(label, search(compiler, leg, tree, names)) for label, leg in _tables(compiler, tree.tables, names, tree)]
    return stacked(compiler, legs, "$table")


def _tables(
    compiler: Compiler, tables: tuple[Expr, ...], names: Names, tree: Search | Find
) -> list[tuple[str, Relation]]:
    if not tables:
        return compiler.matching("*", tree.at, Names())
    legs: list[tuple[str, Relation]] = []
    for expr in tables:
        if isinstance(expr, Name) and "*" in expr.name:
            legs += compiler.matching(expr.name, expr.at, names)
        else:
            legs.append((expr.name if isinstance(expr, Name) else "", compiler.table(expr, Scope(names))))
    return legs


def _terms(expr: Expr, cased: bool) -> Expr:
    """A bare text is looked for as a term in every column; * in it stands for anything."""
    match expr:
        case Literal(Kind.STRING, str() as wanted, at):
            return _term(wanted, cased, at, Star(at))
        case Logic(op, of, at):
            return Logic(op, tuple(_terms(one, cased) for one in of), at)
        case Call("not", args, at, named):
            return Call("not", tuple(_terms(one, cased) for one in args), at, named)
        case Binary(":", left, Literal(Kind.STRING, str() as wanted), at):
            return _term(wanted, cased, at, left)
    return expr


def _term(wanted: str, cased: bool, at: object, of: Expr) -> Expr:
    suffix = "_cs" if cased else ""
    inner = wanted.strip("*")
    place = of.at
    literal = Literal(Kind.STRING, inner, place)
    if "*" in inner:
        pattern = ".*".join(escape(part) for part in inner.split("*"))
        return Binary("matches regex", of, Literal(Kind.STRING, ("" if cased else "(?i)") + pattern, place), place)
    op = {(False, False): "has", (False, True): "hasprefix", (True, False): "hassuffix", (True, True): "contains"}[
        wanted.startswith("*"), wanted.endswith("*")
    ]
    return Binary(op + suffix, of, literal, place)


def find(compiler: Compiler, tree: Find, names: Names) -> Relation:
    """Rows of many tables that meet one condition; a column that a table lacks is null there."""
    legs = _tables(compiler, tree.tables, names, tree)
    kinds = {one.name: one.kind for _, leg in reversed(legs) for one in leg.shown}
    found: list[tuple[str, Relation]] = []
    for label, leg in legs:
        missing = {name: Value(null(kind), kind, True) for name, kind in kinds.items() if not leg.find(name)}
        scope = Scope(names, leg, extra=missing)
        predicate = compiler.scalars.predicate(_terms(tree.predicate, False), scope)
        kept = compiler.filtered(leg, predicate.sql)
        found.append((label, _chosen(compiler, kept, tree.columns, kinds, legs, names)))
    return stacked(compiler, found, tree.source)


def _chosen(
    compiler: Compiler, leg: Relation, items: tuple[Item, ...], kinds: dict[str, Kind],
    legs: list[tuple[str, Relation]], names: Names,
) -> Relation:  # fmt: skip
    if not items:
        return _packed(compiler, leg, legs)
    chosen: list[tuple[Column, exp.Expression]] = []
    for item in items:
        if not isinstance(item.expr, Name) or item.names:
            raise KqlError("find's project takes names of columns", item.at)
        name = item.expr.name
        one = leg.find(name)
        if name not in kinds:
            raise KqlError(f"no table has a column {name!r}", item.at)
        value = one.value() if one else constant(None, kinds[name])
        chosen.append((Column(name, kinds[name]), convert(value, kinds[name]).sql))
    return compiler.select(replace(leg, columns=tuple(leg.shown)), chosen)


def _packed(compiler: Compiler, leg: Relation, legs: list[tuple[str, Relation]]) -> Relation:
    """Without project: the columns that all tables have, the rest as a bag in pack_."""
    common = [one for one in leg.shown if all(other.find(one.name) for _, other in legs)]
    rest = [one for one in leg.shown if one not in common]
    parts: list[exp.Expression] = []
    for one in rest:
        parts += [text(one.name), convert(one.value(), Kind.DYNAMIC).sql]
    packed = call("kql_without_empty", cast(fn("json_object", *parts), "VARCHAR"), kind=Kind.DYNAMIC)
    items = [(one, column(one.physical)) for one in common] + [(Column("pack_", Kind.DYNAMIC), packed.sql)]
    return compiler.select(replace(leg, columns=tuple(leg.shown)), items)
