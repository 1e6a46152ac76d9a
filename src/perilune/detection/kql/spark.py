"""A plan as Spark SQL, from the same tree that DuckDB's text is rendered of.

Each kind of node and each function is either known to mean the same, or is written differently, or is refused by
name: what the seed's query and the pack's hunts use is known, and a query beyond that is run here, not there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import cast

import pyarrow as pa
from sqlglot import exp

from perilune.detection.kql.catalog import ROW, Catalog
from perilune.detection.kql.compiler import compile_query
from perilune.detection.kql.errors import KqlError
from perilune.detection.kql.java_regex import java_regex
from perilune.detection.kql.plans import Plan
from perilune.detection.kql.running import Result, safely, traced
from perilune.detection.kql.udfs import UDFS

Sql = exp.Expr
Function = tuple[Callable[..., object], str]

_SAME: tuple[type[Sql], ...] = (
    exp.Add, exp.Alias, exp.And, exp.Between, exp.Boolean, exp.CTE, exp.Case, exp.Coalesce, exp.Column,
    exp.Count, exp.DataType, exp.Distinct, exp.EQ, exp.Filter, exp.From, exp.GT, exp.GTE, exp.Group, exp.Identifier,
    exp.If, exp.In, exp.Is, exp.Join, exp.LT, exp.LTE, exp.Limit, exp.Literal, exp.Mul, exp.NEQ, exp.Neg, exp.Not,
    exp.Null, exp.Or, exp.Order, exp.Ordered, exp.Paren, exp.PropertyEQ, exp.Select, exp.Star, exp.Sub, exp.Subquery,
    exp.Table, exp.TableAlias, exp.TryCast, exp.Union, exp.Where, exp.With,
)  # fmt: skip
_TYPES = {exp.DataType.Type[name] for name in ("BIGINT", "INT", "BOOLEAN", "DOUBLE", "VARCHAR", "TEXT")}


@dataclass(frozen=True, slots=True)
class Rendered:
    """The statement, and which of our own functions it calls."""

    sql: str
    functions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """Asks what a plan comes to of tables that are not here. `fetch` is given a statement and the functions in it."""

    catalog: Catalog
    fetch: Callable[[str, dict[str, Function], int], tuple[pa.Table, bool]]
    rows: int = 1_000_000

    def run(self, query: str, now: datetime) -> Result:
        plan = compile_query(query, self.catalog, now, _no_probe)
        data, cut = self._fetched(plan)
        return Result(plan, data.rename_columns([name for name, _ in plan.columns]), cut, now)

    def trace(self, query: str, now: datetime) -> tuple[Result, list[tuple[str, int]]]:
        plan = compile_query(query, self.catalog, now, _no_probe, trace=True)
        return traced(plan, *self._fetched(plan), now)

    def can(self, query: str, now: datetime) -> bool:
        """Whether the query can be rendered, with the rows' places."""
        try:
            render(compile_query(query, self.catalog, now, _no_probe, trace=True))
        except KqlError:
            return False
        return True

    def _fetched(self, plan: Plan) -> tuple[pa.Table, bool]:
        rendered = render(plan)
        functions: dict[str, Function] = {n: (Quiet(UDFS[n].function), UDFS[n].gives) for n in rendered.functions}
        return self.fetch(rendered.sql, functions, self.rows)


@dataclass(frozen=True, slots=True)
class Quiet:
    """One of our functions as Spark calls it: null for null, and for what it cannot be computed of."""

    function: Callable[..., object]

    def __call__(self, *values: object) -> object:
        return None if None in values else safely(self.function, values)


def _no_probe(select: exp.Select) -> list[tuple[object, ...]]:
    raise _refused("a query whose columns depend on its data")


def render(plan: Plan) -> Rendered:
    """The plan for Spark. Raises `KqlError` that names what has no counterpart there."""
    tree = plan.select.copy()
    for cte in tree.find_all(exp.CTE):
        cte.set("materialized", None)
    traced = any(one.alias_or_name == ROW for one in tree.expressions)
    for node in reversed(list(tree.walk())):  # what is inside first
        made = _node(node, traced)
        if made is not node:
            node.replace(made)
    called = {node.name.lower() for node in tree.find_all(exp.Anonymous)}
    return Rendered(tree.sql(dialect="spark", comments=False), tuple(sorted(called & UDFS.keys())))


def _node(node: Sql, traced: bool) -> Sql:
    if isinstance(node, exp.Anonymous):
        return _function(node, traced)
    if isinstance(node, exp.Cast) and not isinstance(node, exp.TryCast):
        return _cast(node)
    if isinstance(node, exp.IntDiv):
        return _division(node)
    if not isinstance(node, _SAME):
        raise _refused(type(node).__name__.lower())
    if isinstance(node, exp.DataType):
        return _type(node)
    if isinstance(node, exp.Ordered) and node.args.get("nulls_first") is None:
        node.set("nulls_first", False)  # DuckDB's own order; Spark's has nulls first
    return node


def _type(node: exp.DataType) -> Sql:
    kind = exp.DataType.Type
    if node.this in (kind.TIMESTAMP, kind.TIMESTAMPNTZ):
        return exp.DataType(this=kind.TIMESTAMPTZ)  # a moment, as the tables' times are
    if node.this not in _TYPES and node.this is not kind.JSON:
        raise _refused(f"the type {node.sql(dialect='duckdb')}")
    return node


def _cast(node: exp.Cast) -> Sql:
    """JSON is text there."""
    kind = node.to
    return cast("Sql", node.this) if kind.this is exp.DataType.Type.JSON else node


def _division(node: exp.IntDiv) -> Sql:
    """Only of what is not negative do all engines make the same."""
    if not all(_literal(side) for side in (node.left, node.right)):
        raise _refused("a division of whole numbers")
    return node


def _literal(node: Sql) -> bool:
    return isinstance(node.this if isinstance(node, exp.Cast | exp.Paren) else node, exp.Literal)


def _function(node: exp.Anonymous, traced: bool) -> Sql:
    name = node.name.lower()
    if name in UDFS:
        return node
    make = _FUNCTIONS.get(name)
    if make is None:
        raise _refused(f"the function {name}")
    return make(list(node.expressions), traced)


def _refused(what: str) -> KqlError:
    return KqlError(f"{what} cannot be rendered as Spark SQL", hint="run the query here: `perilune kql`")


def _call(name: str, *args: Sql) -> Sql:
    return exp.Anonymous(this=name, expressions=list(args))


def _named(name: str) -> Callable[[Sequence[Sql], bool], Sql]:
    return lambda args, _: _call(name, *args)


def _pattern(node: Sql) -> Sql:
    if not (isinstance(node, exp.Literal) and node.is_string):
        raise _refused("a pattern that is computed")
    return exp.Literal.string(java_regex(node.name))


def _matches(args: Sequence[Sql], _: bool) -> Sql:
    if len(args) != 2:
        raise _refused("a pattern with options")
    return exp.RegexpLike(this=args[0], expression=_pattern(args[1]))


def _extract(args: Sequence[Sql], _: bool) -> Sql:
    return _call("REGEXP_EXTRACT", args[0], _pattern(args[1]), *args[2:])


def _lower(args: Sequence[Sql], _: bool) -> Sql:
    """Java's looks at neighbours: it has two small sigmas, and makes two characters of a dotted capital I."""
    plain = _call("TRANSLATE", args[0], exp.Literal.string("İΣ"), exp.Literal.string("iσ"))
    return _call("LOWER", plain)


def _struct(args: Sequence[Sql], _: bool) -> Sql:
    pairs = [part for one in args for part in (exp.Literal.string(one.this.name), one.args["expression"])]
    return _call("NAMED_STRUCT", *pairs)


def _field(args: Sequence[Sql], _: bool) -> Sql:
    return exp.Dot(this=args[0], expression=exp.to_identifier(args[1].name, quoted=True))


def _by(name: str, *, last: bool) -> Callable[[Sequence[Sql], bool], Sql]:
    """`arg_min` and `arg_max`; of equals the first row, where rows are numbered, as DuckDB meets them."""

    def make(args: Sequence[Sql], traced: bool) -> Sql:
        value, key = args
        if not traced:
            return _call(name, value, key)
        row: Sql = exp.column(ROW, quoted=True)
        both = _call("STRUCT", key.copy(), exp.Neg(this=row) if last else row)
        known = exp.Not(this=exp.Is(this=key.copy(), expression=exp.Null()))
        return _call(name, value, exp.Case(ifs=[exp.If(this=known, true=both)]))

    return make


def _any(args: Sequence[Sql], traced: bool) -> Sql:
    return _call("MIN_BY", args[0], exp.column(ROW, quoted=True)) if traced else _call("FIRST", args[0])


def _bare(args: Sequence[Sql], _: bool) -> Sql:
    """TRY: what is inside has bounds of its own."""
    return args[0]


_FUNCTIONS: dict[str, Callable[[Sequence[Sql], bool], Sql]] = {
    "arg_max": _by("MAX_BY", last=True), "arg_min": _by("MIN_BY", last=False), "avg": _named("AVG"),
    "epoch_us": _named("UNIX_MICROS"), "first": _any, "length": _named("LENGTH"), "list": _named("COLLECT_LIST"),
    "list_slice": _named("SLICE"), "list_sort": _named("SORT_ARRAY"), "lower": _lower,
    "make_timestamp": _named("TIMESTAMP_MICROS"), "max": _named("MAX"), "min": _named("MIN"),
    "regexp_extract": _extract, "regexp_matches": _matches, "starts_with": _named("STARTSWITH"),
    "ends_with": _named("ENDSWITH"), "contains": _named("CONTAINS"), "struct_extract": _field, "struct_pack": _struct,
    "sum": _named("SUM"), "to_json": _named("TO_JSON"), "try": _bare, "upper": _named("UPPER"),
}  # fmt: skip
