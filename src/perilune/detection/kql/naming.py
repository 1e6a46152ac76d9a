"""The names that Kusto gives to columns which the query leaves unnamed."""

from __future__ import annotations

from collections.abc import Collection

from perilune.detection.kql.syntax import Call, Expr, Index, Literal, Member, Name

# Calls that keep the name of the column they are made of.
_KEEPS = frozenset(
    "tostring toint tolong todouble toreal todecimal tobool toboolean todatetime totimespan todynamic toobject toguid "
    "parse_json parsejson bin floor bin_at round startofday startofweek startofmonth startofyear endofday endofweek "
    "endofmonth endofyear format_datetime format_timespan split take_any take_anyif".split()
)
_PREFIXES = {
    "make_set": "set", "make_set_if": "set", "make_list": "list", "make_list_if": "list",
    "make_list_with_nulls": "list", "make_bag": "bag", "make_bag_if": "bag", "makeset": "set", "makelist": "list",
    "make_dictionary": "dictionary",
}  # fmt: skip
_PREFIXED = frozenset(
    "strlen dcount dcountif sum sumif avg avgif min minif max maxif any anyif stdev stdevif stdevp variance "
    "varianceif variancep count count_distinct count_distinctif countif percentile percentiles "
    "binary_all_and binary_all_or binary_all_xor percentilew percentiles_array buildschema".split()
)


def own_name(expr: Expr) -> str | None:
    """The name of a path: `a`, `a.b` as a_b."""
    match expr:
        case Name(name):
            return name
        case Member(of, name):
            base = own_name(of)
            return f"{base}_{name}" if base else None
        case Index(of, Literal(_, step)):
            base = own_name(of)
            return f"{base}_{step}" if base else None
        case Call(name, args) if name in _KEEPS and args:
            return own_name(args[0])
    return None


def default_name(expr: Expr) -> str | None:
    """The name of an unnamed item, or None where it becomes Column1 and so on."""
    if not isinstance(expr, Call):
        return own_name(expr)
    if expr.name in _PREFIXES and expr.args:
        return f"{_PREFIXES[expr.name]}_{own_name(expr.args[0]) or ''}"
    if expr.name in ("percentile", "percentilew") and len(expr.args) > 1:
        shown = expr.args[-1].value if isinstance(expr.args[-1], Literal) else ""
        return f"{expr.name}_{own_name(expr.args[0]) or ''}_{shown}"
    if expr.name in _PREFIXED:
        base = own_name(expr.args[0]) if expr.args else ""
        return f"{expr.name}_{base or ''}"
    return own_name(expr)


def free(name: str, taken: Collection[str]) -> str:
    """The name, or with the first number that makes it new."""
    if name not in taken:
        return name
    number = 1
    while f"{name}{number}" in taken:
        number += 1
    return f"{name}{number}"


class Namer:
    """Gives out names within one operator: those asked for first, `Column1` where there is none."""

    def __init__(self, taken: Collection[str] = ()) -> None:
        self._taken = set(taken)
        self._count = 0

    def named(self, expr: Expr) -> str:
        wanted = default_name(expr)
        if wanted is None:
            self._count += 1
            wanted = f"Column{self._count}"
        found = free(wanted, self._taken)
        self._taken.add(found)
        return found

    def take(self, name: str) -> str:
        found = free(name, self._taken)
        self._taken.add(found)
        return found
