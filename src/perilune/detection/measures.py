"""What is measured in a window while matches come in at its end and leave at its beginning. Exact: no rounding."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import Counter
from fractions import Fraction
from typing import Protocol

from perilune.model.correlations import Correlation, Kind

Number = int | float | Fraction


class Measure(Protocol):
    """`begin` is the time of the window's first match."""

    def add(self, time: int, rule: int, value: Number) -> None: ...
    def remove(self, rule: int, value: Number) -> None: ...
    def value(self, begin: int) -> Number: ...


def measure(one: Correlation) -> Measure:
    match one.kind:
        case Kind.EVENT_COUNT:
            return _Sum(of_values=False)
        case Kind.VALUE_COUNT:
            return _Distinct(of_values=True)
        case Kind.TEMPORAL:
            return _Distinct(of_values=False)
        case Kind.TEMPORAL_ORDERED:
            return _Chain(len(one.rules))
        case Kind.VALUE_SUM:
            return _Sum(of_values=True)
        case Kind.VALUE_AVG:
            return _Average()
        case Kind.VALUE_MEDIAN:
            return _Median()
        case Kind.VALUE_PERCENTILE:
            return _Percentile(one.percentile)


class _Sum:
    """Exact, so that adding and removing leaves nothing behind: a float is a fraction here."""

    def __init__(self, *, of_values: bool) -> None:
        self._of_values = of_values
        self.total: int | Fraction = 0

    def add(self, time: int, rule: int, value: Number) -> None:
        self.total += _exact(value) if self._of_values else 1

    def remove(self, rule: int, value: Number) -> None:
        self.total -= _exact(value) if self._of_values else 1

    def value(self, begin: int) -> Number:
        return self.total


class _Average(_Sum):
    def __init__(self) -> None:
        super().__init__(of_values=True)
        self._count = 0

    def add(self, time: int, rule: int, value: Number) -> None:
        super().add(time, rule, value)
        self._count += 1

    def remove(self, rule: int, value: Number) -> None:
        super().remove(rule, value)
        self._count -= 1

    def value(self, begin: int) -> Number:
        return Fraction(self.total) / max(self._count, 1)


class _Distinct:
    """How many different values, or rules, are in the window."""

    def __init__(self, *, of_values: bool) -> None:
        self._of_values = of_values
        self._counts: Counter[Number] = Counter()

    def add(self, time: int, rule: int, value: Number) -> None:
        self._counts[value if self._of_values else rule] += 1

    def remove(self, rule: int, value: Number) -> None:
        one = value if self._of_values else rule
        self._counts[one] -= 1
        if not self._counts[one]:
            del self._counts[one]

    def value(self, begin: int) -> Number:
        return len(self._counts)


class _Median:
    """The middle value; of an even number, the mean of the two in the middle."""

    def __init__(self) -> None:
        self._sorted: list[Number] = []

    def add(self, time: int, rule: int, value: Number) -> None:
        insort(self._sorted, value)

    def remove(self, rule: int, value: Number) -> None:
        del self._sorted[bisect_left(self._sorted, value)]

    def value(self, begin: int) -> Number:
        half, odd = divmod(len(self._sorted), 2)
        if odd:
            return self._sorted[half]
        return (Fraction(self._sorted[half - 1]) + Fraction(self._sorted[half])) / 2


class _Percentile(_Median):
    """The nearest rank: the least value that so many percent of all are not above."""

    def __init__(self, percent: int) -> None:
        super().__init__()
        self._percent = percent

    def value(self, begin: int) -> Number:
        rank = -(-self._percent * len(self._sorted) // 100)
        return self._sorted[max(rank, 1) - 1]


class _Chain:
    """How many of the rules match one after the other, in their order, some perhaps left out.

    For each length it keeps how late such a chain can begin; nothing need be removed, since a chain that begins
    before the window is not in it.
    """

    def __init__(self, rules: int) -> None:
        self._begins: list[dict[int, int]] = [{} for _ in range(rules)]  # by last rule: length -> latest begin
        self._best: dict[int, int] = {}

    def add(self, time: int, rule: int, value: Number) -> None:
        mine = self._begins[rule]
        mine[1] = time
        for before in self._begins[:rule]:
            for length, begin in before.items():
                mine[length + 1] = max(mine.get(length + 1, begin), begin)
        for length, begin in mine.items():
            self._best[length] = max(self._best.get(length, begin), begin)

    def remove(self, rule: int, value: Number) -> None:
        pass

    def value(self, begin: int) -> Number:
        return max((length for length, latest in self._best.items() if latest >= begin), default=0)


def _exact(value: Number) -> int | Fraction:
    return value if isinstance(value, int | Fraction) else Fraction(value)
