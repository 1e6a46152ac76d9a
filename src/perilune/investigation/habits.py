"""A learned history at a glance: each habit of each interpreter, with how many days and hosts it has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from perilune.investigation.baseline import LEAST_DAYS
from perilune.model.baseline import Facet

compute: Any = pc  # whose stubs ask for arrays where Arrow takes plain values


@dataclass(frozen=True, slots=True)
class Habit:
    """One value of one facet, over all days and hosts asked for. `value` is empty for those too many to keep."""

    interpreter: str
    facet: str
    value: str
    hosts: int
    days: int
    runs: int
    first: date
    last: date


@dataclass(frozen=True, slots=True)
class Overview:
    """What a history holds. `short`: hosts with less than `least` days; `more`: habits that are not listed."""

    days: tuple[date, ...]
    hosts: int
    runs: int
    short: int
    uses: tuple[Habit, ...]
    more: int
    least: int = LEAST_DAYS


def overview(counts: pa.Table, days: Sequence[date], limit: int) -> Overview:
    """The habits in a history, those of most days first; hours are left out, since every habit has some."""
    of_hosts = counts.filter(compute.equal(counts.column("facet"), Facet.HOST.value))
    by_host = of_hosts.group_by("host").aggregate([("day", "count_distinct")]).column("day_count_distinct")
    shown = counts.filter(compute.not_equal(counts.column("facet"), Facet.HOUR.value))
    of_any_host = compute.equal(shown.column("facet"), Facet.HOST.value)
    values = compute.if_else(of_any_host, "any", shown.column("value"))
    shown = shown.set_column(shown.schema.get_field_index("value"), "value", values)
    grouped = shown.group_by(["interpreter", "facet", "value"]).aggregate(
        [("host", "count_distinct"), ("day", "count_distinct"), ("runs", "sum"), ("first", "min"), ("last", "max")]
    )
    order = [("day_count_distinct", "descending"), ("runs_sum", "descending"), ("interpreter", "ascending")]
    top = grouped.sort_by([*order, ("facet", "ascending"), ("value", "ascending")]).slice(0, limit)  # type: ignore[list-item]
    return Overview(
        days=tuple(days),
        hosts=len(by_host),
        runs=int(compute.sum(of_hosts.column("runs")).as_py() or 0),
        short=int(compute.sum(compute.less(by_host, LEAST_DAYS)).as_py() or 0),
        uses=tuple(_habit(row) for row in top.to_pylist()),
        more=max(0, grouped.num_rows - limit),
    )


def _habit(row: dict[str, Any]) -> Habit:
    return Habit(
        row["interpreter"], row["facet"], row["value"] or "", row["host_count_distinct"], row["day_count_distinct"],
        row["runs_sum"], row["first_min"].date(), row["last_max"].date(),
    )  # fmt: skip
