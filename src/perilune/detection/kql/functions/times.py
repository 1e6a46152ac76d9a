"""Times: now, parts, steps of the calendar, formats. All in UTC."""

from __future__ import annotations

from sqlglot import exp

from perilune.detection.kql.comparing import arithmetic, moment
from perilune.detection.kql.errors import KqlError, nearest
from perilune.detection.kql.functions.base import Args, call, function
from perilune.detection.kql.kinds import DAY, Kind
from perilune.detection.kql.values import Sql, Value, binary, cast, coalesce, constant, fn, long, number, text, tried

_MICROS = {
    "day": 86_400_000_000, "hour": 3_600_000_000, "minute": 60_000_000, "second": 1_000_000, "millisecond": 1_000,
    "microsecond": 1,
}  # fmt: skip
_PERIODS = ("year", "quarter", "month", "week", *_MICROS, "nanosecond")


@function("now", least=0, most=1)
def now(args: Args) -> Value:
    """the query's clock (`--now`), perhaps with a timespan added"""
    moment_now = constant(args.compiler.now, Kind.DATETIME)
    return arithmetic("+", moment_now, args.typed(0, Kind.TIMESPAN), args.at) if len(args) else moment_now


@function("ago")
def ago(args: Args) -> Value:
    """the query's clock (`--now`) less a timespan"""
    return arithmetic("-", constant(args.compiler.now, Kind.DATETIME), args.typed(0, Kind.TIMESPAN), args.at)


def _period(args: Args, index: int, allowed: tuple[str, ...]) -> str:
    name = args.text(index).lower()
    if name not in allowed and name.removesuffix("s") in allowed:
        name = name.removesuffix("s")
    if name not in allowed:
        raise KqlError(f"{name!r} is no part of a time", args.place(index), hint=nearest(name, allowed))
    return name


def _start(unit: str, sql: Sql) -> Sql:
    """A week begins on Sunday."""
    if unit != "week":
        return fn("date_trunc", text(unit), sql)
    moved = fn("date_trunc", text("week"), binary(exp.Add, sql, fn("to_days", number(1))))
    return cast(binary(exp.Sub, moved, fn("to_days", number(1))), "TIMESTAMP")


def _step(unit: str, count: Sql) -> Sql:
    whole = cast(count, "INTEGER")
    match unit:
        case "year":
            return fn("to_months", binary(exp.Mul, whole, number(12)))
        case "quarter":
            return fn("to_months", binary(exp.Mul, whole, number(3)))
        case "month":
            return fn("to_months", whole)
        case "week":
            return fn("to_days", binary(exp.Mul, whole, number(7)))
        case "day":
            return fn("to_days", whole)
    return fn("to_microseconds", binary(exp.Mul, cast(count, "BIGINT"), long(_MICROS[unit])))


def _moved(sql: Sql, unit: str, count: Sql) -> Sql:
    return cast(binary(exp.Add, sql, _step(unit, count)), "TIMESTAMP")


def _bounded(name: str, unit: str, *, end: bool) -> None:
    def lower(args: Args) -> Value:
        source = args.typed(0, Kind.DATETIME)
        found = cast(_start(unit, source.sql), "TIMESTAMP")
        if len(args) > 1:
            found = _moved(found, unit, args.sql(1, Kind.LONG))
        if end:
            found = binary(exp.Sub, _moved(found, unit, number(1)), fn("to_microseconds", number(1)))
        return Value(tried(cast(found, "TIMESTAMP")), Kind.DATETIME, True)

    lower.__doc__ = f"the {'last' if end else 'first'} moment of the {unit}, perhaps some {unit}s later or earlier"
    function(name, least=1, most=2)(lower)


for _unit in ("day", "week", "month", "year"):
    _bounded(f"startof{_unit}", _unit, end=False)
    _bounded(f"endof{_unit}", _unit, end=True)


def _part(names: str, unit: str, about: str, kind: Kind = Kind.INT) -> None:
    def lower(args: Args) -> Value:
        source = args.typed(0, Kind.DATETIME)
        return Value(cast(fn("date_part", text(unit), source.sql), "INTEGER"), kind, source.nullable)

    lower.__doc__ = about
    function(*names.split())(lower)


_part("dayofmonth", "day", "the day of the month, from 1")
_part("dayofyear", "doy", "the day of the year, from 1")
_part("hourofday", "hour", "the hour, 0 to 23")
_part("monthofyear getmonth", "month", "the month, 1 to 12")
_part("getyear", "year", "the year")
_part("week_of_year weekofyear", "week", "the week of the year as in ISO 8601", Kind.LONG)


@function("dayofweek")
def dayofweek(args: Args) -> Value:
    """how long since Sunday, as whole days"""
    source = args.typed(0, Kind.DATETIME)
    found = binary(exp.Mul, cast(fn("date_part", text("dow"), source.sql), "BIGINT"), long(DAY))
    return Value(found, Kind.TIMESPAN, source.nullable)


@function("datetime_part", least=2)
def datetime_part(args: Args) -> Value:
    """one part of a time, such as "hour" or "week_of_year" """
    names = {
        "year": "year", "quarter": "quarter", "month": "month", "week_of_year": "week", "day": "day",
        "dayofyear": "doy", "hour": "hour", "minute": "minute", "second": "second",
    }  # fmt: skip
    unit = _period(args, 0, (*names, "weekofyear", "millisecond", "microsecond", "nanosecond"))
    source = args.typed(1, Kind.DATETIME)
    if unit in ("millisecond", "microsecond", "nanosecond"):
        below = binary(exp.Mod, fn("epoch_us", source.sql), long(1_000_000))
        below = binary(exp.Mod, binary(exp.Add, below, long(1_000_000)), long(1_000_000))
        scaled = {
            "millisecond": binary(exp.IntDiv, below, long(1000)),
            "microsecond": below,
            "nanosecond": binary(exp.Mul, below, long(1000)),
        }[unit]
        return Value(scaled, Kind.LONG, source.nullable)
    found = fn("date_part", text(names.get(unit, "week")), source.sql)
    return Value(cast(found, "BIGINT"), Kind.LONG, source.nullable)


@function("datetime_diff", least=3)
def datetime_diff(args: Args) -> Value:
    """how many of a calendar's boundaries lie between two times"""
    unit = _period(args, 0, _PERIODS)
    later, earlier = (_ordinal(unit, args.sql(n, Kind.DATETIME)) for n in (1, 2))
    return Value(cast(binary(exp.Sub, later, earlier), "BIGINT"), Kind.LONG)


def _ordinal(unit: str, sql: Sql) -> Sql:
    """A number that grows by one at each boundary of the period."""
    if unit in ("year", "quarter", "month"):
        per_year = {"year": 1, "quarter": 4, "month": 12}[unit]
        years = binary(exp.Mul, fn("date_part", text("year"), sql), number(per_year))
        return years if unit == "year" else binary(exp.Add, years, fn("date_part", text(unit), sql))
    if unit == "nanosecond":
        return binary(exp.Mul, fn("epoch_us", sql), long(1000))
    micros = fn("epoch_us", _start("week", sql) if unit == "week" else sql)
    size = 7 * _MICROS["day"] if unit == "week" else _MICROS[unit]
    since = binary(exp.Add, micros, long(62135596800000000 + (_MICROS["day"] if unit == "week" else 0)))
    return binary(exp.IntDiv, since, long(size))


@function("datetime_add", least=3)
def datetime_add(args: Args) -> Value:
    """a time some periods later or earlier"""
    unit = _period(args, 0, _PERIODS[:-1])
    return Value(tried(_moved(args.sql(2, Kind.DATETIME), unit, args.sql(1, Kind.LONG))), Kind.DATETIME)


@function("make_datetime", least=3, most=6)
def make_datetime(args: Args) -> Value:
    """a time from year, month, day, hour, minute, second; null where there is none"""
    if len(args) == 4:
        raise args.error("make_datetime() takes 3, 5 or 6 arguments")
    parts: list[Sql] = [cast(args.sql(n, Kind.LONG), "BIGINT") for n in range(min(len(args), 5))]
    parts += [cast(number(0), "BIGINT")] * (5 - len(parts))
    parts.append(cast(args.sql(5, Kind.REAL), "DOUBLE") if len(args) > 5 else cast(number(0), "DOUBLE"))
    return Value(tried(fn("make_timestamp", *parts)), Kind.DATETIME)


@function("make_timespan", least=2, most=4)
def make_timespan(args: Args) -> Value:
    """a timespan from (days,) hours, minutes(, seconds)"""
    names = {2: (0, 1, None), 3: (0, 1, 2), 4: (1, 2, 3)}[len(args)]
    total: Sql = long(0)
    for index, size in zip(names, (36_000_000_000, 600_000_000, 10_000_000), strict=True):
        if index is not None:
            part = binary(exp.Mul, args.sql(index, Kind.REAL), cast(number(size), "DOUBLE"))
            total = binary(exp.Add, total, cast(fn("round", part), "BIGINT"))
    if len(args) == 4:
        total = binary(exp.Add, total, binary(exp.Mul, args.sql(0, Kind.LONG), long(DAY)))
    return Value(tried(total), Kind.TIMESPAN)


@function("format_datetime", least=2)
def format_datetime(args: Args) -> Value:
    """a time in a form such as "yyyy-MM-dd HH:mm:ss.fff" """
    return call("kql_format_datetime", args.sql(0, Kind.DATETIME), text(args.text(1)), kind=Kind.STRING)


@function("format_timespan", least=2)
def format_timespan(args: Args) -> Value:
    """a timespan in a form such as "d.hh:mm:ss" """
    return call("kql_format_timespan", args.sql(0, Kind.TIMESPAN), text(args.text(1)), kind=Kind.STRING)


def _unix(name: str, micros: int, per: int) -> None:
    def lower(args: Args) -> Value:
        value = args.number(0)
        scaled = binary(exp.Mul, cast(value.sql, "DOUBLE" if value.kind is Kind.REAL else "BIGINT"), number(micros))
        found = cast(scaled, "BIGINT") if per == 1 else binary(exp.IntDiv, cast(scaled, "BIGINT"), number(per))
        return Value(tried(moment(found)), Kind.DATETIME)

    lower.__doc__ = "a time from what has passed since 1970"
    function(name)(lower)


_unix("unixtime_seconds_todatetime", 1_000_000, 1)
_unix("unixtime_milliseconds_todatetime", 1_000, 1)
_unix("unixtime_microseconds_todatetime", 1, 1)
_unix("unixtime_nanoseconds_todatetime", 1, 1_000)


@function("datetime_utc_to_local", "datetime_local_to_utc", least=2)
def local(args: Args) -> Value:
    """a time moved between UTC and a zone of the IANA database"""
    name = "kql_to_local" if args.name.startswith("datetime_utc") else "kql_to_utc"
    found = fn(name, args.sql(0, Kind.DATETIME), text(args.text(1)))
    return Value(cast(found, "TIMESTAMP"), Kind.DATETIME)


__all__ = ["coalesce"]
