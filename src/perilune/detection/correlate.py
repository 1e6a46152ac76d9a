"""Correlations over the matches of a run: which groups of matches, in which windows, meet their conditions.

Only times, group values and places of matched rows are held. Input may come in any order, of any number of files and
hosts; everything is sorted by the events' own time. See `windows.py` for what a window is.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from perilune.detection import linking, windows
from perilune.detection.matched import Matched, RowSource
from perilune.detection.occurrences import MAX_OF_MOMENT, Events, Gatherer, Moment
from perilune.model.correlations import Correlated, Correlation, Kind, Place
from perilune.model.rules import Compare, Role, Rule

MAX_STRETCHES = 500  # of one correlation that are given on; those beyond are counted
MAX_MOMENTS = 20_000  # of one correlation that another may build on
MAX_SHOWN = 50  # matches that a finding names


@dataclass(frozen=True, slots=True)
class Result:
    """What correlations found.

    cut       by rule id, how many further stretches were counted
    left_out  matched rows that no correlation looked at, because there were too many
    """

    found: tuple[Correlated, ...]
    cut: dict[str, int]
    left_out: int = 0


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
        self._moments: list[Moment] = []
        self._of: dict[int, list[int]] = defaultdict(list)  # by correlation, its moments
        self._gatherer = Gatherer(rules, links, matched, self._moments, self._of)
        self._wanted = {below for members in links.values() for below in members}
        self.found: list[Correlated] = []
        self.cut: Counter[str] = Counter()

    def evaluate(self, number: int) -> None:
        rule, one = self._rules[number], linking.correlation_of(self._rules[number])
        events = self._gatherer.events(number, one)
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

    def _keep_moments(self, number: int, events: Events, begin: int, stretch: list[windows.Window]) -> None:
        if number not in self._wanted:
            return
        for window in stretch:
            if len(self._of[number]) >= MAX_MOMENTS:
                self.cut[self._rules[number].id] += 1
                continue
            part = slice(begin + window.first, begin + window.last + 1)
            self._of[number].append(len(self._moments))
            self._moments.append(Moment(window.met, events.rules[part], events.which[part], number))

    def _correlated(
        self, number: int, one: Correlation, events: Events, begin: int, stretch: list[windows.Window]
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


def _large_enough(events: Events, one: Correlation) -> Iterator[tuple[int, int]]:
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
