"""The events of a correlation, gathered: matches of rules, and windows of the correlations below it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from perilune.detection import linking
from perilune.detection.keys import NOTHING, Codes, Numbering, together
from perilune.detection.matched import Matched
from perilune.detection.measures import Number
from perilune.model.correlations import Correlation, Kind
from perilune.model.rules import Rule

MAX_OF_MOMENT = 1_000  # matches of one window that lend their values to the correlation above


@dataclass(frozen=True, slots=True)
class Events:
    """The matches of one correlation, by group, then time, then rule.

    which   what matched: a row of `Matched` (0 and up), or a moment of a correlation below (-1 and down)
    """

    times: npt.NDArray[np.int64]
    groups: Codes
    rules: npt.NDArray[np.int64]
    which: npt.NDArray[np.int64]
    values: list[Number]
    names: list[tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Moment:
    """One window that met its condition, as a match for the correlations above."""

    time: int
    rules: npt.NDArray[np.int64]
    which: npt.NDArray[np.int64]
    number: int


@dataclass(slots=True)
class _Gathered:
    """The parts of `Events` while they are collected; one code per group field and counted field."""

    times: list[npt.NDArray[np.int64]] = field(default_factory=list)
    rules: list[npt.NDArray[np.int64]] = field(default_factory=list)
    which: list[npt.NDArray[np.int64]] = field(default_factory=list)
    codes: list[list[Codes]] = field(default_factory=list)
    numbers: list[int | float | None] = field(default_factory=list)


class Gatherer:
    """Gathers from what rules matched, and from the moments of correlations that were evaluated before.

    moments  of all correlations; `of` has, by correlation, the places of its own
    """

    def __init__(
        self,
        rules: Sequence[Rule],
        links: Mapping[int, tuple[int, ...]],
        matched: Matched,
        moments: Sequence[Moment],
        of: Mapping[int, Sequence[int]],
    ) -> None:
        self._rules = rules
        self._links = links
        self._matched = matched
        self._moments = moments
        self._of = of

    def events(self, number: int, one: Correlation) -> Events | None:
        """All matches of a correlation's rules that have a time, a group, and what is counted."""
        numberings = [Numbering() for _ in (*one.group_by, *(() if one.kind.needs_number else one.fields))]
        gathered = _Gathered()
        for place, member in enumerate(self._links[number]):
            if member in self._links:
                self._gather_moments(gathered, number, place, member, one, numberings)
            else:
                self._gather_rows(gathered, place, member, one, numberings)
        if not gathered.times:
            return None
        return _sorted(gathered, one, numberings)

    def _gather_rows(
        self, gathered: _Gathered, place: int, member: int, one: Correlation, numberings: list[Numbering]
    ) -> None:
        leaf = self._rules[member]
        asked = [linking.alias_of(one, name, one.rules[place]) for name in (*one.group_by, *one.fields)]
        for rows in self._matched.of(leaf):
            gathered.times.append(rows.times)
            gathered.rules.append(np.full(len(rows.times), place, np.int64))
            gathered.which.append(rows.which)
            gathered.codes.append([rows.codes(leaf, n, c) for n, c in zip(asked, numberings, strict=False)])
            if one.kind.needs_number:
                gathered.numbers += rows.numbers(leaf, asked[-1])

    def _gather_moments(
        self, gathered: _Gathered, number: int, place: int, member: int, one: Correlation, numberings: list[Numbering]
    ) -> None:
        """The windows of a correlation below: each stands in the group of every match in it."""
        values = self._values_below(number, place, member, one, numberings)
        times, which, codes = [], [], []
        for at in self._of.get(member, ()):
            for key in sorted({values[row] for row in self._leaves(at) if row in values}):
                times.append(self._moments[at].time)
                which.append(-1 - at)
                codes.append(key)
        if times:
            gathered.times.append(np.array(times, np.int64))
            gathered.rules.append(np.full(len(times), place, np.int64))
            gathered.which.append(np.array(which, np.int64))
            gathered.codes.append([np.array(part, np.int64) for part in zip(*codes, strict=True)])

    def _leaves(self, at: int) -> Iterator[int]:
        """The rows below a moment, up to a limit."""
        waiting, seen = [at], {at}
        left = MAX_OF_MOMENT
        while waiting and left:
            for inner in self._moments[waiting.pop()].which[:MAX_OF_MOMENT].tolist():
                if inner < 0 and -1 - inner not in seen and len(seen) < MAX_OF_MOMENT:
                    seen.add(-1 - inner)
                    waiting.append(-1 - inner)
                elif inner >= 0 and left:
                    left -= 1
                    yield inner

    def _values_below(
        self, number: int, place: int, member: int, one: Correlation, numberings: list[Numbering]
    ) -> dict[int, tuple[int, ...]]:
        """By row below a correlation, the codes of the group's and the counted fields."""
        found: dict[int, tuple[int, ...]] = {}
        for leaf, asked in linking.leaf_fields(self._rules, number, self._links, member, one.rules[place]):
            for rows in self._matched.of(leaf):
                parts = [rows.codes(leaf, n, c).tolist() for n, c in zip(asked, numberings, strict=False)]
                keys = list(zip(*parts, strict=True)) if parts else [()] * len(rows.times)
                found.update(zip(rows.which.tolist(), keys, strict=True))
        return found


def _sorted(gathered: _Gathered, one: Correlation, numberings: list[Numbering]) -> Events:
    times, rules, which = (np.concatenate(part) for part in (gathered.times, gathered.rules, gathered.which))
    codes = [np.concatenate(part) for part in zip(*gathered.codes, strict=True)] if numberings else []
    fields = len(one.group_by)
    groups = together(codes[:fields], len(times))
    values = together(codes[fields:], len(times)) if one.kind is Kind.VALUE_COUNT else None
    keep = groups != NOTHING
    if values is not None:
        keep &= values != NOTHING
    if one.kind.needs_number:
        keep &= np.array([number is not None for number in gathered.numbers], bool)
    order = np.lexsort((which, rules, times, groups))
    order = order[keep[order]]
    if not one.kind.counts_rules:
        order = _once(order, groups, which, values)
    computed = [gathered.numbers[at] or 0 for at in order] if one.kind.needs_number else None
    plain = values[order].tolist() if values is not None else [0] * len(order)
    return Events(
        times=times[order],
        groups=groups[order],
        rules=rules[order],
        which=which[order],
        values=plain if computed is None else computed,
        names=_names(groups, codes[:fields], numberings),
    )


def _once(
    order: npt.NDArray[np.intp], groups: Codes, which: npt.NDArray[np.int64], values: Codes | None
) -> npt.NDArray[np.intp]:
    """An event that several of the rules match is one event; a window of a correlation below may bring more values."""
    parts = [groups[order], which[order], *(() if values is None else (values[order],))]
    _, first = np.unique(np.stack(parts), axis=1, return_index=True)
    return order[np.sort(first)]


def _names(groups: Codes, codes: Sequence[Codes], numberings: Sequence[Numbering]) -> list[tuple[str, ...]]:
    """By group, its values as they were first written."""
    kept, first = np.unique(groups, return_index=True)
    named = {
        int(group): tuple(n.written[int(part[at])] for part, n in zip(codes, numberings, strict=False))
        for group, at in zip(kept.tolist(), first.tolist(), strict=True)
        if group != NOTHING
    }
    return [named.get(group, ()) for group in range(int(kept.max(initial=-1)) + 1)]
