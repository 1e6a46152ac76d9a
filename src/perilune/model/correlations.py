"""What a Sigma correlation says: which rules' matches, grouped how, within what time, and how many of what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from perilune.model.rules import Compare, Rule

DAY = 86_400 * 1_000_000  # in microseconds, as every time here


class Kind(StrEnum):
    """What is measured over the matches within one window of time."""

    EVENT_COUNT = "event_count"
    VALUE_COUNT = "value_count"
    TEMPORAL = "temporal"
    TEMPORAL_ORDERED = "temporal_ordered"
    VALUE_SUM = "value_sum"
    VALUE_AVG = "value_avg"
    VALUE_PERCENTILE = "value_percentile"
    VALUE_MEDIAN = "value_median"

    @property
    def counts_rules(self) -> bool:
        return self in (Kind.TEMPORAL, Kind.TEMPORAL_ORDERED)

    @property
    def needs_number(self) -> bool:
        return self in (Kind.VALUE_SUM, Kind.VALUE_AVG, Kind.VALUE_PERCENTILE, Kind.VALUE_MEDIAN)

    @property
    def needs_field(self) -> bool:
        return self is Kind.VALUE_COUNT or self.needs_number


# The signs of a condition in words, in the reversed notation that `Correlation.wanted` keeps it in.
AND, OR, NOT = "&", "|", "!"


@dataclass(frozen=True, slots=True)
class Bound:
    """One comparison of the measured number."""

    op: Compare
    value: int | float

    @property
    def words(self) -> str:
        sign = {
            "gt": "more than",
            "gte": "at least",
            "lt": "less than",
            "lte": "at most",
            "eq": "exactly",
            "neq": "not",
        }
        return f"{sign[self.op.value]} {self.value:,}"


@dataclass(frozen=True, slots=True)
class Correlation:
    """One correlation.

    rules       the names or ids that it refers to, as written
    span        microseconds from the first to the last match of a window, both inside
    group_by    fields or aliases that must be alike
    aliases     by alias, the field of each rule
    bounds      what the number must meet, all of them
    fields      whose values are counted or computed with
    wanted      a condition in words over the rules, operands before their sign; empty: the bounds
    generate    whether the rules are findings of their own besides
    """

    kind: Kind
    rules: tuple[str, ...]
    span: int
    group_by: tuple[str, ...] = ()
    aliases: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    bounds: tuple[Bound, ...] = ()
    fields: tuple[str, ...] = ()
    percentile: int = 50
    wanted: tuple[str, ...] = ()
    generate: bool = False

    @property
    def only_grows(self) -> bool:
        """Whether the condition, once it holds on some matches, holds on more of them too."""
        counted = self.kind in (Kind.EVENT_COUNT, Kind.VALUE_COUNT) or self.kind.counts_rules
        return counted and NOT not in self.wanted and all(b.op in (Compare.GT, Compare.GTE) for b in self.bounds)


@dataclass(frozen=True, slots=True)
class Place:
    """A row: its table, and where it stands among the rows of a run."""

    table: str
    row: int


@dataclass(frozen=True, slots=True)
class Correlated:
    """A correlation that held: one stretch of matches in which window after window met its condition.

    group      the fields that are alike, and their value
    value      the measured number of the strongest window; `measured` says of what
    windows    how many windows met the condition
    events     how many matches the stretch has; `shown` are some of them, oldest first, each with its rule
    first, last  of the stretch, in microseconds
    """

    rule: Rule
    group: tuple[tuple[str, str], ...]
    value: int | float
    measured: str
    windows: int
    events: int
    shown: Sequence[tuple[Place, Rule]]
    first: int
    last: int
