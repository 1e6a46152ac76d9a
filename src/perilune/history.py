"""The learned history: built from any logs, a little more each day, and asked about the cases of a hunt."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from perilune import readers
from perilune.investigation import baseline, habits, observing
from perilune.investigation.counting import Counts
from perilune.investigation.gathering import Learned as Asked
from perilune.investigation.habits import Overview
from perilune.investigation.scope import Scope
from perilune.model.baseline import Facet, Learned, Standing, Use
from perilune.model.facts import Coverage, Fact, Kind, Source
from perilune.model.findings import Finding
from perilune.model.sources import SourceReport
from perilune.model.tables import COLUMNS as TYPES
from perilune.model.tables import Table
from perilune.runners import local, rowgroups
from perilune.store.baselines import BaselineStore, Digests
from perilune.store.parquet import MARK

__all__ = ["Built", "Overview", "Past", "build", "load", "overview"]

compute: Any = pc  # whose stubs ask for arrays where Arrow takes plain values

_EPOCH = date(1970, 1, 1)
SPEAKS_FOR = ("host", "account", "parent", "script")  # an ordinary hour or shape of arguments clears nothing
RESOURCES = (Facet.CPU.value, Facet.MEMORY.value)
ACCUSING = 24  # the score from which a finding accuses: below it are facts on which others build


@dataclass(frozen=True, slots=True)
class Built:
    """What a build did.

    events    process events that were looked at
    runs      runs of interpreters that were counted
    known     runs that had been counted before
    closed    runs of days that are closed, not counted
    """

    events: int
    runs: int
    known: int
    closed: int
    days: tuple[date, ...]
    sources: tuple[SourceReport, ...]


def programs(image: str, original: str) -> str:
    """The name of the interpreter that a program is, or ``."""
    from perilune.analysis import interpreters  # imported late: a hunt without a history needs it not

    found = interpreters.find(image, original)
    return found.name if found is not None else ""


def build(
    paths: Iterable[str | Path],
    folder: Path,
    *,
    now: datetime | None = None,
    workers: int | None = None,
    content: Path | None = None,
    progress: Callable[[SourceReport], None] | None = None,
) -> Built:
    """Adds the runs of interpreters in the logs to the history in a folder; each event once."""
    store = BaselineStore(folder)
    with store.lock():
        adding = _Adding(store)
        sources: list[SourceReport] = []
        ours, others = _split([Path(path) for path in paths])
        for rows, seen in local.run(_Observe(), _pieces(ours), workers=workers):
            adding.add(rows, seen)
        for item in readers.read(others, readers.Limits(), content=content) if others else ():
            if isinstance(item, SourceReport):
                sources.append(item)
                if progress is not None:
                    progress(item)
            elif item.name == observing.TABLE:
                adding.add(len(item), observing.observe(item, programs))
        store.write(adding.changed(), now or datetime.now(UTC))
        return adding.built(sources)


@dataclass(frozen=True, slots=True)
class _Observe:
    """Reads a piece of a Parquet file and observes it, in any process."""

    def prepare(self) -> None:
        return None

    def do(self, state: None, item: rowgroups.Piece) -> tuple[int, pa.Table]:
        table = rowgroups.read(item, observing.TABLE, observing.COLUMNS)
        return len(table), observing.observe(table, programs)


def _split(paths: Sequence[Path]) -> tuple[list[Path], list[Path]]:
    """Parquet that Perilune wrote, whose columns can be read apart, and everything else."""
    files = [one for path in paths for one in (sorted(path.rglob("*.parquet")) if path.is_dir() else [path])]
    ours = {one for one in files if one.suffix == ".parquet" and one.is_file() and _table_of(one) is not None}
    if not ours:
        return [], list(paths)
    rest: list[Path] = []
    for path in paths:
        inside = [one for one in path.rglob("*") if one.is_file()] if path.is_dir() else [path]
        rest += [one for one in inside if one not in ours] if ours & set(inside) else [path]
    return sorted(one for one in ours if _table_of(one) == observing.TABLE), rest


@cache
def _table_of(path: Path) -> str | None:
    """The table that a Parquet file holds, by what Perilune wrote into it."""
    try:
        metadata = pq.read_schema(path).metadata or {}
    except (OSError, pa.ArrowException):
        return None
    name = metadata.get(MARK)
    return None if name is None else name.decode()


def _pieces(files: Sequence[Path]) -> Iterator[rowgroups.Piece]:
    for path in files:
        yield from rowgroups.pieces(path, rows=1 << 19)


def overview(folder: Path, *, host: str | None, interpreter: str | None, limit: int) -> Overview:
    """What the history in a folder knows, of all or of one host or interpreter."""
    store = BaselineStore(folder)
    wanted = None
    for name, value in (("host", host and host.lower()), ("interpreter", interpreter)):
        if value is not None:
            test = compute.field(name) == value
            wanted = test if wanted is None else wanted & test
    return habits.overview(store.select(wanted), store.days, limit)


class _Adding:
    """Counts what was not counted before."""

    def __init__(self, store: BaselineStore) -> None:
        self._store = store
        self._counts = Counts()
        self._fresh: dict[int, _Digests] = {}
        self._events = self._runs = self._known = self._closed = 0

    def add(self, events: int, seen: pa.Table) -> None:
        self._events += events
        if not seen.num_rows:
            return
        days = seen.column("time").to_numpy() // observing.DAY
        digests = seen.column("digest").to_numpy()
        keep = np.zeros(len(days), bool)
        for number in np.unique(days).tolist():
            mine = np.flatnonzero(days == number)
            day = _EPOCH + timedelta(days=number)
            if number not in self._fresh:
                if self._store.is_closed(day):
                    self._closed += len(mine)
                    continue
                self._fresh[number] = _Digests(self._store.seen(day))
            fresh = self._fresh[number].add(digests[mine])
            keep[mine[fresh]] = True
            self._known += len(mine) - len(fresh)
        self._runs += int(keep.sum())
        self._counts.add(seen.filter(pa.array(keep)))

    def changed(self) -> Iterator[tuple[int, pa.Table, Digests]]:
        """The days that have new runs, whole."""
        touched = {number for number, digests in self._fresh.items() if digests.grew}
        for number in touched:
            self._counts.add_counts(self._store.counts(_EPOCH + timedelta(days=number)))
        for number, counts in self._counts.by_day():
            if number in touched:
                yield number, counts, self._fresh[number].all()

    def built(self, sources: Sequence[SourceReport]) -> Built:
        days = sorted(_EPOCH + timedelta(days=number) for number, digests in self._fresh.items() if digests.grew)
        return Built(self._events, self._runs, self._known, self._closed, tuple(days), tuple(sources))


class _Digests:
    """The digests of one day: sorted runs, merged as they grow."""

    def __init__(self, known: Digests) -> None:
        self._parts = [known]
        self.grew = False

    def add(self, digests: Digests) -> np.ndarray:
        """Takes digests, and gives the places of those that are new, each once."""
        unique, first = np.unique(digests, return_index=True)
        fresh = np.ones(len(unique), bool)
        for part in self._parts:
            if len(part):
                at = np.minimum(np.searchsorted(part, unique), len(part) - 1)
                fresh &= part[at] != unique
        self.grew |= bool(fresh.any())
        self._parts.append(unique[fresh])
        if len(self._parts) > 8:
            self._parts = [self.all()]
        return np.sort(first[fresh])

    def all(self) -> Digests:
        found: Digests = np.sort(np.concatenate(self._parts))
        return found


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
    tags = (one.standing.value, *("unusual",) * odd, *("usual",) * known)
    return Fact(Kind.BASELINE, name, one.text, value, one.event, one.time, one.host, True, tags)


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
