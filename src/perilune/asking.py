"""KQL hunts over all that was read, here by DuckDB or by a cluster as Spark SQL."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from perilune.detection.kql import hunts
from perilune.model.rules import Refusal, Rule
from perilune.store.spool import Spool

if TYPE_CHECKING:
    from perilune.detection.kql.hunting import Found
    from perilune.runners.spark import Cluster


def ask(rules: Sequence[Rule], spool: Spool, cluster: Cluster | None) -> tuple[list[Found], list[Refusal]]:
    """What the hunts found, with the places of the spool's rows; and those that failed."""
    read = {name for name, rows in spool.rows.items() if rows}
    tables = {scope.table for rule in rules for scope in rule.scopes} & read
    if not tables:
        return [], []
    from perilune.detection.kql import hunting  # imported late: DuckDB and SQLGlot take a quarter of a second

    asked = {name: spool.compact(name, hunts.columns_of(rules, name)) for name in sorted(tables)}
    found, refused = hunting.run(rules, asked)
    return [replace(one, place=spool.place(one.table, one.place)) for one in found], refused
