"""What the pipeline asks of this room: which rules hold on which rows of a batch, and why."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import cast

from perilune.detection import matcher
from perilune.detection.oracle import evidence, explain
from perilune.detection.plan import Plan, join
from perilune.detection.shape import Shape, shape
from perilune.model.rules import Rule, RuleSet
from perilune.model.tables import Table

__all__ = ["compiled", "evidence", "explain", "match"]


def match(rules: RuleSet, table: Table) -> Iterator[tuple[Rule, int]]:
    """Each rule that holds and the row that it holds on, in the order of rows."""
    indices, rows = matcher.match(compiled(rules.rules), table)
    for row, index in sorted(zip(rows.tolist(), indices.tolist(), strict=True)):
        yield rules.rules[index], row


def compiled(rules: tuple[Rule, ...]) -> Plan:
    """The plan of a set of rules; the last few are kept."""
    return _joined(_Keyed(tuple(rule.digest for rule in rules), rules))


class _Keyed:
    """Rules as a cache's key: a rule's digest stands for its text, and so for its tree."""

    __slots__ = ("digests", "rules")

    def __init__(self, digests: tuple[str, ...], rules: tuple[Rule, ...]) -> None:
        self.digests = digests
        self.rules = rules

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Keyed) and self.digests == other.digests

    def __hash__(self) -> int:
        return hash(self.digests)


@lru_cache(maxsize=4)
def _joined(keyed: _Keyed) -> Plan:
    return join([_shape(rule) for rule in keyed.rules])


def _shape(rule: Rule) -> Shape:
    return cast("Shape", rule.compiled) if rule.compiled is not None else shape(rule)
