"""Correlations the slow and obvious way: every run of a group's matches is tried, every measure taken literally."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations

from perilune.model.correlations import AND, NOT, OR, Correlation, Kind
from perilune.model.rules import Compare


@dataclass(frozen=True)
class Happened:
    """One event: its time, the places of the rules that hold on it, its group, and its counted value."""

    time: int
    rules: frozenset[int]
    group: str | None
    value: int | float | None


@dataclass(frozen=True)
class Expected:
    group: str
    events: int
    windows: int
    first: int
    last: int
    value: int | float


def correlate(happened: Sequence[Happened], one: Correlation) -> list[Expected]:
    counted = [
        h for h in happened if h.rules and h.group is not None and (not one.kind.needs_field or h.value is not None)
    ]
    found: list[Expected] = []
    for group in sorted({h.group for h in counted if h.group is not None}):
        mine = sorted((h for h in counted if h.group == group), key=lambda h: h.time)
        found += _of_group(mine, group, one)
    return found


def _of_group(mine: Sequence[Happened], group: str, one: Correlation) -> Iterator[Expected]:
    held: list[set[int]] = []
    values: list[list[Fraction | int | float]] = []
    for window in _windows(mine, one.span):
        inside = [mine[at] for at in sorted(window)]
        if not _meets(inside, one):
            continue
        if held and held[-1] & window:
            held[-1] |= window
            values[-1].append(_measure(inside, one))
        else:
            held.append(set(window))
            values.append([_measure(inside, one)])
    few = all(b.op in (Compare.LT, Compare.LTE) for b in one.bounds) and bool(one.bounds)
    for places, measured in zip(held, values, strict=True):
        times = [mine[at].time for at in places]
        best = (min if few else max)(measured)
        yield Expected(group, len(places), len(measured), min(times), max(times), best)


def _windows(mine: Sequence[Happened], span: int) -> Iterator[set[int]]:
    """Every run that lies within the span and that no event can be added to at either end."""
    count = len(mine)
    fits = lambda i, j: 0 <= i <= j < count and mine[j].time - mine[i].time <= span  # noqa: E731
    for i in range(count):
        for j in range(i, count):
            if fits(i, j) and not fits(i - 1, j) and not fits(i, j + 1):
                yield set(range(i, j + 1))


def _meets(inside: Sequence[Happened], one: Correlation) -> bool:
    if one.wanted:
        present = {one.rules[rule] for h in inside for rule in h.rules}
        return _words(one.wanted, present)
    value = _measure(inside, one)
    tests = {
        Compare.GT: lambda bound: value > bound,
        Compare.GTE: lambda bound: value >= bound,
        Compare.LT: lambda bound: value < bound,
        Compare.LTE: lambda bound: value <= bound,
        Compare.EQ: lambda bound: value == bound,
        Compare.NEQ: lambda bound: value != bound,
    }
    return all(tests[bound.op](bound.value) for bound in one.bounds)


def _words(wanted: Sequence[str], present: set[str]) -> bool:
    signs = {AND: "and", OR: "or"}
    stack: list[str] = []
    for word in wanted:
        if word == NOT:
            stack.append(f"(not {stack.pop()})")
        elif word in signs:
            right, left = stack.pop(), stack.pop()
            stack.append(f"({left} {signs[word]} {right})")
        else:
            stack.append(str(word in present))
    return bool(eval(stack.pop()))


def _measure(inside: Sequence[Happened], one: Correlation) -> Fraction | int | float:
    values = sorted(h.value for h in inside if h.value is not None)
    exact = [Fraction(v) for v in values]
    match one.kind:
        case Kind.EVENT_COUNT:
            return len(inside)
        case Kind.VALUE_COUNT:
            return len(set(values))
        case Kind.TEMPORAL:
            return len({rule for h in inside for rule in h.rules})
        case Kind.TEMPORAL_ORDERED:
            return _longest_chain(inside, len(one.rules))
        case Kind.VALUE_SUM:
            return sum(exact)
        case Kind.VALUE_AVG:
            return sum(exact) / len(exact)
        case Kind.VALUE_MEDIAN:
            return statistics.median(exact)
        case Kind.VALUE_PERCENTILE:
            return next(v for v in values if 100 * sum(other <= v for other in values) >= one.percentile * len(values))


def _longest_chain(inside: Sequence[Happened], rules: int) -> int:
    """The longest choice of rules, in their order, whose events can be picked so that no time goes back."""
    for length in range(rules, 0, -1):
        for chosen in combinations(range(rules), length):
            now = min(h.time for h in inside)
            for rule in chosen:
                later = [h.time for h in inside if rule in h.rules and h.time >= now]
                if not later:
                    break
                now = min(later)
            else:
                return length
    return 0
