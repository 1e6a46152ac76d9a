"""What the pipeline asks of this room: which rules hold on which rows of a batch, and why."""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from collections.abc import Iterator
from typing import cast

import numpy as np

from perilune.detection import matcher
from perilune.detection.oracle import evidence, explain
from perilune.detection.plan import Plan, join
from perilune.detection.shape import Shape, shape
from perilune.model.rules import Rule, RuleSet
from perilune.model.tables import Table, concat

__all__ = ["Gathering", "columns", "compiled", "evidence", "explain", "match", "places"]

ENOUGH = 50_000  # rows of one table at which a gathered batch is given on
_KEPT = 4  # plans, of the rule sets used last


def match(rules: RuleSet, table: Table) -> Iterator[tuple[Rule, int]]:
    """Each rule that holds and the row that it holds on, in the order of rows."""
    indices, rows = places(rules, table)
    for row, index in zip(rows.tolist(), indices.tolist(), strict=True):
        yield rules.rules[index], row


def places(rules: RuleSet, table: Table) -> matcher.Hits:
    """The same as numbers: which rule, by its place in the set, and which row."""
    indices, rows = matcher.match(compiled(rules.rules), table)
    order = np.lexsort((indices, rows))
    return indices[order], rows[order]


def columns(rules: RuleSet, table: str) -> frozenset[str]:
    """The columns of a table that some rule reads, whole or a field inside."""
    plan = compiled(rules.rules).table(table)
    return frozenset() if plan is None else frozenset(name.partition(".")[0] for name in plan.columns)


class Gathering:
    """Puts small batches of one table together, since a batch of ten rows takes nearly as long as one of a thousand."""

    def __init__(self, enough: int = ENOUGH) -> None:
        self._enough = enough
        self._waiting: dict[str, list[Table]] = defaultdict(list)
        self._rows: dict[str, int] = defaultdict(int)

    def add(self, table: Table) -> Iterator[Table]:
        """Takes a batch, and gives the batches of its table that are large enough by now."""
        self._waiting[table.name].append(table)
        self._rows[table.name] += len(table)
        if self._rows[table.name] >= self._enough:
            yield self._taken(table.name)

    def rest(self) -> Iterator[Table]:
        """The batches that are left."""
        for name in sorted(name for name, waiting in self._waiting.items() if waiting):
            yield self._taken(name)

    def _taken(self, name: str) -> Table:
        self._rows[name] = 0
        return concat(self._waiting.pop(name))


# By the rules' identity; the rules are kept with their plan, so that no other tuple can take their place.
_plans: OrderedDict[int, tuple[tuple[Rule, ...], Plan]] = OrderedDict()


def compiled(rules: tuple[Rule, ...]) -> Plan:
    """The plan of a set of rules; the last few are kept."""
    found = _plans.get(id(rules))
    if found is not None:
        return found[1]
    plan = join([_shape(rule) for rule in rules])
    _plans[id(rules)] = (rules, plan)
    while len(_plans) > _KEPT:
        _plans.popitem(last=False)
    return plan


def _shape(rule: Rule) -> Shape:
    return cast("Shape", rule.compiled) if rule.compiled is not None else shape(rule)
