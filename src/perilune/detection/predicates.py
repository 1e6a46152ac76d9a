"""A test of one column as a Python function of a value.

The matcher calls it once for each distinct value that the words left over. It searches in another way than the
oracle does: strings by their own methods, patterns from left to right or by RE2.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import orjson
import re2  # type: ignore[import-untyped]

from perilune.detection import encoding
from perilune.detection.values import as_number, as_text, fold, in_network, regex, time_part
from perilune.model.rules import (
    And,
    Boolean,
    Cidr,
    Compare,
    Exists,
    Expr,
    Not,
    Null,
    Number,
    Or,
    Regex,
    Text,
    TimePart,
    Wildcard,
)

Holds = Callable[[str, object], bool]  # (folded text, original value) of a value that is not null
_OPERATORS: dict[Compare, Callable[[float, float], bool]] = {
    Compare.EQ: operator.eq,
    Compare.NEQ: operator.ne,
    Compare.LT: operator.lt,
    Compare.LTE: operator.le,
    Compare.GT: operator.gt,
    Compare.GTE: operator.ge,
}


@dataclass(frozen=True, slots=True)
class Predicate:
    """A compiled test: of values, and of null."""

    holds: Holds
    on_null: bool
    wants_original: bool


@lru_cache(maxsize=65_536)
def predicate(key: str) -> Predicate:
    """The function of an encoded test."""
    expr = encoding.decode(orjson.loads(key))
    return Predicate(_compile(expr), _on_null(expr), _wants_original(expr))


def _on_null(expr: Expr) -> bool:
    match expr:
        case And(of=parts):
            return all(map(_on_null, parts))
        case Or(of=parts):
            return any(map(_on_null, parts))
        case Not(of=inner):
            return not _on_null(inner)
        case _:
            return isinstance(expr, Null)


def _wants_original(expr: Expr) -> bool:
    match expr:
        case And(of=parts) | Or(of=parts):
            return any(map(_wants_original, parts))
        case Not(of=inner):
            return _wants_original(inner)
        case Text(cased=cased):
            return cased
        case _:
            return not isinstance(expr, Null | Exists | Boolean)


def _compile(expr: Expr) -> Holds:
    match expr:
        case Or(of=parts):
            return _any(parts)
        case And(of=parts):
            tests = [_compile(part) for part in parts]
            return lambda low, value: all(test(low, value) for test in tests)
        case Not(of=inner):
            test = _compile(inner)
            return lambda low, value: not test(low, value)
        case Null():
            return lambda low, value: False
        case Exists():
            return lambda low, value: True
        case Text(cased=True):
            cased = _text(expr.parts)
            return lambda low, value: cased(as_text(value) or "")
        case Text():
            folded = _text(tuple(fold(part) if isinstance(part, str) else part for part in expr.parts))
            return lambda low, value: folded(low)
        case _:
            return _of_value(expr)


def _of_value(leaf: Expr) -> Holds:
    match leaf:
        case Regex(pattern=pattern, flags=flags):
            search = regex(pattern, flags).search
            return lambda low, value: search((as_text(value) or "").encode()) is not None
        case Number(op=op, value=wanted):
            compare = _OPERATORS[op]
            return lambda low, value: (number := as_number(value)) is not None and compare(number, wanted)
        case TimePart(part=part, op=op, value=wanted):
            compare = _OPERATORS[op]
            return lambda low, value: (number := time_part(value, part)) is not None and compare(number, wanted)
        case Boolean(value=truth):
            word = "true" if truth else "false"
            return lambda low, value: low == word
        case Cidr(network=network):
            return lambda low, value: in_network(as_text(value) or "", network)
    raise AssertionError(f"not a test of one value: {leaf}")


def _any(parts: Sequence[Expr]) -> Holds:
    """An Or, its plain texts gathered by kind: one pass over a set, a tuple of ends, a list of words."""
    words: dict[str, list[str]] = {"c": [], "p": [], "s": [], "e": []}
    others: list[Holds] = []
    for part in parts:
        kind = _kind(part)
        if kind is None or not isinstance(part, Text):
            others.append(_compile(part))
        else:
            words[kind].append(fold(next((p for p in part.parts if isinstance(p, str)), "")))
    inside, starts, ends = tuple(words["c"]), tuple(words["p"]), tuple(words["s"])
    whole = frozenset(words["e"])

    def holds(low: str, value: object) -> bool:
        return (
            low in whole
            or low.startswith(starts)
            or low.endswith(ends)
            or any(word in low for word in inside)
            or any(other(low, value) for other in others)
        )

    return holds


def _kind(expr: Expr) -> str | None:
    """How a plain text stands in the value; None for a pattern with more to it."""
    if not isinstance(expr, Text) or expr.cased:
        return None
    match expr.parts:
        case () | (str(),):
            return "e"
        case (Wildcard.MANY, str(), Wildcard.MANY):
            return "c"
        case (str(), Wildcard.MANY):
            return "p"
        case (Wildcard.MANY, str()):
            return "s"
    return None


def _text(parts: tuple[str | Wildcard, ...]) -> Callable[[str], bool]:
    if Wildcard.ONE in parts:
        return _by_regex(parts)
    words = [part for part in parts if isinstance(part, str)]
    starts = bool(parts) and parts[0] is Wildcard.MANY
    ends = bool(parts) and parts[-1] is Wildcard.MANY
    if not starts and not ends and len(words) < 2:
        whole = words[0] if words else ""
        return lambda text: text == whole
    first = None if starts else words.pop(0)
    last = None if ends else words.pop()
    return lambda text: _in_order(text, first, words, last)


def _in_order(text: str, first: str | None, words: Sequence[str], last: str | None) -> bool:
    """Whether the text begins with `first`, then has the words one after the other, and ends with `last`."""
    at, end = 0, len(text)
    if first is not None:
        if not text.startswith(first):
            return False
        at = len(first)
    if last is not None:
        if not text.endswith(last) or end - len(last) < at:
            return False
        end -= len(last)
    for word in words:
        found = text.find(word, at, end)
        if found < 0:
            return False
        at = found + len(word)
    return True


def _by_regex(parts: tuple[str | Wildcard, ...]) -> Callable[[str], bool]:
    written = {Wildcard.ONE: ".", Wildcard.MANY: ".*"}
    pattern = "".join(written[p] if isinstance(p, Wildcard) else re2.escape(p) for p in parts)
    search = regex(rf"\A(?:{pattern})\z", "s").search
    return lambda text: search(text.encode()) is not None
