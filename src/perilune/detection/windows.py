"""Windows of time over the matches of one group, and what is measured in them. Plain numbers in, plain numbers out.

A window is a longest run of matches of which the last is no more than the time span after the first: both edges are
inside, and no match could be added at either end. Every set of matches that lies within the span is part of some
window, so nothing is missed at a boundary; and a window that ends in the middle of a burst does not exist, so that
"fewer than five" is not true of every burst's tail.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

from perilune.detection.measures import Number, measure
from perilune.model.correlations import AND, NOT, OR, Bound, Correlation
from perilune.model.rules import Compare


@dataclass(frozen=True, slots=True)
class Occurrences:
    """The matches of one group, by time and then by the rule's place in the correlation.

    rules   each match's rule, as its place in the correlation's list
    values  what is counted (a number that stands for a value) or computed with
    """

    times: Sequence[int]
    rules: Sequence[int]
    values: Sequence[Number]


@dataclass(frozen=True, slots=True)
class Window:
    """A window that met the condition: its first and last match, its measured number, and when it was first met."""

    first: int
    last: int
    value: int | float
    met: int


def longest_runs(times: Sequence[int], span: int) -> Iterator[tuple[int, int]]:
    """The first and the last place of each window."""
    end = before = -1
    for start, begin in enumerate(times):
        end = max(end, start)
        while end + 1 < len(times) and times[end + 1] - begin <= span:
            end += 1
        if end > before:
            yield start, end
            before = end


def met(found: Occurrences, one: Correlation) -> Iterator[Window]:
    """The windows that meet the condition, oldest first."""
    whole, growing = _Sliding(found, one), _Sliding(found, one)
    for first, last in longest_runs(found.times, one.span):
        whole.move(first, last)
        if whole.holds():
            when = growing.grow(first, last) if one.only_grows else last
            yield Window(first, last, plain(whole.value()), found.times[when])


def stretches(windows: Iterator[Window]) -> Iterator[list[Window]]:
    """Windows that share a match, together."""
    held: list[Window] = []
    for window in windows:
        if held and window.first > held[-1].last:
            yield held
            held = []
        held.append(window)
    if held:
        yield held


def strongest(windows: Sequence[Window], one: Correlation) -> Window:
    """The window that says most: the largest number, or the smallest where the condition asks for few."""
    few = bool(one.bounds) and all(bound.op in (Compare.LT, Compare.LTE) for bound in one.bounds)
    return (min if few else max)(windows, key=lambda window: window.value)


def plain(value: Number) -> int | float:
    """A fraction as the number people read."""
    if isinstance(value, Fraction):
        return int(value) if value.denominator == 1 else float(value)
    return value


def holds(bound: Bound, value: Number) -> bool:
    match bound.op:
        case Compare.EQ:
            return value == bound.value
        case Compare.NEQ:
            return value != bound.value
        case Compare.LT:
            return value < bound.value
        case Compare.LTE:
            return value <= bound.value
        case Compare.GT:
            return value > bound.value
        case Compare.GTE:
            return value >= bound.value


class _Sliding:
    """A window that only moves forward over the matches."""

    def __init__(self, found: Occurrences, one: Correlation) -> None:
        self._found = found
        self._one = one
        self._measure = measure(one)
        self._present: Counter[int] = Counter()
        self._first = self._end = 0

    def move(self, first: int, last: int) -> None:
        while self._end <= last:
            self._add()
        while self._first < first:
            self._remove()

    def grow(self, first: int, last: int) -> int:
        """The first place at which the condition holds on what the window has until there."""
        self.move(first, max(first, self._end - 1))
        while self._end <= last and not self.holds():
            self._add()
        return self._end - 1

    def value(self) -> Number:
        return self._measure.value(self._found.times[self._first])

    def holds(self) -> bool:
        if self._one.wanted:
            return _is_wanted(self._one, self._present)
        value = self.value()
        return all(holds(bound, value) for bound in self._one.bounds)

    def _add(self) -> None:
        at = self._end
        self._measure.add(self._found.times[at], self._found.rules[at], self._found.values[at])
        self._present[self._found.rules[at]] += 1
        self._end += 1

    def _remove(self) -> None:
        at = self._first
        self._measure.remove(self._found.rules[at], self._found.values[at])
        self._present[self._found.rules[at]] -= 1
        self._first += 1


def _is_wanted(one: Correlation, present: Counter[int]) -> bool:
    """The condition in words, on the rules that have a match in the window."""
    names = {name: place for place, name in enumerate(one.rules)}
    stack: list[bool] = []
    for word in one.wanted:
        if word == NOT:
            stack.append(not stack.pop())
        elif word in (AND, OR):
            right, left = stack.pop(), stack.pop()
            stack.append(left and right if word == AND else left or right)
        else:
            stack.append(present[names[word]] > 0)
    return stack.pop()
