"""Numbers: rounding, powers, bits, bins."""

from __future__ import annotations

from sqlglot import exp

from perilune.detection.kql.comparing import arithmetic, moment
from perilune.detection.kql.convert import convert
from perilune.detection.kql.errors import KqlError
from perilune.detection.kql.functions.base import Args, function
from perilune.detection.kql.kinds import NUMERIC, WHOLE, Kind
from perilune.detection.kql.values import (
    Sql,
    Value,
    binary,
    case,
    cast,
    constant,
    fn,
    long,
    null,
    number,
    tried,
)


def _real(names: str, sql: str, about: str) -> None:
    def lower(args: Args) -> Value:
        return Value(tried(fn(sql, args.sql(0, Kind.REAL))), Kind.REAL)

    lower.__doc__ = about
    function(*names.split())(lower)


for _name, _sql, _about in (
    ("exp", "exp", "e to a power"), ("log", "ln", "the natural logarithm"), ("log2", "log2", "the logarithm to 2"),
    ("log10", "log10", "the logarithm to 10"), ("sqrt", "sqrt", "the square root"), ("sin", "sin", "the sine"),
    ("cos", "cos", "the cosine"), ("tan", "tan", "the tangent"), ("asin", "asin", "the angle of a sine"),
    ("acos", "acos", "the angle of a cosine"), ("atan", "atan", "the angle of a tangent"),
    ("cot", "cot", "the cotangent"), ("degrees", "degrees", "radians as degrees"),
    ("radians", "radians", "degrees as radians"),
):  # fmt: skip
    _real(_name, _sql, _about)


@function("pi", least=0)
def pi(args: Args) -> Value:
    """3.14159…"""
    return Value(fn("pi"), Kind.REAL, False)


@function("exp2")
def exp2(args: Args) -> Value:
    """2 to a power"""
    return Value(fn("pow", cast(number(2), "DOUBLE"), args.sql(0, Kind.REAL)), Kind.REAL)


@function("exp10")
def exp10(args: Args) -> Value:
    """10 to a power"""
    return Value(fn("pow", cast(number(10), "DOUBLE"), args.sql(0, Kind.REAL)), Kind.REAL)


@function("pow", least=2)
def pow_(args: Args) -> Value:
    """a number to a power"""
    return Value(tried(fn("pow", args.sql(0, Kind.REAL), args.sql(1, Kind.REAL))), Kind.REAL)


@function("atan2", least=2)
def atan2(args: Args) -> Value:
    """the angle of a point"""
    return Value(fn("atan2", args.sql(0, Kind.REAL), args.sql(1, Kind.REAL)), Kind.REAL)


@function("abs")
def abs_(args: Args) -> Value:
    """a number or timespan without its sign"""
    value = args.value(0)
    value = value if value.kind is Kind.TIMESPAN else args.number(0)
    return Value(fn("abs", value.sql), value.kind, value.nullable)


@function("sign")
def sign(args: Args) -> Value:
    """-1, 0 or 1"""
    value = args.number(0)
    return Value(cast(fn("sign", value.sql), "DOUBLE"), Kind.REAL, value.nullable)


@function("round", least=1, most=2)
def round_(args: Args) -> Value:
    """a number rounded, halves away from zero, perhaps to some decimals"""
    value = args.number(0)
    sql = fn(
        "round", cast(value.sql, "DOUBLE"), cast(args.sql(1, Kind.LONG), "INTEGER") if len(args) > 1 else number(0)
    )
    return Value(cast(sql, "DOUBLE"), Kind.REAL, value.nullable)


@function("ceiling")
def ceiling(args: Args) -> Value:
    """the least whole number that is not smaller"""
    value = args.number(0)
    kind = value.kind if value.kind in WHOLE else Kind.REAL
    return Value(value.sql if kind in WHOLE else fn("ceil", cast(value.sql, "DOUBLE")), kind, value.nullable)


@function("bin", "floor", least=2)
def bin_(args: Args) -> Value:
    """a value rounded down to a multiple of the second"""
    value, size = args.value(0), args.value(1)
    if value.kind is Kind.DYNAMIC:
        value = convert(value, size.kind if size.kind in NUMERIC else Kind.DATETIME)
    return binned(args, value, size)


def binned(args: Args, value: Value, size: Value) -> Value:
    if isinstance(size.const, int | float) and size.const <= 0:
        raise KqlError(f"the size of {args.name}() must be more than 0", args.place(1))
    if value.kind is Kind.DATETIME and size.kind is Kind.TIMESPAN:
        micros: Sql = exp.IntDiv(this=size.sql.copy(), expression=number(10))
        if isinstance(size.const, int):
            if size.const < 10:
                return value
            micros = long(size.const // 10)
        since = binary(exp.Add, fn("epoch_us", value.sql), long(62135596800000000))
        floored = binary(exp.Sub, _floor_to(since, exp.Paren(this=micros)), long(62135596800000000))
        return Value(moment(floored), Kind.DATETIME, value.nullable or not size.is_const)
    if value.kind is size.kind is Kind.TIMESPAN or (value.kind in WHOLE and size.kind in WHOLE):
        return Value(_floor_to(value.sql, size.sql), value.kind, value.nullable or not size.is_const)
    if value.kind in NUMERIC and size.kind in NUMERIC:
        a, b = convert(value, Kind.REAL).sql, convert(size, Kind.REAL).sql
        return Value(binary(exp.Mul, fn("floor", binary(exp.Div, a, b)), b), Kind.REAL, value.nullable or size.nullable)
    raise args.error(f"{args.name}() cannot bin a {value.kind} by a {size.kind}")


def _floor_to(value: Sql, size: Sql) -> Sql:
    """DuckDB's // cuts towards zero; bins go down."""
    rest = exp.Mod(this=exp.Paren(this=exp.Add(
        this=exp.Paren(this=exp.Mod(this=value.copy(), expression=size.copy())), expression=size.copy())),
        expression=size.copy())  # fmt: skip
    return binary(exp.Sub, value, exp.Paren(this=rest))


@function("bin_at", least=3)
def bin_at(args: Args) -> Value:
    """a value rounded down to a multiple of the second, counted from the third"""
    value, size, start = args.values()
    apart = arithmetic("-", value, start, args.at)
    return arithmetic("+", start, binned(args, apart, size), args.at)


def _bits(name: str, node: type[exp.Binary], about: str) -> None:
    def lower(args: Args) -> Value:
        found = binary(node, args.sql(0, Kind.LONG), args.sql(1, Kind.LONG))
        return Value(found, Kind.LONG, args.value(0).nullable or args.value(1).nullable)

    lower.__doc__ = about
    function(name, least=2)(lower)


_bits("binary_and", exp.BitwiseAnd, "the bits that both numbers have")
_bits("binary_or", exp.BitwiseOr, "the bits that one of two numbers has")


@function("binary_xor", least=2)
def binary_xor(args: Args) -> Value:
    """the bits that exactly one of two numbers has"""
    return Value(fn("xor", args.sql(0, Kind.LONG), args.sql(1, Kind.LONG)), Kind.LONG)


@function("binary_not")
def binary_not(args: Args) -> Value:
    """a number with its bits turned over"""
    return Value(fn("xor", args.sql(0, Kind.LONG), long(-1)), Kind.LONG)


@function("binary_shift_left", "binary_shift_right", least=2)
def binary_shift(args: Args) -> Value:
    """a number's bits moved by some places"""
    places = args.whole(1) % 64
    factor = long(1 << min(places, 62))
    node = exp.Mul if args.name.endswith("left") else exp.IntDiv
    if node is exp.Mul:
        return Value(tried(binary(node, args.sql(0, Kind.LONG), factor)), Kind.LONG)
    value = args.sql(0, Kind.LONG)
    return Value(binary(exp.IntDiv, binary(exp.Sub, value, _rest(value, factor)), factor), Kind.LONG)


def _rest(value: Sql, size: Sql) -> Sql:
    return binary(exp.Mod, binary(exp.Add, binary(exp.Mod, value, size), size), size)


@function("range", least=2, most=3)
def range_(args: Args) -> Value:
    """an array of equally spaced values"""
    from perilune.detection.kql.functions.base import call

    kind = args.value(0).kind
    if kind in (Kind.DATETIME, Kind.TIMESPAN):
        raise args.error("range() over times is not supported; use the operator `range`")
    items = [cast(convert(value, Kind.DYNAMIC).sql, "VARCHAR") for value in args.values()]
    items += [cast(constant(1, Kind.DYNAMIC).sql, "VARCHAR")] * (3 - len(items))
    return call("kql_range", *items, kind=Kind.DYNAMIC)


__all__ = ["binned", "case", "null"]
