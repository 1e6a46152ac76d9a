"""The learned history, asked: about the cases of a hunt, and for what it knows. `learning.py` builds it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from perilune.investigation import baseline, habits, observing
from perilune.investigation.gathering import Learned as Asked
from perilune.investigation.habits import Overview
from perilune.investigation.scope import Scope
from perilune.learning import programs
from perilune.model.baseline import Facet, Learned, Standing, Use
from perilune.model.facts import Coverage, Fact, Kind, Source
from perilune.model.findings import Finding
from perilune.model.tables import COLUMNS as TYPES
from perilune.model.tables import Table
from perilune.store.baselines import BaselineStore
from perilune.triage import questions

compute: Any = pc  # whose stubs ask for arrays where Arrow takes plain values

_EPOCH = date(1970, 1, 1)
SPEAKS_FOR = ("host", "account", "parent", "script")  # an ordinary hour or shape of arguments clears nothing
RESOURCES = (Facet.CPU.value, Facet.MEMORY.value)
ACCUSING = 24  # the score from which a finding accuses: below it are facts on which others build


def overview(folder: Path, *, host: str | None, interpreter: str | None, limit: int) -> Overview:
    """What the history in a folder knows, of all or of one host or interpreter."""
    store = BaselineStore(folder)
    wanted = None
    for name, value in (("host", host and host.lower()), ("interpreter", interpreter)):
        if value is not None:
            test = compute.field(name) == value
            wanted = test if wanted is None else wanted & test
    return habits.overview(store.select(wanted), store.days, limit)


@dataclass(frozen=True, slots=True)
class Past:
    """A history that was found whole, ready to be asked. `known`: by host, its days."""

    store: BaselineStore
    known: Mapping[str, set[date]]

    def about(self, findings: Sequence[Finding]) -> Asked:
        """Asks it about a case. What the findings of the run accuse does not speak for itself."""
        accused = baseline.accusations(_uses_of([f for f in findings if f.score >= ACCUSING]))
        selected: dict[tuple[str, ...], baseline.History] = {}

        def ask(scope: Scope) -> tuple[Sequence[Fact], Mapping[Source, Coverage]]:
            uses = _uses_in(scope)
            if not uses:
                return (), {}
            key = (uses[0].host, *sorted({use.value(facet) for use in uses for facet in Facet}))
            if key not in selected:
                selected.clear()  # cases of one intrusion come one after the other; more need not be held
                selected[key] = baseline.History(_select(self.store, uses), self.known)
            found = baseline.learn(uses, selected[key], accused, today=_today(scope, uses))
            return [as_fact(one) for one in found], _coverage(found, selected[key].days(*_when(uses)))

        return ask


def _when(uses: Sequence[Use]) -> tuple[str, date]:
    return uses[0].host, uses[0].time.date()


def _coverage(found: Sequence[Learned], days: Sequence[date]) -> dict[Source, Coverage]:
    """Whether the history is long enough to speak, and whether it knows resources."""
    history = {Source.BASELINE: Coverage(len(days) if len(days) >= baseline.LEAST_DAYS else 0, len(days))}
    if any(one.facet in RESOURCES and one.standing is not Standing.UNKNOWN for one in found):
        history[Source.RESOURCES] = Coverage(len(days), len(days))
    return history


def load(folder: Path) -> Past | None:
    """The history in a folder; None where there is none. Raises `StoreError` where it is damaged."""
    store = BaselineStore(folder)
    return Past(store, _days_of(store)) if store.days else None


def as_fact(one: Learned) -> Fact:
    """What the history says as a fact of a case."""
    elsewhere = one.facet not in RESOURCES and baseline.is_common_elsewhere(one)
    odd = one.standing is Standing.NEW and not elsewhere
    known = one.standing is Standing.COMMON and one.facet in SPEAKS_FOR
    name = "resources" if one.facet in RESOURCES else one.facet
    value = one.interpreter if one.facet == Facet.HOST.value else one.value
    tags = (one.standing.value, *("unusual",) * odd, *("usual",) * known, *techniques_of(one.interpreter))
    return Fact(Kind.BASELINE, name, one.text, value, one.event, one.time, one.host, True, tags)


@lru_cache(maxsize=256)
def techniques_of(interpreter: str) -> tuple[str, ...]:
    """The sub-techniques that ask about this interpreter: a history of Python says nothing of Lua."""
    from perilune.analysis.interpreters import INTERPRETERS  # imported late: a hunt without a history needs it not

    own = {row.technique for row in INTERPRETERS if row.name == interpreter}
    topics = questions.topics().values()
    asked = {topic.technique for topic in topics if re.fullmatch(topic.programs, interpreter, re.IGNORECASE)}
    return tuple(sorted(own | asked))


def _days_of(store: BaselineStore) -> dict[str, set[date]]:
    """By host, the days on which the history knows it."""
    counts = store.select(compute.field("facet") == Facet.HOST.value)
    found: dict[str, set[date]] = {}
    for one in counts.select(["host", "day"]).to_pylist():
        found.setdefault(one["host"], set()).add(one["day"])
    return found


def _select(store: BaselineStore, uses: Sequence[Use]) -> pa.Table:
    """The counts that the uses can ask for: their host's, and their values on any host."""
    names = sorted({use.interpreter for use in uses})
    values = sorted({use.value(facet) for use in uses for facet in Facet if facet not in (Facet.HOST, Facet.HOUR)})
    field = compute.field
    asked = (field("host") == uses[0].host) | (field("facet") == Facet.HOST.value) | field("value").isin(values)
    days = [day for day in store.days if day < uses[0].time.date()]
    return store.select(field("interpreter").isin(names) & asked, days)


def _uses_in(scope: Scope) -> list[Use]:
    """The runs of interpreters that the case's own processes are, or that its findings stand on, oldest first."""
    table = scope.near.get(observing.TABLE)
    mine: list[Use] = []
    if table is not None:
        places = sorted(scope.own.get(observing.TABLE, ()))
        mine = list(observing.uses(table.take(places), programs)) if places else []
    found = {use.event: use for use in (*mine, *_uses_of(scope.findings))}
    host = [use for use in found.values() if use.host == scope.host.lower()]
    return sorted(host, key=lambda use: use.time)


def _uses_of(findings: Iterable[Finding]) -> list[Use]:
    """The runs of interpreters that findings stand on."""
    rows = [_row(finding) for finding in findings if finding.event.table == observing.TABLE]
    if not rows:
        return []
    schema = pa.schema([(name, TYPES[name]) for name in observing.COLUMNS])
    return list(observing.uses(Table(observing.TABLE, pa.Table.from_pylist(rows, schema=schema)), programs))


def _row(finding: Finding) -> dict[str, object]:
    event = {"Timestamp": finding.time, "XSourceFile": finding.event.source, "XSourceRecord": finding.event.record}
    return {name: finding.row.get(name) for name in observing.COLUMNS} | event


def _today(scope: Scope, uses: Sequence[Use]) -> dict[str, int]:
    """By interpreter, its runs on the host on the day on which the case begins."""
    table = scope.whole(observing.TABLE)
    if table is None:
        return {}
    seen = observing.observe(table, programs)
    day = (uses[0].time.date() - _EPOCH).days
    mine = seen.filter(compute.equal(compute.floor(compute.divide(seen.column("time"), observing.DAY)), day))
    counted = compute.value_counts(mine.column("interpreter").cast(pa.string())).to_pylist()
    return {one["values"]: one["counts"] for one in counted}
