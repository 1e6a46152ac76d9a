"""The events beside a rule that it must hit and must miss, and whether it does.

`<rule>.events.yml` holds `hit:` and `miss:`, lists of `{table, row}` in the columns of `perilune.model.tables`. A rule
of Sigma's own regression format has none; that is said, not guessed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from perilune.detection import matching, oracle
from perilune.detection.files import MAX_FILE
from perilune.detection.oracle import Explanation
from perilune.errors import RuleError
from perilune.model.rules import Rule
from perilune.model.tables import TABLES

KINDS = ("hit", "miss")
MAX_EVENTS = 1_000


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
    try:
        text = path.read_text(encoding="utf-8")
        if len(text) > MAX_FILE:
            raise RuleError(f"larger than {MAX_FILE >> 20} MiB", where=str(path))
        top = yaml.compose(text, yaml.CSafeLoader)
        data = yaml.safe_load(text)
    except OSError as error:
        raise RuleError(f"cannot be read: {error.strerror or error}", where=str(path)) from None
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise RuleError(f"not valid YAML: {error}", where=str(path)) from None
    if not isinstance(top, yaml.MappingNode) or not isinstance(data, dict):
        raise RuleError("events are a mapping of `hit` and `miss`", where=f"{path}:1")
    return tuple(_events(path, data, {key.value: value for key, value in top.value}))


def _events(path: Path, data: Mapping[str, object], nodes: Mapping[str, yaml.Node]) -> Iterator[Event]:
    for kind, node in nodes.items():
        where = f"{path}:{node.start_mark.line + 1}"
        if kind not in KINDS:
            raise RuleError(f"unknown kind of events {kind!r}: there are `hit` and `miss`", where=where)
        given = data[kind]
        if not isinstance(given, list) or not isinstance(node, yaml.SequenceNode):
            raise RuleError(f"`{kind}` is not a list", where=where)
        if len(given) > MAX_EVENTS:
            raise RuleError(f"more than {MAX_EVENTS:,} events under `{kind}`", where=where)
        for number, (one, at) in enumerate(zip(given, node.value, strict=True), start=1):
            yield _event(kind, number, one, f"{path}:{at.start_mark.line + 1}")


def _event(kind: str, number: int, given: object, where: str) -> Event:
    table, row = (given.get("table"), given.get("row")) if isinstance(given, Mapping) else (None, None)
    if not isinstance(table, str) or not isinstance(row, Mapping):
        raise RuleError("an event has a `table` and a `row`", where=where)
    if table not in TABLES:
        raise RuleError(f"unknown table {table!r}", where=where)
    unknown = sorted(str(name) for name in row if name not in TABLES[table].columns)
    if unknown:
        raise RuleError(f"{table} has no column {', '.join(unknown)}", where=where)
    return Event(kind, number, table, {str(name): value for name, value in row.items()}, where)


def try_out(rule: Rule, events: tuple[Event, ...]) -> Iterator[Outcome]:
    """What the rule does on each event; an explanation comes with what it does wrongly."""
    for event in events:
        held = oracle.rule_holds(rule, event.table, event.row)
        outcome = Outcome(event, held)
        yield outcome if outcome.right else Outcome(event, held, matching.explain(rule, event.table, event.row))
