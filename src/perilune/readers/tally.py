"""Counts what one file gave, for its report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING

from perilune.model.sources import Problem, Reading, SourceReport
from perilune.ports import Count, Limits, Lost
from perilune.readers.gather import UNKNOWN
from perilune.readers.source import Source

if TYPE_CHECKING:
    from perilune.readers.normalize import Origin


class Tally:
    """Counts what one file gave; of unlike problems only so many kinds are kept."""

    def __init__(self, limits: Limits) -> None:
        self._most = limits.max_kinds
        self._found = 0
        self._lost = False
        self._skipped: Counter[str] = Counter()
        self._problems: dict[str, Problem] = {}

    def take(self, item: Count | Problem | Lost) -> None:
        match item:
            case Count(found, skipped):
                self._found += found
                self.skip(skipped)
            case Lost(problem):
                self.lose(problem)
            case Problem():
                self.add(item)

    def skip(self, reasons: Mapping[str, int]) -> None:
        for reason, count in reasons.items():
            if count:
                known = reason in self._skipped or len(self._skipped) < self._most
                self._skipped[reason if known else "for other reasons"] += count

    def lose(self, problem: Problem) -> None:
        self._lost = True
        self.add(problem)

    def add(self, problem: Problem) -> None:
        what = problem.what
        if what not in self._problems and len(self._problems) >= self._most:
            what = "other problems"
        known = self._problems.get(what, Problem(what, 0, problem.where))
        self._problems[what] = Problem(what, known.count + problem.count, known.where)

    def report(self, source: Source, origin: Origin) -> SourceReport:
        self.skip(origin.skipped)
        for problem in origin.faults.values():
            self.add(problem)
        return SourceReport(
            path=source.name,
            format=origin.format,
            reading=self._reading(sum(origin.counts.values())),
            records=self._found,
            rows=dict(origin.counts),
            skipped=dict(self._skipped),
            problems=tuple(self._problems.values()),
        )

    def _reading(self, rows: int) -> Reading:
        if self._lost:
            return Reading.PARTIAL if rows or self._found else Reading.UNREADABLE
        unknown = sum(count for reason, count in self._skipped.items() if reason.startswith(UNKNOWN))
        return Reading.UNKNOWN if unknown and unknown == self._found else Reading.COMPLETE
