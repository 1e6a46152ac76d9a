"""Values from one type to another: what `tostring()` and its kin do, and what happens without being asked."""

from __future__ import annotations

import re
from decimal import Decimal

from sqlglot import exp

from perilune.detection.kql.errors import KqlError, Span
from perilune.detection.kql.kinds import NUMERIC, WHOLE, Kind, format_datetime, format_timespan
from perilune.detection.kql.values import (
    SQL_TYPES,
    UNKNOWN,
    Sql,
    Value,
    binary,
    case,
    cast,
    coalesce,
    constant,
    dumps,
    fn,
    is_null,
    number,
    text,
    tried,
    try_cast,
)

WHOLE_TEXT = r"\s*[+-]?[0-9]+\s*"
HEX_TEXT = r"\s*0[xX][0-9a-fA-F]{1,16}\s*"
REAL_TEXT = r"\s*[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?\s*"
UTC_TEXT = r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d:\d\d(?:\.\d{1,9})?Z?)?"
JSON_COLUMNS = frozenset(("AdditionalFields",))
_DATETIME_FORM = "%Y-%m-%dT%H:%M:%S.%f"


def convert(value: Value, kind: Kind) -> Value:
    """As `to<kind>(value)`: what cannot be converted is null (an empty string for strings)."""
    if value.kind is kind:
        return value
    if value.const is None:
        return constant(None, kind)
    return _CONVERSIONS[kind](value)


def coerce(value: Value, kind: Kind, at: Span, what: str) -> Value:
    """What Kusto does without being asked: numbers among each other, and a dynamic to what is wanted."""
    if value.kind is kind:
        return value
    if value.kind is Kind.DYNAMIC or (value.kind in NUMERIC and kind in NUMERIC) or value.const is None:
        return convert(value, kind)
    if kind is Kind.DYNAMIC and value.kind is Kind.STRING:
        return _json_column(value, at, what)
    if {value.kind, kind} == {Kind.STRING, Kind.GUID} or kind is Kind.DYNAMIC:
        return convert(value, kind)
    raise KqlError(f"{what} takes a {kind}, not a {value.kind}", at, hint=f"use to{kind}()")


def _json_column(value: Value, at: Span, what: str) -> Value:
    """A column that is declared a string and holds JSON, as Defender's AdditionalFields, is read as what it holds."""
    if value.name not in JSON_COLUMNS:
        raise KqlError(f"{what} takes a dynamic, not a string", at, hint="parse_json() makes one of a text")
    held = case((fn("json_valid", value.sql), cast(value.sql, "JSON")))
    return Value(held, Kind.DYNAMIC, source=value.sql)


def same_kind(values: list[Value], kind: Kind) -> list[Value]:
    return [convert(value, kind) for value in values]


def to_string(value: Value) -> Value:
    if value.is_const:
        return constant(plain_text(value.const, value.kind), Kind.STRING)
    sql = coalesce(text_of(value), text("")) if value.nullable else text_of(value)
    return Value(sql, Kind.STRING, False)


def plain_text(value: object, kind: Kind) -> str:
    """A constant as Kusto prints it."""
    if value is None:
        return ""
    match kind:
        case Kind.BOOL:
            return "True" if value else "False"
        case Kind.DATETIME:
            return format_datetime(value)  # type: ignore[arg-type]
        case Kind.TIMESPAN:
            return format_timespan(int(value))  # type: ignore[call-overload]
        case Kind.DYNAMIC:
            return value if isinstance(value, str) else dumps(value)  # type: ignore[arg-type]
        case Kind.REAL:
            return real_text(float(value))  # type: ignore[arg-type]
        case Kind.DECIMAL:
            return f"{Decimal(str(value)).normalize():f}"
    return str(value)


def real_text(value: float) -> str:
    """As DuckDB prints a DOUBLE, which is how the emulator of Kusto does it too."""
    return {"nan": "NaN"}.get(repr(value), repr(value))


def text_of(value: Value) -> Sql:
    """SQL for the text of a value; NULL where the value is."""
    match value.kind:
        case Kind.STRING | Kind.GUID:
            return value.sql
        case Kind.BOOL:
            return case((value.sql, text("True")), (exp.Not(this=exp.Paren(this=value.sql.copy())), text("False")))
        case Kind.DATETIME:
            return exp.DPipe(this=fn("strftime", value.sql, text(_DATETIME_FORM)), expression=text("0Z"))
        case Kind.TIMESPAN:
            return fn("kql_timespan_text", value.sql)
        case Kind.DYNAMIC:
            return fn("json_extract_string", value.sql, text("$"))
        case Kind.REAL:
            return fn("replace", cast(value.sql, "VARCHAR"), text("nan"), text("NaN"))
    return cast(value.sql, "VARCHAR")


def to_long(value: Value, kind: Kind = Kind.LONG) -> Value:
    target = SQL_TYPES[kind]
    match value.kind:
        case Kind.STRING | Kind.GUID:
            if isinstance(value.const, str):
                return constant(_whole(value.const, kind), kind)
            return Value(_long_of_text(value.sql, target), kind)
        case Kind.DYNAMIC:
            found = text_of(value)
            as_real = try_cast(fn("trunc", try_cast(found, "DOUBLE")), target)
            is_bool = case((exp.EQ(this=found.copy(), expression=text("true")), cast(number(1), target)),
                           (exp.EQ(this=found.copy(), expression=text("false")), cast(number(0), target)))  # fmt: skip
            return Value(coalesce(_long_of_text(found, target), as_real, is_bool), kind)
        case Kind.REAL | Kind.DECIMAL:
            return Value(try_cast(fn("trunc", value.sql), target), kind)
        case Kind.DATETIME:
            ticks = binary(exp.Mul, fn("epoch_us", value.sql), cast(number(10), "BIGINT"))
            return Value(binary(exp.Add, ticks, cast(text("621355968000000000"), "BIGINT")), kind, value.nullable)
    if value.kind in WHOLE and isinstance(value.const, int):
        return constant(value.const if abs(value.const) < 1 << 31 or kind is Kind.LONG else None, kind)
    return Value(try_cast(value.sql, target), kind, value.nullable or kind is Kind.INT)


def _whole(written: str, kind: Kind) -> int | None:
    if re.fullmatch(HEX_TEXT, written):
        found = int(written.strip(), 16)
        found -= (1 << 64) if found >= 1 << 63 else 0
    elif re.fullmatch(WHOLE_TEXT, written) and len(written) < 100:
        found = int(written)
    else:
        return None
    bits = 31 if kind is Kind.INT else 63
    return found if -(1 << bits) <= found < 1 << bits else None


def _long_of_text(sql: Sql, target: str) -> Sql:
    """DuckDB would round '1.9' and take it; Kusto gives null."""
    return case(
        (fn("regexp_full_match", sql, text(WHOLE_TEXT)), try_cast(fn("trim", sql), target)),
        (fn("regexp_full_match", sql, text(HEX_TEXT)), try_cast(fn("kql_hex_long", sql), target)),
    )


def to_real(value: Value) -> Value:
    match value.kind:
        case Kind.STRING | Kind.DYNAMIC | Kind.GUID:
            found = text_of(value)
            return Value(case((fn("regexp_full_match", found, text(REAL_TEXT)), try_cast(fn("trim", found), "DOUBLE")),
                              (fn("regexp_full_match", found, text("(?i)nan|[+-]?inf(?:inity)?")),
                               try_cast(found, "DOUBLE"))), Kind.REAL)  # fmt: skip
    if value.kind in WHOLE and isinstance(value.const, int):
        return constant(float(value.const), Kind.REAL)
    return Value(cast(value.sql, "DOUBLE"), Kind.REAL, value.nullable)


def to_decimal(value: Value) -> Value:
    source = text_of(value) if value.kind in (Kind.STRING, Kind.DYNAMIC) else value.sql
    return Value(try_cast(source, SQL_TYPES[Kind.DECIMAL]), Kind.DECIMAL)


def to_bool(value: Value) -> Value:
    if value.kind in NUMERIC:
        return Value(exp.NEQ(this=value.sql.copy(), expression=number(0)), Kind.BOOL, value.nullable)
    if value.kind not in (Kind.STRING, Kind.DYNAMIC):
        return constant(None, Kind.BOOL)
    lowered = fn("lower", fn("trim", text_of(value)))
    zero = exp.NEQ(this=try_cast(lowered, "BIGINT"), expression=number(0))
    return Value(
        case(
            (exp.EQ(this=lowered.copy(), expression=text("true")), exp.Boolean(this=True)),
            (exp.EQ(this=lowered.copy(), expression=text("false")), exp.Boolean(this=False)),
            (fn("regexp_full_match", lowered, text(WHOLE_TEXT)), zero),
        ),
        Kind.BOOL,
    )


def to_datetime(value: Value) -> Value:
    match value.kind:
        case Kind.STRING | Kind.DYNAMIC:
            found = text_of(value)
            plain = fn("regexp_full_match", found, text(UTC_TEXT))
            slow = cast(fn("kql_datetime", found), "TIMESTAMP")
            return Value(case((plain, try_cast(found, "TIMESTAMP")), default=slow), Kind.DATETIME)
        case Kind.LONG | Kind.INT:
            since = binary(exp.Sub, cast(value.sql, "BIGINT"), cast(text("621355968000000000"), "BIGINT"))
            micros = binary(exp.IntDiv, since, number(10))
            ends = cast(text("-62135596800000000"), "BIGINT"), cast(text("253402300799999999"), "BIGINT")
            held = exp.Between(this=micros.copy(), low=ends[0], high=ends[1])
            return Value(tried(fn("make_timestamp", case((held, micros)))), Kind.DATETIME)
    return constant(None, Kind.DATETIME)


def to_timespan(value: Value) -> Value:
    match value.kind:
        case Kind.STRING | Kind.DYNAMIC:
            return Value(fn("kql_timespan", text_of(value)), Kind.TIMESPAN)
        case Kind.LONG | Kind.INT:
            return Value(cast(value.sql, "BIGINT"), Kind.TIMESPAN, value.nullable)
    return constant(None, Kind.TIMESPAN)


def to_guid(value: Value) -> Value:
    return Value(cast(try_cast(text_of(value), "UUID"), "VARCHAR"), Kind.GUID)


def to_dynamic(value: Value) -> Value:
    """A scalar inside a dynamic; text is not parsed. See `parse_json` for that."""
    if value.is_const:
        const = value.const
        held = plain_text(const, value.kind) if value.kind in (Kind.DATETIME, Kind.TIMESPAN) else const
        return constant(float(held) if isinstance(held, Decimal) else held, Kind.DYNAMIC)
    if value.kind in (Kind.DATETIME, Kind.TIMESPAN):
        return Value(case((is_null(value.sql), cast(exp.Null(), "JSON")), default=fn("to_json", text_of(value))),
                     Kind.DYNAMIC, value.nullable)  # fmt: skip
    held_sql = cast(value.sql, "DOUBLE") if value.kind is Kind.DECIMAL else value.sql
    found = fn("to_json", held_sql)
    if value.nullable:
        found = case((is_null(value.sql), cast(exp.Null(), "JSON")), default=found)
    return Value(found, Kind.DYNAMIC, value.nullable)


_CONVERSIONS = {
    Kind.STRING: to_string,
    Kind.LONG: to_long,
    Kind.INT: lambda value: to_long(value, Kind.INT),
    Kind.REAL: to_real,
    Kind.DECIMAL: to_decimal,
    Kind.BOOL: to_bool,
    Kind.DATETIME: to_datetime,
    Kind.TIMESPAN: to_timespan,
    Kind.GUID: to_guid,
    Kind.DYNAMIC: to_dynamic,
}
__all__ = ["UNKNOWN", "coerce", "convert", "plain_text", "real_text", "same_kind", "text_of"]
