"""Functions that look at the rows around: only after `serialize`, `sort` or what keeps their order."""

from __future__ import annotations

from sqlglot import exp

from perilune.detection.kql.convert import convert
from perilune.detection.kql.functions.base import Args, function
from perilune.detection.kql.kinds import NUMERIC, Kind
from perilune.detection.kql.values import Sql, Value, cast, coalesce, fn, null, number


def _need_order(args: Args) -> None:
    if not args.scope.is_sorted:
        raise args.error(f"{args.name}() needs rows in an order", hint="put `| serialize` or `| sort by` before it")


def over(sql: Sql, *, partition: Sql | None = None, upto_here: bool = False) -> Sql:
    """A window over the rows as they stand."""
    frame = (
        exp.WindowSpec(kind="ROWS", start="UNBOUNDED", start_side="PRECEDING", end="CURRENT ROW") if upto_here else None
    )
    return exp.Window(this=sql, partition_by=[partition] if partition is not None else [], spec=frame)


@function("row_number", least=0, most=2)
def row_number(args: Args) -> Value:
    """the row's number, from 1 or the given start; begins again where the condition holds"""
    _need_order(args)
    start = args.whole(0, 1)
    group = _restarts(args, 1)
    if group is not None:
        raise args.error("row_number() with a restart is not supported", hint="summarize or mv-apply by group instead")
    found = over(fn("row_number"))
    return Value(cast(exp.Paren(this=exp.Add(this=found, expression=number(start - 1))), "BIGINT"), Kind.LONG, False)


def _restarts(args: Args, index: int) -> Sql | None:
    return args.value(index).sql if len(args) > index else None


def _neighbour(name: str, sql: str, about: str) -> None:
    def lower(args: Args) -> Value:
        _need_order(args)
        value = args.value(0)
        default = convert(args.value(2), value.kind).sql if len(args) > 2 else null(value.kind)
        found = over(fn(sql, value.sql, number(args.whole(1, 1)), default))
        if value.kind is Kind.STRING:
            found = coalesce(found, null(Kind.STRING))
        return Value(found, value.kind, value.kind is not Kind.STRING)

    lower.__doc__ = about
    function(name, least=1, most=3)(lower)


_neighbour("prev", "lag", "the value some rows before (one where not said), else the default")
_neighbour("next", "lead", "the value some rows later (one where not said), else the default")


@function("row_cumsum", least=1, most=2)
def row_cumsum(args: Args) -> Value:
    """the sum of the values so far"""
    _need_order(args)
    value = args.value(0)
    if value.kind not in (*NUMERIC, Kind.TIMESPAN):
        raise args.error(f"row_cumsum() does not add {value.kind}s")
    if len(args) > 1:
        raise args.error("row_cumsum() with a restart is not supported")
    kind = Kind.LONG if value.kind is Kind.INT else value.kind
    return Value(convert(Value(over(fn("sum", value.sql), upto_here=True), Kind.REAL), kind).sql
                 if kind is not Kind.TIMESPAN else cast(over(fn("sum", value.sql), upto_here=True), "BIGINT"),
                 kind)  # fmt: skip
