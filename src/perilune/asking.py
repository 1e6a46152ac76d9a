"""KQL hunts over all that was read, here by DuckDB or by a cluster as Spark SQL."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

import pyarrow.compute

from perilune.detection.kql import hunts
from perilune.model.rules import Refusal, Rule
from perilune.model.tables import TABLES
from perilune.store.spool import Spool
from perilune.store.strewn import Strewn

if TYPE_CHECKING:
    from perilune.detection.kql.hunting import Found
    from perilune.runners.spark import Cluster

Answer = tuple[list["Found"], list[Refusal]]
pc: Any = pyarrow.compute


def ask(rules: Sequence[Rule], spool: Spool, cluster: Cluster | None) -> Answer:
    """What the hunts found, with the places of the spool's rows; and those that failed."""
    read = {name for name, rows in spool.rows.items() if rows}
    wanted = [rule for rule in rules if not read.isdisjoint(scope.table for scope in rule.scopes)]
    if not wanted:
        return [], []
    now = _newest(spool, read) or datetime(2026, 1, 1)
    found, refused, left = _there(wanted, spool, cluster, read, now)
    more, further = _here(left, spool, read, now) if left else ([], [])
    return [*found, *more], [*refused, *further]


def _here(rules: Sequence[Rule], spool: Spool, read: Collection[str], now: datetime) -> Answer:
    from perilune.detection.kql import hunting  # imported late: DuckDB and SQLGlot take a quarter of a second

    names = {scope.table for rule in rules for scope in rule.scopes}.intersection(read)
    tables = {name: spool.compact(name, hunts.columns_of(rules, name)) for name in sorted(names)}
    found, refused = hunting.run(rules, tables, now=now)
    return [replace(one, place=spool.place(one.table, one.place)) for one in found], refused


def _there(
    rules: Sequence[Rule], spool: Spool, cluster: Cluster | None, read: Collection[str], now: datetime
) -> tuple[list[Found], list[Refusal], list[Rule]]:
    """What a cluster finds; the rules whose tables lie elsewhere, or that it cannot be asked, are left."""
    if cluster is None or not isinstance(spool, Strewn):
        return [], [], list(rules)
    from perilune.detection.kql import hunting
    from perilune.detection.kql.catalog import ROW, standard
    from perilune.detection.kql.spark import Elsewhere
    from perilune.runners import spark_tables

    session = Elsewhere(standard(filled=True), partial(spark_tables.ask, cluster))
    files = {name: spool.files(name) for name in read}
    asked = [
        rule
        for rule in rules
        if all(files.get(scope.table, True) for scope in rule.scopes) and session.can(rule.extra["kql"], now)
    ]
    for name in {scope.table for rule in asked for scope in rule.scopes}:
        spark_tables.open_table(cluster, name, TABLES[name].arrow, files.get(name, ()), ROW)
    return *hunting.ask(session, asked, now), [rule for rule in rules if rule not in asked]


def _newest(spool: Spool, read: Collection[str]) -> datetime | None:
    """The time of the newest event, naive and in UTC."""
    times = [
        pc.max(part.column("Timestamp")).as_py()
        for name in sorted(read)
        for part in spool.parts(name, ("Timestamp",))
        if part.has("Timestamp")
    ]
    last = max((time for time in times if time is not None), default=None)
    return last.astimezone(UTC).replace(tzinfo=None) if last is not None else None
