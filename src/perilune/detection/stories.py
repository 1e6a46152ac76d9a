"""The cases beside a correlation that it must hold on and must not: a few events with their times, told in YAML."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from perilune.detection.besides import Item, load_items
from perilune.errors import RuleError
from perilune.model.tables import TABLES

MAX_EVENTS = 2_000  # of one case, repetitions counted
BEGIN = datetime(2026, 1, 5, 9, tzinfo=UTC)
_KEYS = {"table", "at", "row", "times", "every"}


@dataclass(frozen=True, slots=True)
class Story:
    """One case: its rows with their tables. `where` is `file:line`."""

    kind: str
    number: int
    rows: tuple[tuple[str, Mapping[str, object]], ...]
    where: str


def load(path: Path) -> tuple[Story, ...]:
    """The cases of a file. Raises RuleError that says which line is wrong."""
    return tuple(_story(item) for item in load_items(path, "cases"))


def _story(item: Item) -> Story:
    if not isinstance(item.value, list) or not item.value:
        raise RuleError("a case is a list of events with `table`, `at` and `row`", where=item.where)
    rows = tuple(row for event in item.value for row in _rows(event, item.where))
    if len(rows) > MAX_EVENTS:
        raise RuleError(f"more than {MAX_EVENTS:,} events", where=item.where)
    return Story(item.kind, item.number, rows, item.where)


def _rows(event: object, where: str) -> Iterator[tuple[str, Mapping[str, object]]]:
    if not isinstance(event, Mapping) or not {"table", "at", "row"} <= event.keys() <= _KEYS:
        raise RuleError("an event has `table`, `at` in seconds, `row`, and perhaps `times` and `every`", where=where)
    table, row, at = event["table"], event["row"], event["at"]
    times, every = event.get("times", 1), event.get("every", 0)
    if not isinstance(table, str) or table not in TABLES or not isinstance(row, Mapping):
        raise RuleError(f"unknown table {table!r}, or its `row` is no mapping", where=where)
    if unknown := sorted(str(name) for name in row if name not in TABLES[table].columns):
        raise RuleError(f"{table} has no column {', '.join(unknown)}", where=where)
    if not all(isinstance(n, int | float) and 0 <= n < 1e8 for n in (at, every)) or not isinstance(times, int):
        raise RuleError("`at`, `every` and `times` are numbers, none below zero", where=where)
    for number in range(min(times, MAX_EVENTS + 1)):
        yield str(table), {"Timestamp": BEGIN + timedelta(seconds=at + number * every), **row}
