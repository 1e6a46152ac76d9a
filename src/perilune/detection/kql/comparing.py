"""Comparisons and arithmetic, with Kusto's nulls.

`null == null` is null and `null == 1` is false, `!=` the other way round; every other comparison and all arithmetic
of a null is null, as in SQL. Strings have no null. (Microsoft's page "Null values".)
"""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlglot import exp

from perilune.detection.kql.convert import convert
from perilune.detection.kql.errors import KqlError, Span
from perilune.detection.kql.kinds import NUMERIC, WHOLE, Kind, common, parse_datetime
from perilune.detection.kql.values import (
    Sql,
    Value,
    binary,
    bool_value,
    case,
    cast,
    coalesce,
    constant,
    false,
    fn,
    is_null,
    joined,
    not_,
    null,
    number,
    text,
    tried,
    true,
)

_ORDER = {"<": exp.LT, "<=": exp.LTE, ">": exp.GT, ">=": exp.GTE}


def alike(left: Value, right: Value, at: Span, op: str) -> tuple[Value, Value, Kind]:
    """Both sides as values that can be compared."""
    kinds = {left.kind, right.kind}
    if left.kind is right.kind:
        if left.kind is Kind.DYNAMIC:
            raise KqlError(
                f"`{op}` cannot compare two dynamics", at, hint="convert one side, for example with tostring()"
            )
        return left, right, left.kind
    if Kind.DYNAMIC in kinds:
        kind = right.kind if left.kind is Kind.DYNAMIC else left.kind
        return convert(left, kind), convert(right, kind), kind
    found = common([left.kind, right.kind])
    if found is not None:
        return convert(left, found), convert(right, found), found
    if Kind.BOOL in kinds and kinds & WHOLE:  # `IsLocalAdmin == 1`
        return convert(left, Kind.LONG), convert(right, Kind.LONG), Kind.LONG
    if kinds == {Kind.STRING, Kind.GUID}:
        return convert(left, Kind.STRING), convert(right, Kind.STRING), Kind.STRING
    if Kind.STRING in kinds and (plain := _literal(left, right)):
        return plain
    hint = f"convert one side, for example with to{left.kind}()"
    raise KqlError(f"`{op}` cannot compare a {left.kind} with a {right.kind}", at, hint=hint)


def _literal(left: Value, right: Value) -> tuple[Value, Value, Kind] | None:
    """A literal text beside another type is read as that type: `Timestamp > "2026-01-05"`, `1 == "1"`."""
    written, other = (left, right) if left.kind is Kind.STRING else (right, left)
    if not isinstance(written.const, str):
        return None
    meant = convert(written, other.kind)
    if other.kind is Kind.DATETIME:
        meant = constant(parse_datetime(written.const), Kind.DATETIME)
    return (meant, other, other.kind) if written is left else (other, meant, other.kind)


def equal(left: Value, right: Value, at: Span, *, negated: bool = False) -> Value:
    op = "!=" if negated else "=="
    left, right, _ = alike(left, right, at, op)
    plain = binary(exp.NEQ if negated else exp.EQ, left.sql, right.sql)
    if not left.nullable and not right.nullable:
        return bool_value(plain)
    if not (left.nullable and right.nullable):
        return bool_value(coalesce(plain, true() if negated else false()))
    both = joined(exp.And, [is_null(left.sql), is_null(right.sql)])
    return bool_value(case((both, null(Kind.BOOL)), default=coalesce(plain, true() if negated else false())), True)


def ordered(op: str, left: Value, right: Value, at: Span) -> Value:
    left, right, kind = alike(left, right, at, op)
    if kind is Kind.BOOL:
        raise KqlError(f"`{op}` does not order a bool", at)
    return bool_value(binary(_ORDER[op], left.sql, right.sql), left.nullable or right.nullable)


def same_text(left: Value, right: Value, *, negated: bool) -> Value:
    """`=~` and `!~`"""
    node = exp.NEQ if negated else exp.EQ
    return bool_value(binary(node, fn("lower", left.sql), fn("lower", right.sql)))


def within(of: Value, low: Value, high: Value, at: Span, *, negated: bool) -> Value:
    if high.kind is Kind.TIMESPAN and of.kind is Kind.DATETIME:
        high = arithmetic("+", low, high, at)
    found = bool_value(
        joined(exp.And, [ordered(">=", of, low, at).sql, ordered("<=", of, high, at).sql]),
        of.nullable or low.nullable or high.nullable,
    )
    return Value(not_(found.sql), Kind.BOOL, found.nullable) if negated else found


def arithmetic(op: str, left: Value, right: Value, at: Span) -> Value:
    if Kind.DYNAMIC in (left.kind, right.kind):
        left, right = _undynamic(left, right)
    kinds = (left.kind, right.kind)
    if kinds[0] in NUMERIC and kinds[1] in NUMERIC:
        return _numbers(op, left, right)
    if folded := _folded(op, left, right):
        return folded
    nullable = left.nullable or right.nullable
    match op, *kinds:
        case "+", Kind.DATETIME, Kind.TIMESPAN:
            return _moved(left, right, exp.Add)
        case "+", Kind.TIMESPAN, Kind.DATETIME:
            return _moved(right, left, exp.Add)
        case "-", Kind.DATETIME, Kind.TIMESPAN:
            return _moved(left, right, exp.Sub)
        case "-", Kind.DATETIME, Kind.DATETIME:
            micros = binary(exp.Sub, fn("epoch_us", left.sql), fn("epoch_us", right.sql))
            return Value(binary(exp.Mul, micros, number(10)), Kind.TIMESPAN, nullable)
        case (("+" | "-" | "%"), Kind.TIMESPAN, Kind.TIMESPAN):
            node = {"+": exp.Add, "-": exp.Sub}.get(op)
            sql = binary(node, left.sql, right.sql) if node else modulo(left.sql, right.sql)
            return Value(sql, Kind.TIMESPAN, nullable or op == "%")
        case "/", Kind.TIMESPAN, Kind.TIMESPAN:
            return Value(binary(exp.Div, cast(left.sql, "DOUBLE"), cast(right.sql, "DOUBLE")), Kind.REAL, nullable)
        case "*", Kind.TIMESPAN, kind if kind in NUMERIC:
            return _scaled(left, right, exp.Mul)
        case "*", kind, Kind.TIMESPAN if kind in NUMERIC:
            return _scaled(right, left, exp.Mul)
        case "/", Kind.TIMESPAN, kind if kind in NUMERIC:
            return _scaled(left, right, exp.Div)
    hint = "use strcat() to join texts" if Kind.STRING in kinds and op == "+" else None
    raise KqlError(f"`{op}` is not defined for {left.kind} and {right.kind}", at, hint=hint)


def _undynamic(left: Value, right: Value) -> tuple[Value, Value]:
    """A dynamic in arithmetic is the number that it holds."""
    if left.kind is Kind.DYNAMIC:
        kind = right.kind if right.kind in (*NUMERIC, Kind.TIMESPAN, Kind.DATETIME) else Kind.REAL
        left = convert(left, kind)
    if right.kind is Kind.DYNAMIC:
        kind = left.kind if left.kind in (*NUMERIC, Kind.TIMESPAN, Kind.DATETIME) else Kind.REAL
        right = convert(right, kind)
    return left, right


def _numbers(op: str, left: Value, right: Value) -> Value:
    kind = common([left.kind, right.kind]) or Kind.REAL
    left, right = convert(left, kind), convert(right, kind)
    nullable = left.nullable or right.nullable
    match op:
        case "/":
            found = binary(exp.IntDiv if kind in WHOLE else exp.Div, left.sql, right.sql)
            return Value(cast(found, "BIGINT") if kind is Kind.LONG else found, kind, nullable or kind in WHOLE)
        case "%":
            return Value(modulo(left.sql, right.sql), kind, True)
    node = {"+": exp.Add, "-": exp.Sub, "*": exp.Mul}[op]
    if kind in WHOLE and isinstance(left.const, int) and isinstance(right.const, int):
        value = {"+": left.const + right.const, "-": left.const - right.const, "*": left.const * right.const}[op]
        if abs(value) < 1 << (31 if kind is Kind.INT else 63):
            return constant(value, kind)
    return Value(binary(node, left.sql, right.sql), kind, nullable)


def modulo(left: Sql, right: Sql) -> Sql:
    """Kusto's remainder is never negative."""
    size = fn("abs", right)
    return binary(exp.Mod, binary(exp.Add, binary(exp.Mod, left, right), size), size)


def _moved(start: Value, by: Value, node: type[exp.Binary]) -> Value:
    """A datetime some ticks later or earlier; null beyond the calendar."""
    micros = binary(exp.IntDiv, by.sql, number(10))
    moved = binary(node, fn("epoch_us", start.sql), micros)
    return Value(tried(moment(moved)), Kind.DATETIME, True)


def moment(micros: Sql) -> Sql:
    """The datetime so many microseconds after 1970; null outside of the years 1 to 9999."""
    ends = cast(text("-62135596800000000"), "BIGINT"), cast(text("253402300799999999"), "BIGINT")
    held = exp.Between(this=micros.copy(), low=ends[0], high=ends[1])
    return fn("make_timestamp", case((held, micros)))


def _scaled(span: Value, by: Value, node: type[exp.Binary]) -> Value:
    scaled = binary(node, cast(span.sql, "DOUBLE"), cast(by.sql, "DOUBLE"))
    return Value(tried(cast(fn("trunc", scaled), "BIGINT")), Kind.TIMESPAN, True)


def _folded(op: str, left: Value, right: Value) -> Value | None:
    """Arithmetic of constant times, so that `Timestamp > ago(1d)` compares with one literal."""
    a, b = left.const, right.const
    kinds = (left.kind, right.kind)
    if not (left.is_const and right.is_const) or a is None or b is None:
        return None
    try:
        if kinds == (Kind.DATETIME, Kind.TIMESPAN) and op in "+-":
            assert isinstance(a, datetime) and isinstance(b, int)
            return constant(a + timedelta(microseconds=(b if op == "+" else -b) // 10), Kind.DATETIME)
        if kinds == (Kind.TIMESPAN, Kind.TIMESPAN) and op in "+-":
            assert isinstance(a, int) and isinstance(b, int)
            return constant(a + b if op == "+" else a - b, Kind.TIMESPAN)
    except OverflowError:
        return constant(None, Kind.DATETIME)
    return None


def negative(value: Value, at: Span) -> Value:
    if value.kind is Kind.DYNAMIC:
        value = convert(value, Kind.REAL)
    if value.kind not in NUMERIC and value.kind is not Kind.TIMESPAN:
        raise KqlError(f"`-` is not defined for {value.kind}", at)
    if isinstance(value.const, int | float):
        return constant(-value.const, value.kind)
    return Value(exp.Paren(this=exp.Neg(this=exp.Paren(this=value.sql.copy()))), value.kind, value.nullable)


def one_of(of: Value, items: list[Value], at: Span, *, cased: bool, negated: bool) -> Value:
    """`in`, `!in`, `in~`, `!in~`. A null is in no list."""
    if not items:
        return bool_value(true() if negated else false())
    found: list[Sql] = []
    sides = [alike(of, item, at, "in") for item in items if not (item.is_const and item.const is None)]
    by_kind: dict[Kind, list[tuple[Value, Value]]] = {}
    for left, right, kind in sides:
        by_kind.setdefault(kind, []).append((left, right))
    for kind, pairs in by_kind.items():
        fold = kind is Kind.STRING and not cased
        left_sql = fn("lower", pairs[0][0].sql) if fold else pairs[0][0].sql.copy()
        rights = [
            text(right.const.lower()) if fold and isinstance(right.const, str)
            else fn("lower", right.sql) if fold else right.sql.copy()
            for _, right in pairs
        ]  # fmt: skip
        found.append(exp.In(this=left_sql, expressions=rights))
    if not found:
        return bool_value(true() if negated else false())
    sql = joined(exp.Or, found)
    if of.nullable or any(right.nullable for _, right, _ in sides):
        sql = coalesce(sql, false())
    return bool_value(not_(sql) if negated else sql)
