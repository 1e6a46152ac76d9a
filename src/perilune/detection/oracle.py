"""The slow, obvious matcher, straight from the Sigma specification, one row at a time.

It says what is right: tests prove the fast matcher equal to it, evidence for each match comes from it, and so does
the explanation of why a rule did or did not hold.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

from perilune.detection import words
from perilune.detection.values import (
    SEARCHED,
    as_number,
    as_text,
    fold,
    in_network,
    item,
    json_field,
    json_object,
    searched,
    shorten,
    time_part,
)
from perilune.model.rules import (
    And,
    Boolean,
    Cidr,
    Compare,
    Evidence,
    Exists,
    Expr,
    Field,
    FieldMatch,
    Keyword,
    Leaf,
    Match,
    Not,
    Null,
    Number,
    Or,
    Regex,
    Rule,
    SameRow,
    Text,
    TimePart,
    Wildcard,
)
from perilune.model.tables import Table

Row = Mapping[str, object]
Parts = tuple[str | Wildcard, ...]

_LOG_SOURCE = frozenset({"XPlatform", "XProvider", "XChannel", "XScriptLanguage", "ActionType"})  # no evidence


@dataclass(frozen=True, slots=True)
class Explanation:
    """One node of a rule's tree on one row: whether it held, and for a leaf, on which value."""

    test: str
    held: bool
    value: str | None = None
    parts: tuple[Explanation, ...] = ()


def holds(expr: Expr, row: Row) -> bool:
    """Whether the expression is true of the row."""
    match expr:
        case And(of=parts):
            return all(holds(part, row) for part in parts)
        case Or(of=parts):
            return any(holds(part, row) for part in parts)
        case Not(of=inner):
            return not holds(inner, row)
        case _:
            return _leaf(expr, row)


def match(rules: Iterable[Rule], table: Table) -> Iterator[Match]:
    """Every rule on every row, in the order of rows."""
    scoped = [rule for rule in rules if any(scope.table == table.name for scope in rule.scopes)]
    for index, row in enumerate(table.data.to_pylist()):
        for rule in scoped:
            if rule_holds(rule, table.name, row):
                yield Match(rule, table.ref(index), evidence(rule, table.name, row))


def rule_holds(rule: Rule, table: str, row: Row) -> bool:
    """Whether the rule holds on a row of the table."""
    return any(scope.table == table and holds(scope.expr, row) for scope in rule.scopes)


def evidence(rule: Rule, table: str, row: Row) -> tuple[Evidence, ...]:
    """The leaves that made the rule hold on the row, those under a negation left out."""
    found = (
        Evidence(words.field_name(leaf), words.column(leaf), shorten(_shown(leaf, row)), words.test(leaf))
        for scope in rule.scopes
        if scope.table == table
        for leaf in _held(scope.expr, row) or ()
        if isinstance(leaf, Keyword) or leaf.field.name not in _LOG_SOURCE
    )
    return tuple(dict.fromkeys(found))


def explain(rule: Rule, table: str, row: Row) -> Explanation:
    """Why the rule holds on the row, or why not: its whole tree with the values it was tested on."""
    scopes = [scope for scope in rule.scopes if scope.table == table]
    if not scopes:
        return Explanation(f"{rule.title}: it does not read {table}", held=False)
    parts = tuple(_explained(scope.expr, row) for scope in scopes)
    return Explanation(rule.title, any(part.held for part in parts), None, parts)


def _explained(expr: Expr, row: Row) -> Explanation:
    held = holds(expr, row)
    match expr:
        case And(of=parts):
            return Explanation("all of", held, None, tuple(_explained(part, row) for part in parts))
        case Or(of=parts):
            return Explanation("any of", held, None, tuple(_explained(part, row) for part in parts))
        case Not(of=inner):
            return Explanation("not", held, None, (_explained(inner, row),))
        case _:
            return Explanation(words.sentence(expr), held, shorten(_shown(expr, row)))


def _held(expr: Expr, row: Row) -> list[Leaf] | None:
    """The leaves that make the expression hold, none of a negation; None where it does not hold."""
    match expr:
        case And(of=parts):
            found: list[Leaf] = []
            for part in parts:
                inner = _held(part, row)
                if inner is None:
                    return None
                found += inner
            return found
        case Or(of=parts):
            each = [inner for part in parts if (inner := _held(part, row)) is not None]
            return [leaf for inner in each for leaf in inner] if each else None
        case Not(of=part):
            return None if holds(part, row) else []
        case _:
            return [expr] if _leaf(expr, row) else None


def _shown(leaf: Leaf, row: Row) -> str:
    if isinstance(leaf, Keyword):
        return next((text for text in _texts(row) if _keyword_in(leaf, text)), "")
    return as_text(_value(leaf.field, row)) or ""


def _value(field: Field, row: Row) -> object:
    value = row.get(field.column)
    if field.key is None:
        return value
    return as_text(json_field(value, field.key) if isinstance(value, str) else item(value, field.key))


def _leaf(leaf: Leaf, row: Row) -> bool:
    if isinstance(leaf, Keyword):
        return any(_keyword_in(leaf, text) for text in _texts(row))
    value = _value(leaf.field, row)
    if isinstance(leaf, Null):
        return value is None
    if value is None:
        return False
    if isinstance(leaf, SameRow):
        return same(leaf, value, _value(leaf.other, row))
    return _value_holds(leaf, value)


def _value_holds(leaf: Leaf, value: object) -> bool:
    match leaf:
        case Exists():
            return True
        case Text(parts=parts, cased=cased):
            return _like(parts, cased, as_text(value) or "")
        case Regex(pattern=pattern, flags=flags):
            return searched(pattern, flags, as_text(value) or "")
        case Number(op=op, value=wanted):
            return _compared(as_number(value), op, wanted)
        case TimePart(part=part, op=op, value=wanted):
            return _compared(time_part(value, part), op, wanted)
        case Boolean(value=wanted):
            return fold(as_text(value) or "") == ("true" if wanted else "false")
        case Cidr(network=network):
            return in_network(as_text(value) or "", network)
    raise AssertionError(f"no such test: {leaf}")


def _like(parts: Parts, cased: bool, text: str) -> bool:
    if cased:
        return _fits(parts, text)
    return _fits(_folded(parts), fold(text))


@lru_cache(maxsize=65_536)
def _folded(parts: Parts) -> Parts:
    return tuple(fold(part) if isinstance(part, str) else part for part in parts)


def _fits(parts: Parts, text: str) -> bool:
    """Whether the pattern stands for the whole text."""
    match parts:
        case ():
            return text == ""
        case (str(word),):
            return text == word
        case (Wildcard.MANY, str(word), Wildcard.MANY):
            return word in text
        case (str(word), Wildcard.MANY):
            return text.startswith(word)
        case (Wildcard.MANY, str(word)):
            return text.endswith(word)
        case _:
            return len(text) in _reached(parts, text)


def _reached(parts: Parts, text: str) -> set[int]:
    """How much of the text the parts can consume, from the left.

    All positions are carried along, so that the time is bounded by the product of the lengths.
    """
    reached = {0}
    for part in parts:
        if part is Wildcard.MANY:
            reached = set(range(min(reached), len(text) + 1)) if reached else set()
        elif part is Wildcard.ONE:
            reached = {at + 1 for at in reached if at < len(text)}
        elif isinstance(part, str):
            reached = {at + len(part) for at in reached if text.startswith(part, at)}
    return reached


def _compared(value: int | float | None, op: Compare, wanted: int | float) -> bool:
    if value is None:
        return False
    match op:
        case Compare.EQ:
            return value == wanted
        case Compare.NEQ:
            return value != wanted
        case Compare.LT:
            return value < wanted
        case Compare.LTE:
            return value <= wanted
        case Compare.GT:
            return value > wanted
        case Compare.GTE:
            return value >= wanted


def same(leaf: SameRow, value: object, other: object) -> bool:
    """Whether two values of one row compare as a `fieldref` asks."""
    if value is None or other is None:
        return False
    one, two = as_text(value) or "", as_text(other) or ""
    if not leaf.cased:
        one, two = fold(one), fold(two)
    match leaf.how:
        case FieldMatch.EQUALS:
            return one == two
        case FieldMatch.CONTAINS:
            return two in one
        case FieldMatch.STARTSWITH:
            return one.startswith(two)
        case FieldMatch.ENDSWITH:
            return one.endswith(two)


def _texts(row: Row) -> Iterator[str]:
    for column, value in row.items():
        if column not in SEARCHED:
            continue
        if column == "AdditionalFields" and isinstance(value, str) and json_object(value):
            yield from (text for inner in json_object(value).values() if (text := as_text(inner)) is not None)
        elif isinstance(value, str):
            yield value
        elif isinstance(value, list):
            yield from (text for inner in value if (text := as_text(inner)) is not None)


def _keyword_in(leaf: Keyword, text: str) -> bool:
    if leaf.pattern is not None:
        return searched(leaf.pattern, leaf.flags, text)
    return _like(leaf.parts, leaf.cased, text)
