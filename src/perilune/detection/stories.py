"""The cases beside a correlation that it must hold on and must not: a few events with their times, told in YAML."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import yaml

from perilune.detection.files import MAX_FILE
from perilune.detection.proofs import KINDS
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
        raise RuleError("cases are a mapping of `hit` and `miss`", where=f"{path}:1")
    return tuple(_stories(path, data, {str(key.value): value for key, value in top.value}))


def _stories(path: Path, data: Mapping[str, object], nodes: Mapping[str, yaml.Node]) -> Iterator[Story]:
    for kind, node in nodes.items():
        where = f"{path}:{node.start_mark.line + 1}"
        given = data.get(kind)
        if kind not in KINDS or not isinstance(given, list) or not isinstance(node, yaml.SequenceNode):
            raise RuleError("cases are lists under `hit` and `miss`", where=where)
        for number, (one, at) in enumerate(zip(given, node.value, strict=True), start=1):
            place = f"{path}:{at.start_mark.line + 1}"
            if not isinstance(one, list) or not one:
                raise RuleError("a case is a list of events with `table`, `at` and `row`", where=place)
            rows = tuple(row for event in one for row in _rows(event, place))
            if len(rows) > MAX_EVENTS:
                raise RuleError(f"more than {MAX_EVENTS:,} events", where=place)
            yield Story(kind, number, rows, place)


def _rows(event: object, where: str) -> Iterator[tuple[str, Mapping[str, object]]]:
    if not isinstance(event, Mapping) or not {"table", "at", "row"} <= event.keys() <= _KEYS:
        raise RuleError("an event has `table`, `at` in seconds, `row`, and perhaps `times` and `every`", where=where)
    table, row, at = event["table"], event["row"], event["at"]
    times, every = event.get("times", 1), event.get("every", 0)
    if table not in TABLES or not isinstance(row, Mapping):
        raise RuleError(f"unknown table {table!r}, or its `row` is no mapping", where=where)
    if unknown := sorted(str(name) for name in row if name not in TABLES[table].columns):
        raise RuleError(f"{table} has no column {', '.join(unknown)}", where=where)
    if not all(isinstance(n, int | float) and 0 <= n < 1e8 for n in (at, every)) or not isinstance(times, int):
        raise RuleError("`at`, `every` and `times` are numbers, none below zero", where=where)
    for number in range(min(times, MAX_EVENTS + 1)):
        yield str(table), {"Timestamp": BEGIN + timedelta(seconds=at + number * every), **row}
