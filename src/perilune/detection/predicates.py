"""A test of one column as a function over values.

The matcher calls it once for each distinct value that the words left over, many values at a time: each leaf is one
tight loop over those that the leaves before it did not settle. It searches in another way than the oracle does:
strings by their own methods, patterns from left to right or by RE2.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa
import pyarrow.compute as pc
import re2  # type: ignore[import-untyped]

from perilune.detection import encoding
from perilune.detection.cover import regex_words
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

Mask = npt.NDArray[np.bool_]
Texts = Sequence[str]
Values = Sequence[object]
Holds = Callable[[Texts, Values], Mask]  # folded texts and original values, none of them null
_MOST = 0.8
_FEW = 4  # words of an expression that are quicker looked for than the expression
_BULK = 64  # values from which on it pays to hand them to Arrow, whose regex engine is the same RE2
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
    """A compiled test: of values, and of null. The original values are given only where they are wanted."""

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
            return _in_turn(_alternatives(parts), until=True)
        case And(of=parts):
            return _in_turn([_compile(part) for part in sorted(parts, key=_effort)], until=False)
        case Not(of=inner):
            test = _compile(inner)
            return lambda texts, values: ~test(texts, values)
        case Null():
            return lambda texts, values: np.zeros(len(texts), np.bool_)
        case Exists():
            return lambda texts, values: np.ones(len(texts), np.bool_)
        case Regex(pattern=pattern, flags=flags):
            return _regex(pattern, flags)
        case Text(cased=True, parts=parts):
            return _each_value(_text(parts))
        case Text(parts=parts):
            return _each_text(_text(_folded(parts)))
        case Boolean(value=truth):
            return _each_text(("true" if truth else "false").__eq__)
        case _:
            return _of_value(expr)


def _in_turn(tests: Sequence[Holds], *, until: bool) -> Holds:
    """An Or (`until` true) or an And (`until` false): each test sees what is not settled by those before it."""
    if len(tests) == 1:
        return tests[0]

    def holds(texts: Texts, values: Values) -> Mask:
        settled: Mask = tests[0](texts, values) == until
        for test in tests[1:]:
            left = (~settled).nonzero()[0]
            if not len(left):
                break
            if len(left) > _MOST * len(texts):  # cheaper than to pick them out
                settled |= test(texts, values) == until
                continue
            at = left.tolist()
            originals = [values[one] for one in at] if values else values
            settled[left] = test([texts[one] for one in at], originals) == until
        result: Mask = settled == until
        return result

    return holds


def _alternatives(parts: Sequence[Expr]) -> list[Holds]:
    """The tests of an Or, its plain texts gathered by kind: a set of values, a tuple of ends, then each word."""
    words: dict[str, list[str]] = {"c": [], "p": [], "s": [], "e": []}
    others: list[Expr] = []
    for part in parts:
        kind = _kind(part)
        if kind is None or not isinstance(part, Text):
            others.append(part)
        else:
            words[kind].append(fold(next((p for p in part.parts if isinstance(p, str)), "")))
    whole, starts, ends = frozenset(words["e"]), tuple(words["p"]), tuple(words["s"])
    found: list[Holds] = []
    if whole:
        found.append(_each_text(whole.__contains__))
    if starts:
        found.append(_each_text(lambda text: text.startswith(starts)))
    if ends:
        found.append(_each_text(lambda text: text.endswith(ends)))
    found.extend(map(_containing, words["c"]))
    found.extend(_compile(part) for part in sorted(others, key=_effort))
    return found


def _effort(expr: Expr) -> int:
    """Which test to make first: short ones before long ones, expressions last."""
    match expr:
        case And(of=parts) | Or(of=parts):
            return sum(map(_effort, parts))
        case Not(of=inner):
            return _effort(inner)
        case Regex():
            return 20
        case _:
            return 1 if _kind(expr) else 3


def _containing(word: str) -> Holds:
    return lambda texts, values: np.array([word in text for text in texts], np.bool_)


def _each_text(test: Callable[[str], bool]) -> Holds:
    return lambda texts, values: np.array([test(text) for text in texts], np.bool_)


def _each_value(test: Callable[[str], bool]) -> Holds:
    return lambda texts, values: np.array([test(as_text(value) or "") for value in values], np.bool_)


def _regex(pattern: str, flags: str) -> Holds:
    search = regex(pattern, flags).search
    whole = f"(?{flags}){pattern}" if flags else pattern
    words = regex_words(pattern, flags)

    def holds(texts: Texts, values: Values) -> Mask:
        if words and len(words) <= _FEW and len(texts) == len(values):
            return _where(_having(texts, words), values, searched)
        return searched(values)

    def searched(values: Values) -> Mask:
        if len(values) >= _BULK and all(isinstance(value, str) for value in values):
            found = pc.match_substring_regex(pa.array(values, pa.string()), whole)
            return np.asarray(found.to_numpy(zero_copy_only=False), np.bool_)
        return np.array([search((as_text(value) or "").encode()) is not None for value in values], np.bool_)

    return holds


def _having(texts: Texts, words: Collection[str]) -> list[int]:
    """Where one of the words is in the text: an expression that needs one is worth trying only there."""
    if len(words) == 1:
        [word] = words
        return [at for at, text in enumerate(texts) if word in text]
    return [at for at, text in enumerate(texts) if any(word in text for word in words)]


def _where(some: list[int], values: Values, test: Callable[[Values], Mask]) -> Mask:
    mask = np.zeros(len(values), np.bool_)
    if some:
        mask[some] = test([values[at] for at in some])
    return mask


def _of_value(leaf: Expr) -> Holds:
    match leaf:
        case Number(op=op, value=wanted):
            return _compared(as_number, op, wanted)
        case TimePart(part=part, op=op, value=wanted):
            return _compared(lambda value: time_part(value, part), op, wanted)
        case Cidr(network=network):
            return _each_value(lambda text: in_network(text, network))
    raise AssertionError(f"not a test of one value: {leaf}")


def _compared(read: Callable[[object], float | None], op: Compare, wanted: float) -> Holds:
    compare = _OPERATORS[op]

    def test(value: object) -> bool:
        number = read(value)
        return number is not None and compare(number, wanted)

    return lambda texts, values: np.array([test(value) for value in values], np.bool_)


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


def _folded(parts: tuple[str | Wildcard, ...]) -> tuple[str | Wildcard, ...]:
    return tuple(fold(part) if isinstance(part, str) else part for part in parts)


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
    longest = max((*words, first or "", last or ""), key=len)
    return lambda text: longest in text and _in_order(text, first, words, last)


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
    longest = max((part for part in parts if isinstance(part, str)), key=len, default="")
    return lambda text: longest in text and search(text.encode()) is not None
