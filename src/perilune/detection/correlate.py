"""Correlations over the matches of a run: which groups of matches, in which windows, meet their conditions.

Only times, group values and places of matched rows are held. Input may come in any order, of any number of files and
hosts; everything is sorted by the events' own time. See `windows.py` for what a window is.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from perilune.detection import linking, windows
from perilune.detection.keys import NOTHING, Codes, Numbering, together
from perilune.detection.matched import Matched, RowSource
from perilune.detection.measures import Number
from perilune.model.correlations import Correlated, Correlation, Kind, Place
from perilune.model.rules import Compare, Role, Rule

MAX_STRETCHES = 500  # of one correlation that are given on; those beyond are counted
MAX_MOMENTS = 20_000  # of one correlation that another may build on
MAX_SHOWN = 50  # matches that a finding names
MAX_OF_MOMENT = 1_000  # matches of one window that lend their values to the correlation above


@dataclass(frozen=True, slots=True)
class Result:
    """What correlations found.

    cut       by rule id, how many further stretches were counted
    left_out  matched rows that no correlation looked at, because there were too many
    """

    found: tuple[Correlated, ...]
    cut: dict[str, int]
    left_out: int = 0


@dataclass(frozen=True, slots=True)
class _Events:
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
class _Moment:
    """One window that met its condition, as a match for the correlations above."""

    time: int
    rules: npt.NDArray[np.int64]
    which: npt.NDArray[np.int64]
    number: int


@dataclass(slots=True)
class _Gathered:
    """The parts of `_Events` while they are collected; one code per group field and counted field."""

    times: list[npt.NDArray[np.int64]] = field(default_factory=list)
    rules: list[npt.NDArray[np.int64]] = field(default_factory=list)
    which: list[npt.NDArray[np.int64]] = field(default_factory=list)
    codes: list[list[Codes]] = field(default_factory=list)
    numbers: list[int | float | None] = field(default_factory=list)


def run(rules: Sequence[Rule], source: RowSource) -> Result:
    """Evaluates each correlation among the rules, those that others build on first."""
    links = linking.members(rules)
    if not links:
        return Result((), {})
    state = _Run(rules, links, Matched(rules, links, source))
    for number in _bottom_up(links):
        state.evaluate(number)
    return Result(tuple(state.found), dict(state.cut), state.matched.left_out)


def _bottom_up(links: dict[int, tuple[int, ...]]) -> list[int]:
    done: list[int] = []

    def visit(number: int) -> None:  # no deeper than `linking.MAX_CHAIN`
        if number in links and number not in done:
            for below in links[number]:
                visit(below)
            done.append(number)

    for number in links:
        visit(number)
    return done


class _Run:
    def __init__(self, rules: Sequence[Rule], links: dict[int, tuple[int, ...]], matched: Matched) -> None:
        self._rules = rules
        self._links = links
        self.matched = matched
        self._moments: list[_Moment] = []
        self._of: dict[int, list[int]] = defaultdict(list)  # by correlation, its moments
        self._wanted = {below for members in links.values() for below in members}
        self.found: list[Correlated] = []
        self.cut: Counter[str] = Counter()

    def evaluate(self, number: int) -> None:
        rule, one = self._rules[number], linking.correlation_of(self._rules[number])
        events = self._events(number, one)
        if events is None:
            return
        seen = 0
        for begin, end in _large_enough(events, one):
            group = windows.Occurrences(
                events.times[begin:end].tolist(), events.rules[begin:end].tolist(), events.values[begin:end]
            )
            for stretch in windows.stretches(windows.met(group, one)):
                self._keep_moments(number, events, begin, stretch)
                if rule.role is not Role.PART:
                    seen += 1
                    if seen <= MAX_STRETCHES:
                        self.found.append(self._correlated(number, one, events, begin, stretch))
        if seen > MAX_STRETCHES:
            self.cut[rule.id or rule.digest] += seen - MAX_STRETCHES

    def _keep_moments(self, number: int, events: _Events, begin: int, stretch: list[windows.Window]) -> None:
        if number not in self._wanted:
            return
        for window in stretch:
            if len(self._of[number]) >= MAX_MOMENTS:
                self.cut[self._rules[number].id] += 1
                continue
            part = slice(begin + window.first, begin + window.last + 1)
            self._of[number].append(len(self._moments))
            self._moments.append(_Moment(window.met, events.rules[part], events.which[part], number))

    def _correlated(
        self, number: int, one: Correlation, events: _Events, begin: int, stretch: list[windows.Window]
    ) -> Correlated:
        first, last = begin + stretch[0].first, begin + stretch[-1].last + 1
        best = windows.strongest(stretch, one)
        names = events.names[int(events.groups[first])] if one.group_by else ()
        return Correlated(
            rule=self._rules[number],
            group=tuple(zip(one.group_by, names, strict=True)),
            value=best.value,
            measured=_measured(one),
            windows=len(stretch),
            events=len(set(events.which[first:last].tolist())),
            shown=self._shown(number, events.rules[first:last], events.which[first:last]),
            first=int(events.times[first]),
            last=int(events.times[last - 1]),
        )

    def _shown(
        self, number: int, rules: npt.NDArray[np.int64], which: npt.NDArray[np.int64]
    ) -> tuple[tuple[Place, Rule], ...]:
        """Some of the matches: the first and the last of each rule, then as many as there is room for."""
        firsts = {int(rule): at for at, rule in reversed(list(enumerate(rules.tolist())))}
        lasts = {int(rule): at for at, rule in enumerate(rules.tolist())}
        order = dict.fromkeys([*firsts.values(), *lasts.values(), *range(min(len(which), MAX_SHOWN))])
        found: dict[tuple[int, int], tuple[Place, Rule]] = {}
        seen: set[int] = set()
        for at in order:
            for row, rule in self._rows(number, int(rules[at]), int(which[at]), seen):
                found.setdefault((row, id(rule)), (self.matched.place(row), rule))
                if len(found) >= MAX_SHOWN:
                    break
            if len(found) >= MAX_SHOWN:
                break
        return tuple(found[key] for key in sorted(found, key=lambda key: (self.matched.time(key[0]), key)))

    def _rows(self, number: int, rule: int, which: int, seen: set[int]) -> Iterator[tuple[int, Rule]]:
        """The rows that a match stands for, each with the rule that holds on it; each moment is looked into once."""
        waiting = [(number, rule, which)]
        while waiting:
            number, rule, which = waiting.pop()
            if which >= 0:
                yield which, self._rules[self._links[number][rule]]
            elif which not in seen and len(seen) < MAX_OF_MOMENT:
                seen.add(which)
                moment = self._moments[-1 - which]
                inside = zip(moment.rules[:MAX_SHOWN].tolist(), moment.which[:MAX_SHOWN].tolist(), strict=True)
                waiting += reversed([(moment.number, *one) for one in inside])

    def _events(self, number: int, one: Correlation) -> _Events | None:
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
        for rows in self.matched.of(leaf):
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
        for at in self._of[member]:
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
            for rows in self.matched.of(leaf):
                parts = [rows.codes(leaf, n, c).tolist() for n, c in zip(asked, numberings, strict=False)]
                keys = list(zip(*parts, strict=True)) if parts else [()] * len(rows.times)
                found.update(zip(rows.which.tolist(), keys, strict=True))
        return found


def _sorted(gathered: _Gathered, one: Correlation, numberings: list[Numbering]) -> _Events:
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
    return _Events(
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


def _large_enough(events: _Events, one: Correlation) -> Iterator[tuple[int, int]]:
    """Where each group begins and ends; groups with too few matches to meet the condition are left out."""
    edges = np.flatnonzero(np.diff(events.groups)) + 1
    least = 1
    if one.only_grows and not one.wanted:
        least = max((int(b.value) + (b.op is Compare.GT) for b in one.bounds), default=1)
    for begin, end in zip([0, *edges.tolist()], [*edges.tolist(), len(events.groups)], strict=True):
        if end - begin >= max(least, 1):
            yield begin, end


def _measured(one: Correlation) -> str:
    """What the number is, in words."""
    of = ", ".join(one.fields)
    return {
        Kind.EVENT_COUNT: "events",
        Kind.VALUE_COUNT: f"different values of {of}",
        Kind.TEMPORAL: "of its rules",
        Kind.TEMPORAL_ORDERED: "of its rules in order",
        Kind.VALUE_SUM: f"sum of {of}",
        Kind.VALUE_AVG: f"average of {of}",
        Kind.VALUE_MEDIAN: f"median of {of}",
        Kind.VALUE_PERCENTILE: f"percentile {one.percentile} of {of}",
    }[one.kind]
