"""Choices, tests for nothing, and conversions."""

from __future__ import annotations

from sqlglot import exp

from perilune.detection.kql.convert import convert, to_string
from perilune.detection.kql.functions.base import MANY, Args, function, text_value
from perilune.detection.kql.kinds import Kind, common
from perilune.detection.kql.values import (
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
    text,
)


def alike(args: Args, values: list[Value]) -> tuple[list[Value], Kind]:
    """Values that may stand for each other, as one type; typed nulls fit any."""
    meant = [one for one in values if not (one.is_const and one.const is None)] or values
    kind = common([one.kind for one in meant])
    if kind is None:
        names = ", ".join(dict.fromkeys(one.kind.value for one in meant))
        raise args.error(f"{args.name}() cannot give one of {names}", hint="convert them to one type")
    return [convert(one, kind) for one in values], kind


@function("iff", "iif", least=3)
def iff(args: Args) -> Value:
    """one of two values, by a condition; null counts as false"""
    condition = args.compiler.scalars.predicate(args.exprs[0], args.scope)
    chosen, kind = alike(args, [args.value(1), args.value(2)])
    sql = case((condition.sql, chosen[0].sql), default=chosen[1].sql)
    return Value(sql, kind, kind is not Kind.STRING and any(one.nullable for one in chosen))


@function("case", least=3, most=MANY)
def case_(args: Args) -> Value:
    """the value behind the first condition that holds, else the last"""
    if len(args) % 2 == 0:
        raise args.error("case() takes pairs of a condition and a value, and one more value")
    scalars = args.compiler.scalars
    conditions = [scalars.predicate(args.exprs[n], args.scope) for n in range(0, len(args) - 1, 2)]
    values = [args.value(n) for n in (*range(1, len(args) - 1, 2), len(args) - 1)]
    chosen, kind = alike(args, values)
    branches = [(condition.sql, value.sql) for condition, value in zip(conditions, chosen, strict=False)]
    nullable = kind is not Kind.STRING and any(one.nullable for one in chosen)
    return Value(case(*branches, default=chosen[-1].sql), kind, nullable)


@function("coalesce", least=1, most=MANY)
def coalesce_(args: Args) -> Value:
    """the first value that is not null, or not empty for strings"""
    chosen, kind = alike(args, args.values())
    if kind is Kind.STRING:
        return text_value(coalesce(*[fn("nullif", one.sql, text("")) for one in chosen]), True)
    return Value(coalesce(*[one.sql for one in chosen]), kind, all(one.nullable for one in chosen))


@function("isnull")
def isnull(args: Args) -> Value:
    """whether a value is null; a string never is"""
    value = args.value(0)
    return bool_value(false() if value.kind is Kind.STRING else is_null(value.sql))


@function("isnotnull", "notnull")
def isnotnull(args: Args) -> Value:
    """whether a value is not null"""
    return bool_value(not_(isnull(args).sql))


@function("isempty")
def isempty(args: Args) -> Value:
    """whether a value is null or an empty string"""
    value = args.value(0)
    if value.kind is Kind.STRING:
        return bool_value(binary(exp.EQ, value.sql, text("")))
    if value.kind is Kind.DYNAMIC:
        return bool_value(binary(exp.EQ, to_string(value).sql, text("")))
    return bool_value(is_null(value.sql))


@function("isnotempty", "notempty")
def isnotempty(args: Args) -> Value:
    """whether a value is neither null nor an empty string"""
    return bool_value(not_(isempty(args).sql))


@function("not")
def not__(args: Args) -> Value:
    """the opposite of a condition; null stays null"""
    value = args.compiler.scalars.predicate(args.exprs[0], args.scope)
    return bool_value(not_(value.sql), value.nullable)


@function("isnan")
def isnan(args: Args) -> Value:
    """whether a real is no number"""
    return bool_value(coalesce(fn("isnan", args.sql(0, Kind.REAL)), false()))


@function("isinf")
def isinf(args: Args) -> Value:
    """whether a real is infinite"""
    return bool_value(coalesce(fn("isinf", args.sql(0, Kind.REAL)), false()))


@function("isfinite")
def isfinite(args: Args) -> Value:
    """whether a real is a finite number"""
    return bool_value(coalesce(fn("isfinite", args.sql(0, Kind.REAL)), false()))


@function("isascii")
def isascii(args: Args) -> Value:
    """whether a text has only ASCII characters"""
    return bool_value(fn("regexp_full_match", args.sql(0, Kind.STRING), text(r"[\x00-\x7F]*")))


@function("isutf8")
def isutf8(args: Args) -> Value:
    """whether a text is UTF-8, which every text here is"""
    return bool_value(binary(exp.EQ, args.sql(0, Kind.STRING), args.sql(0, Kind.STRING)))


def _conversion(*names: str, kind: Kind) -> None:
    def to(args: Args) -> Value:
        return convert(args.value(0), kind)

    to.__doc__ = f"the value as {kind.value}"
    function(*names)(to)


for _names, _kind in (
    ("toint", Kind.INT), ("tolong", Kind.LONG), ("todouble toreal", Kind.REAL), ("todecimal", Kind.DECIMAL),
    ("tobool toboolean", Kind.BOOL), ("todatetime", Kind.DATETIME), ("totimespan", Kind.TIMESPAN),
    ("toguid", Kind.GUID), ("tostring", Kind.STRING),
):  # fmt: skip
    _conversion(*_names.split(), kind=_kind)


@function("gettype")
def gettype(args: Args) -> Value:
    """the name of a value's type; for a dynamic, of what it holds"""
    value = args.value(0)
    if value.kind is not Kind.DYNAMIC:
        return constant(value.kind.value, Kind.STRING)
    kind = fn("json_type", value.sql)
    names = {
        "ARRAY": "array", "OBJECT": "dictionary", "VARCHAR": "string", "BIGINT": "long", "UBIGINT": "long",
        "DOUBLE": "double", "BOOLEAN": "bool",
    }  # fmt: skip
    branches = [(binary(exp.EQ, kind, text(held)), text(name)) for held, name in names.items()]
    return Value(case(*branches, default=text("null")), Kind.STRING, False)


@function("column_ifexists", "columnifexists", least=2)
def column_ifexists(args: Args) -> Value:
    """a column where the table has it, else the second value"""
    name = args.text(0)
    found = args.scope.relation.find(name) if args.scope.relation else None
    return found.value() if found else args.value(1)


@function("max_of", least=2, most=MANY)
def max_of(args: Args) -> Value:
    """the greatest of several values; nulls are passed over"""
    chosen, kind = alike(args, args.values())
    return Value(fn("greatest", *[one.sql for one in chosen]), kind, all(one.nullable for one in chosen))


@function("min_of", least=2, most=MANY)
def min_of(args: Args) -> Value:
    """the least of several values; nulls are passed over"""
    chosen, kind = alike(args, args.values())
    return Value(fn("least", *[one.sql for one in chosen]), kind, all(one.nullable for one in chosen))


@function("assert", least=2)
def assert_(args: Args) -> Value:
    """true, or the end of the query with the given message where the condition is known to be false"""
    if args.value(0).const is False:
        raise args.error(args.text(1))
    return args.compiler.scalars.predicate(args.exprs[0], args.scope)


@function("ingestion_time", least=0)
def ingestion_time(args: Args) -> Value:
    """the record's own time: files carry no time of ingestion"""
    relation = args.scope.relation
    for name in ("Timestamp", "TimeGenerated"):
        if relation is not None and (found := relation.find(name)):
            return found.value()
    return Value(null(Kind.DATETIME), Kind.DATETIME)


@function("rand", least=0, most=1)
def rand(args: Args) -> Value:
    """a random real from 0 to 1, or a random whole number below the given one"""
    args.compiler.volatile = True
    if not len(args):
        return Value(fn("random"), Kind.REAL, False)
    scaled = exp.Mul(this=fn("random"), expression=args.sql(0, Kind.LONG))
    return Value(cast(fn("floor", scaled), "BIGINT"), Kind.LONG, False)


@function("new_guid", least=0)
def new_guid(args: Args) -> Value:
    """a new random guid"""
    args.compiler.volatile = True
    return Value(cast(fn("uuid"), "VARCHAR"), Kind.GUID, False)


__all__ = ["alike", "joined"]
