"""A bound expression: the SQL that computes it and what is known of it. Also the few ways in which SQL is made.

Everything becomes SQL through SQLGlot's nodes: a name is an `Identifier`, a text a `Literal`, so no text of a query
can end up as SQL of its own. How Kusto's types are held: a string is VARCHAR and never NULL, a timespan BIGINT
ticks, a datetime TIMESTAMP (UTC), a dynamic JSON (a JSON null is NULL), a guid VARCHAR.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from enum import Enum

from sqlglot import exp

from perilune.detection.kql.kinds import Json, Kind

Sql = exp.Expression

SQL_TYPES = {
    Kind.BOOL: "BOOLEAN", Kind.INT: "INTEGER", Kind.LONG: "BIGINT", Kind.REAL: "DOUBLE",
    Kind.DECIMAL: "DECIMAL(38, 17)", Kind.STRING: "VARCHAR", Kind.DATETIME: "TIMESTAMP", Kind.TIMESPAN: "BIGINT",
    Kind.DYNAMIC: "JSON", Kind.GUID: "VARCHAR",
}  # fmt: skip


class Unknown(Enum):
    """Stands for "not a constant", which None cannot: null is one."""

    VALUE = "unknown"


UNKNOWN = Unknown.VALUE


@dataclass(frozen=True, slots=True)
class Search:
    """A value that is one regular expression looked for in a text; those over one text are joined into one scan."""

    text: Sql
    pattern: str
    cased: bool


@dataclass(frozen=True, slots=True)
class Value:
    """
    const     the Python value, where it is known before any row is read
    nullable  whether it can be null; strings never are
    search    set where it is a text search that may be joined with others
    source    of a parsed JSON: the text it comes from
    name      the column's name where it is nothing but a column
    """

    sql: Sql
    kind: Kind
    nullable: bool = True
    const: object = UNKNOWN
    search: Search | None = None
    source: Sql | None = None
    name: str | None = None

    @property
    def is_const(self) -> bool:
        return self.const is not UNKNOWN

    def of(self, kind: Kind) -> Value:
        return replace(self, kind=kind)


def fn(name: str, *args: Sql) -> Sql:
    """A call of one of DuckDB's functions, or of ours (`kql_…`)."""
    return exp.Anonymous(this=name, expressions=[arg.copy() for arg in args])


def cast(sql: Sql, to: str) -> Sql:
    return exp.Cast(this=sql.copy(), to=exp.DataType.build(to, dialect="duckdb"))


def try_cast(sql: Sql, to: str) -> Sql:
    return exp.TryCast(this=sql.copy(), to=exp.DataType.build(to, dialect="duckdb"))


def tried(sql: Sql) -> Sql:
    """NULL where the computation fails, so that one bad row never ends a query."""
    return exp.Anonymous(this="TRY", expressions=[sql])


def text(value: str) -> Sql:
    """A string literal. DuckDB ends a query at a NUL character, so those are made by chr(0)."""
    if "\0" not in value:
        return exp.Literal.string(value)
    parts: list[Sql] = []
    for number, piece in enumerate(value.split("\0")):
        parts += [exp.Anonymous(this="chr", expressions=[exp.Literal.number(0)])] if number else []
        parts += [exp.Literal.string(piece)] if piece else []
    return exp.Anonymous(this="concat", expressions=parts)


def number(value: int) -> Sql:
    """A small whole number of our own, such as an index."""
    return exp.Neg(this=exp.Literal.number(-value)) if value < 0 else exp.Literal.number(value)


def long(value: int) -> Sql:
    return exp.Cast(this=exp.Literal.string(str(value)) if value == -(1 << 63) else number(value),
                    to=exp.DataType.build("BIGINT"))  # fmt: skip


def column(name: str, table: str | None = None) -> Sql:
    return exp.column(exp.to_identifier(name, quoted=True), table=table)


def null(kind: Kind) -> Sql:
    return text("") if kind is Kind.STRING else cast(exp.Null(), SQL_TYPES[kind])


def true() -> Sql:
    return exp.Boolean(this=True)


def false() -> Sql:
    return exp.Boolean(this=False)


def coalesce(*parts: Sql) -> Sql:
    return exp.Coalesce(this=parts[0].copy(), expressions=[part.copy() for part in parts[1:]])


def case(*branches: tuple[Sql, Sql], default: Sql | None = None) -> Sql:
    ifs = [exp.If(this=condition.copy(), true=value.copy()) for condition, value in branches]
    return exp.Case(ifs=ifs, default=default.copy() if default is not None else None)


def is_null(sql: Sql) -> Sql:
    return exp.Is(this=sql.copy(), expression=exp.Null())


def not_(sql: Sql) -> Sql:
    return exp.Not(this=exp.Paren(this=sql.copy()))


def binary(node: type[exp.Binary], left: Sql, right: Sql) -> Sql:
    """A binary operation in parentheses, whatever stands around it."""
    return exp.Paren(this=node(this=left.copy(), expression=right.copy()))


def joined(node: type[exp.Connector], parts: list[Sql]) -> Sql:
    """All parts under AND or OR, as a balanced tree: a chain of a thousand is ten levels deep."""
    if len(parts) == 1:
        return parts[0]
    middle = len(parts) // 2
    return exp.Paren(this=node(this=joined(node, parts[:middle]), expression=joined(node, parts[middle:])))


def constant(value: object, kind: Kind) -> Value:
    """A literal of this type."""
    if value is None and kind is not Kind.STRING:
        return Value(null(kind), kind, True, None)
    return Value(_constant_sql(value, kind), kind, False, value)


def _constant_sql(value: object, kind: Kind) -> Sql:
    match kind:
        case Kind.STRING | Kind.GUID:
            return text(str(value or ""))
        case Kind.BOOL:
            return true() if value else false()
        case Kind.INT | Kind.LONG | Kind.TIMESPAN:
            assert isinstance(value, int)
            return long(value) if kind is not Kind.INT else cast(number(value), "INTEGER")
        case Kind.REAL:
            return cast(text(repr(float(value))), "DOUBLE")  # type: ignore[arg-type]
        case Kind.DECIMAL:
            return cast(text(str(Decimal(str(value)))), SQL_TYPES[kind])
        case Kind.DATETIME:
            assert isinstance(value, datetime)
            return cast(text(f"{value:%m-%d %H:%M:%S.%f}".join((f"{value.year:04}-", ""))), "TIMESTAMP")
    return cast(text(dumps(value)), "JSON")  # type: ignore[arg-type]


def dumps(value: Json) -> str:
    """JSON as Kusto writes it: no spaces, nothing escaped that need not be."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def loads(value: str) -> Json:
    """JSON of any origin; raises ValueError, also for what only Python would take for JSON or is too deep."""
    try:
        found: Json = json.loads(value, parse_constant=_refuse)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    return found


def _refuse(name: str) -> Json:
    raise ValueError(f"{name} is no JSON")


def bool_value(sql: Sql, nullable: bool = False) -> Value:
    return Value(sql, Kind.BOOL, nullable)
