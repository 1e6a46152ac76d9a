"""The events beside a rule that it must hit and must miss, and whether it does.

`<rule>.events.yml` holds `hit:` and `miss:`, lists of `{table, row}` in the columns of `perilune.model.tables`. A rule
of Sigma's own regression format has none; that is said, not guessed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from perilune.detection import matching, oracle
from perilune.detection.besides import Item, load_items
from perilune.detection.oracle import Explanation
from perilune.errors import RuleError
from perilune.model.rules import Rule
from perilune.model.tables import TABLES


@dataclass(frozen=True, slots=True)
class Event:
    """One event beside a rule. `where` is `file:line`."""

    kind: str
    number: int
    table: str
    row: Mapping[str, object]
    where: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a rule did on an event; `why` is there where it did not do what the event says."""

    event: Event
    held: bool
    why: Explanation | None = None

    @property
    def right(self) -> bool:
        return self.held is (self.event.kind == "hit")


def beside(rule_file: Path) -> Path:
    """Where the events of a rule file stand."""
    return rule_file.with_name(f"{rule_file.stem}.events.yml")


def load(path: Path) -> tuple[Event, ...]:
    """The events of a file. Raises RuleError that says which line is wrong."""
    return tuple(_event(item) for item in load_items(path, "events"))


def _event(item: Item) -> Event:
    given, where = item.value, item.where
    table, row = (given.get("table"), given.get("row")) if isinstance(given, Mapping) else (None, None)
    if not isinstance(table, str) or not isinstance(row, Mapping):
        raise RuleError("an event has a `table` and a `row`", where=where)
    if table not in TABLES:
        raise RuleError(f"unknown table {table!r}", where=where)
    unknown = sorted(str(name) for name in row if name not in TABLES[table].columns)
    if unknown:
        raise RuleError(f"{table} has no column {', '.join(unknown)}", where=where)
    return Event(item.kind, item.number, table, {str(name): value for name, value in row.items()}, where)


def try_out(rule: Rule, events: tuple[Event, ...]) -> Iterator[Outcome]:
    """What the rule does on each event; an explanation comes with what it does wrongly."""
    for event in events:
        held = oracle.rule_holds(rule, event.table, event.row)
        outcome = Outcome(event, held)
        yield outcome if outcome.right else Outcome(event, held, matching.explain(rule, event.table, event.row))
