"""What the pipeline asks of this room: which rules hold on which rows of a batch, and why."""

from __future__ import annotations

from collections.abc import Iterator

from perilune.detection import oracle
from perilune.detection.oracle import evidence, explain
from perilune.model.rules import Rule, RuleSet
from perilune.model.tables import Table

__all__ = ["evidence", "explain", "match"]


def match(rules: RuleSet, table: Table) -> Iterator[tuple[Rule, int]]:
    """Each rule that holds and the row that it holds on, in the order of rows."""
    scoped = [rule for rule in rules.rules if any(scope.table == table.name for scope in rule.scopes)]
    for index, row in enumerate(table.data.to_pylist()):
        for rule in scoped:
            if oracle.rule_holds(rule, table.name, row):
                yield rule, index
