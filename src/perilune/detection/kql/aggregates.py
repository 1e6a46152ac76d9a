"""The aggregate functions of summarize, each as SQL over a group's rows. Nulls are passed over, as Kusto does."""

from __future__ import annotations

from collections.abc import Callable

from sqlglot import exp

from perilune.detection.kql.convert import convert
from perilune.detection.kql.functions.base import MANY, Args, Lowering, Signature, count_words
from perilune.detection.kql.kinds import NUMERIC, WHOLE, Kind
from perilune.detection.kql.values import (
    Sql,
    Value,
    binary,
    case,
    cast,
    coalesce,
    fn,
    is_null,
    joined,
    not_,
    number,
    text,
)

MAX_ITEMS = 1_048_576  # of make_list and make_set, Kusto's own limit

AGGREGATES: dict[str, Lowering] = {}
AGGREGATE_SIGNATURES: dict[str, Signature] = {}


def aggregate(*names: str, least: int = 1, most: int | None = None) -> Callable[[Lowering], Lowering]:
    top = least if most is None else most

    def declare(lower: Lowering) -> Lowering:
        def check(args: Args) -> Value:
            if not least <= len(args) <= top:
                raise args.error(f"{args.name}() takes {count_words(least, top)}, not {len(args)}")
            return lower(args)

        for name in names:
            AGGREGATES[name] = check
            about = (lower.__doc__ or "").strip().split("\n")[0]
            AGGREGATE_SIGNATURES[name] = Signature(name, least, top, about)
        return lower

    return declare


def _where(sql: Sql, *conditions: Sql | None) -> Sql:
    """The aggregate over the rows that meet the conditions."""
    found = [one.copy() for one in conditions if one is not None]
    if not found:
        return sql
    return exp.Filter(this=sql, expression=exp.Where(this=joined(exp.And, found)))


def _condition(args: Args, index: int) -> Sql | None:
    """The condition of the …if forms, which stands last."""
    if not args.name.endswith(("if", "_if")):
        return None
    return args.compiler.scalars.predicate(args.exprs[index], args.scope).sql


@aggregate("count", least=0)
def count(args: Args) -> Value:
    """how many rows"""
    return Value(exp.Count(this=exp.Star()), Kind.LONG, False)


@aggregate("countif")
def countif(args: Args) -> Value:
    """how many rows meet a condition"""
    condition = args.compiler.scalars.predicate(args.exprs[0], args.scope).sql
    return Value(_where(exp.Count(this=exp.Star()), condition), Kind.LONG, False)


def _distinct(args: Args, last: int) -> Value:
    value = args.value(0)
    counted = exp.Count(this=exp.Distinct(expressions=[value.sql.copy()]))
    return Value(_where(counted, _condition(args, last)), Kind.LONG, False)


@aggregate("dcount", "count_distinct", least=1, most=2)
def dcount(args: Args) -> Value:
    """how many distinct values; exact here, whatever accuracy is asked for"""
    return _distinct(args, 1)


@aggregate("dcountif", "count_distinctif", least=2, most=3)
def dcountif(args: Args) -> Value:
    """how many distinct values among the rows that meet a condition; exact"""
    return _distinct(args, 1)


def _number(args: Args) -> Value:
    value = args.value(0)
    if value.kind is Kind.DYNAMIC:
        return convert(value, Kind.REAL)
    if value.kind not in (*NUMERIC, Kind.TIMESPAN, Kind.BOOL):
        raise args.error(f"{args.name}() does not take a {value.kind}", hint="convert it with tolong() or toreal()")
    return convert(value, Kind.LONG) if value.kind in (Kind.BOOL, Kind.INT) else value


@aggregate("sum")
@aggregate("sumif", least=2)
def sum_(args: Args) -> Value:
    """the sum; 0 of nothing"""
    value = _number(args)
    total = _where(fn("sum", value.sql), _condition(args, 1))
    if value.kind in (Kind.REAL, Kind.DECIMAL):
        return Value(coalesce(total, cast(number(0), "DOUBLE")), value.kind, False)
    return Value(cast(coalesce(total, number(0)), "BIGINT"), value.kind, False)


@aggregate("avg")
@aggregate("avgif", least=2)
def avg(args: Args) -> Value:
    """the mean; NaN of nothing"""
    value = args.value(0) if args.value(0).kind is Kind.DATETIME else _number(args)
    if value.kind is Kind.DATETIME:
        mean = _where(fn("avg", fn("epoch_us", value.sql)), _condition(args, 1))
        return Value(fn("make_timestamp", cast(mean, "BIGINT")), Kind.DATETIME)
    mean = _where(fn("avg", value.sql), _condition(args, 1))
    if value.kind is Kind.TIMESPAN:
        return Value(cast(fn("trunc", mean), "BIGINT"), Kind.TIMESPAN)
    return Value(coalesce(cast(mean, "DOUBLE"), cast(text("nan"), "DOUBLE")), Kind.REAL, False)


@aggregate("min", "max")
@aggregate("minif", "maxif", least=2)
def extreme(args: Args) -> Value:
    """the least or greatest value"""
    value = args.value(0)
    if value.kind in (Kind.BOOL, Kind.DYNAMIC):
        raise args.error(f"{args.name}() does not take a {value.kind}", hint="convert it first")
    found = _where(fn(args.name[:3], value.sql), _condition(args, 1))
    if value.kind is Kind.STRING:
        found = coalesce(found, text(""))
    return Value(found, value.kind, value.kind is not Kind.STRING)


@aggregate("take_any", "any", least=1, most=MANY)
@aggregate("take_anyif", "anyif", least=2)
def take_any(args: Args) -> Value:
    """the value of some row, not null where one is not"""
    value = args.value(0)
    meant = not_(is_null(value.sql)) if value.nullable else None
    found = _where(fn("first", value.sql), meant, _condition(args, 1))
    if value.kind is Kind.STRING:
        found = coalesce(found, text(""))
    return Value(found, value.kind, value.kind is not Kind.STRING)


def _spread(names: str, sql: str, about: str, least: int = 1) -> None:
    def lower(args: Args) -> Value:
        value = _number(args)
        found = _where(fn(sql, cast(value.sql, "DOUBLE")), _condition(args, 1))
        held = _where(exp.Count(this=value.sql.copy()), _condition(args, 1))
        zero = cast(number(0), "DOUBLE")
        sole = case((binary(exp.EQ, held, number(0)), cast(text("nan"), "DOUBLE")), default=coalesce(found, zero))
        return Value(sole, Kind.REAL, False)

    lower.__doc__ = about
    aggregate(*names.split(), least=least)(lower)


_spread("stdev", "stddev_samp", "the standard deviation of a sample")
_spread("stdevif", "stddev_samp", "the standard deviation of a sample, of the rows that meet a condition", 2)
_spread("stdevp", "stddev_pop", "the standard deviation of a whole")
_spread("variance", "var_samp", "the variance of a sample")
_spread("varianceif", "var_samp", "the variance of a sample, of the rows that meet a condition", 2)
_spread("variancep", "var_pop", "the variance of a whole")


def _array(sql: Sql, limit: int, *, ordered: bool = False) -> Sql:
    """A list as a dynamic; an empty one of nothing."""
    held = fn("list_slice", sql, number(1), number(limit))
    return cast(coalesce(fn("to_json", held), cast(text("[]"), "JSON")), "JSON")


def _limit(args: Args) -> int:
    at = 2 if args.name.endswith("_if") else 1
    return min(args.whole(at, MAX_ITEMS), MAX_ITEMS)


@aggregate("make_list", "makelist", least=1, most=2)
@aggregate("make_list_if", least=2, most=3)
def make_list(args: Args) -> Value:
    """all values as an array, without nulls"""
    value = _item(args)
    gathered = _where(fn("list", value.sql), not_(is_null(value.sql)) if value.nullable else None, _condition(args, 1))
    return Value(_array(gathered, _limit(args)), Kind.DYNAMIC, False)


@aggregate("make_list_with_nulls")
def make_list_with_nulls(args: Args) -> Value:
    """all values as an array, nulls kept"""
    return Value(_array(fn("list", convert(args.value(0), Kind.DYNAMIC).sql), MAX_ITEMS), Kind.DYNAMIC, False)


@aggregate("make_set", "makeset", least=1, most=2)
@aggregate("make_set_if", least=2, most=3)
def make_set(args: Args) -> Value:
    """the distinct values as an array, without nulls; the items of arrays one by one"""
    value = _item(args)
    condition = _condition(args, 1)
    not_null = not_(is_null(value.sql)) if value.nullable else None
    if value.kind is Kind.DYNAMIC:
        gathered = _where(fn("list", value.sql), not_null, condition)
        flat = fn("kql_set_of", cast(coalesce(fn("to_json", gathered), text("[]")), "VARCHAR"), number(_limit(args)))
        return Value(cast(flat, "JSON"), Kind.DYNAMIC, False)
    distinct = exp.Anonymous(this="list", expressions=[exp.Distinct(expressions=[value.sql.copy()])])
    gathered = fn("list_sort", _where(distinct, not_null, condition))
    return Value(_array(gathered, _limit(args)), Kind.DYNAMIC, False)


def _item(args: Args) -> Value:
    """Times become text in a dynamic."""
    value = args.value(0)
    return convert(value, Kind.DYNAMIC) if value.kind in (Kind.DATETIME, Kind.TIMESPAN, Kind.DECIMAL) else value


@aggregate("make_bag", "make_dictionary", least=1, most=2)
@aggregate("make_bag_if", least=2, most=3)
def make_bag(args: Args) -> Value:
    """property bags joined into one; the last value of a name stays"""
    value = args.typed(0, Kind.DYNAMIC)
    gathered = _where(fn("list", value.sql), not_(is_null(value.sql)), _condition(args, 1))
    found = fn("kql_bag_of", cast(coalesce(fn("to_json", gathered), text("[]")), "VARCHAR"))
    return Value(cast(found, "JSON"), Kind.DYNAMIC, False)


def _percent(args: Args, index: int) -> float:
    found = args.value(index).const
    if not isinstance(found, int | float) or not 0 <= found <= 100:
        raise args.error(f"{args.name}() takes percents from 0 to 100")
    return found / 100


def percentile_of(args: Args, value: Value, share: float) -> Value:
    """Nearest rank, as Kusto's; exact where Kusto estimates."""
    kind = value.kind if value.kind is not Kind.INT else Kind.LONG
    found = fn("quantile_disc", value.sql, exp.Literal.number(repr(share)))
    return Value(found, kind)


@aggregate("percentile", least=2)
def percentile(args: Args) -> Value:
    """the value below which so many percent lie (nearest rank, exact)"""
    value = args.value(0)
    if value.kind not in (*NUMERIC, Kind.DATETIME, Kind.TIMESPAN):
        value = _number(args)
    return percentile_of(args, value, _percent(args, 1))


@aggregate("percentiles_array", least=2, most=MANY)
def percentiles_array(args: Args) -> Value:
    """several percentiles as an array"""
    value = _number(args)
    items = args.value(1).const
    shares = items if isinstance(items, list) else [args.value(n).const for n in range(1, len(args))]
    if not all(isinstance(one, int | float) and 0 <= one <= 100 for one in shares):
        raise args.error("percentiles_array() takes percents from 0 to 100")
    found = [percentile_of(args, value, one / 100).sql for one in shares]  # type: ignore[operator]
    return Value(cast(fn("json_array", *found), "JSON"), Kind.DYNAMIC)


def _bits(name: str, sql: str) -> None:
    def lower(args: Args) -> Value:
        return Value(fn(sql, convert(args.value(0), Kind.LONG).sql), Kind.LONG)

    lower.__doc__ = "the bits of all values combined"
    aggregate(name)(lower)


_bits("binary_all_and", "bit_and")
_bits("binary_all_or", "bit_or")
_bits("binary_all_xor", "bit_xor")

# Taken apart by summarize itself, because they give several columns.
for _name, _least, _about in (
    ("arg_max", 2, "the row with the greatest value: that value and other columns of the row, or all with *"),
    ("arg_min", 2, "the row with the least value: that value and other columns of the row, or all with *"),
    ("percentiles", 2, "several percentiles, each a column"),
):
    AGGREGATE_SIGNATURES[_name] = Signature(_name, _least, MANY, _about)

__all__ = ["AGGREGATES", "AGGREGATE_SIGNATURES", "WHOLE", "percentile_of"]
