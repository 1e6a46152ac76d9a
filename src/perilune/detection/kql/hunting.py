"""Hunts are checked and run: each row of a result leads back to its event."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol

import pyarrow as pa

from perilune.detection.kql.catalog import standard
from perilune.detection.kql.compiler import compile_query
from perilune.detection.kql.convert import plain_text
from perilune.detection.kql.errors import KqlError, nearest
from perilune.detection.kql.kinds import Kind
from perilune.detection.kql.running import Limits, Result, newest, open_session
from perilune.errors import RuleError
from perilune.model.rules import Evidence, Refusal, Rule


@dataclass(frozen=True, slots=True)
class Found:
    """A row of a hunt's result: the event it leads to, and what the hunt shows of it."""

    rule: Rule
    table: str
    place: int
    evidence: tuple[Evidence, ...]

    def at(self, place: int) -> Found:
        """The same row, by its place where it was read."""
        return replace(self, place=place)


def check(rule: Rule) -> None:
    """Binds a hunt's query against the schema and its header against the result. Raises `RuleError`."""
    try:
        plan = compile_query(
            rule.extra["kql"],
            standard(filled=True),
            datetime(2026, 1, 1),
            lambda _: [],
            trace=True,
        )
    except KqlError as error:
        raise RuleError(str(error), where=rule.source) from None
    columns = [name for name, _ in plan.columns]
    for name in rule.extra["evidence"].split("\n"):
        if name and name not in columns:
            raise RuleError(f"its result has no column {name!r}", where=rule.source, hint=nearest(name, columns))


def run(
    rules: Sequence[Rule], tables: Mapping[str, pa.Table], limits: Limits | None = None, now: datetime | None = None
) -> tuple[list[Found], list[Refusal]]:
    """Runs each hunt over the tables; one that fails is refused by name and the rest run.

    `now()` is the time of the newest event, so that the same files give the same findings on any day.
    """
    wanted = [rule for rule in rules if any(scope.table in tables for scope in rule.scopes)]
    with open_session(tables, limits, traced=True) as session:
        return ask(session, wanted, now or newest(tables) or datetime(2026, 1, 1))


class Traces(Protocol):
    """Whatever runs a query and says for each row where it comes from: DuckDB here, or Spark elsewhere."""

    def trace(self, query: str, now: datetime) -> tuple[Result, list[tuple[str, int]]]: ...


def ask(session: Traces, rules: Sequence[Rule], now: datetime) -> tuple[list[Found], list[Refusal]]:
    """What each hunt finds there, and those that failed."""
    found: list[Found] = []
    refused: list[Refusal] = []
    for rule in rules:
        try:
            result, events = session.trace(rule.extra["kql"], now)
        except KqlError as error:
            refused.append(Refusal(rule.source, rule.title, str(error)))
            continue
        found += _found(rule, result, events)
    return found, refused


def _found(rule: Rule, result: Result, events: Sequence[tuple[str, int]]) -> list[Found]:
    kinds = dict(result.columns)
    shown = [name for name in rule.extra["evidence"].split("\n") if name in kinds] or list(kinds)[:4]
    columns = {name: result.data.column(name).to_pylist() for name in shown}
    flags = {name: result.data.column(name).to_pylist() for name, kind in kinds.items() if kind is Kind.BOOL}
    once: dict[tuple[str, int], Found] = {}
    for n, (table, place) in enumerate(events):
        pieces = [
            Evidence(name, name, plain_text(values[n], kinds[name]), "is shown by the hunt")
            for name, values in columns.items()
            if values[n] not in (None, "")
        ]
        pieces += [Evidence(name, "", "true", "holds") for name, values in flags.items() if values[n] is True]
        once.setdefault((table, place), Found(rule, table, place, tuple(pieces)))
    return list(once.values())
