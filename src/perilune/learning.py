"""The history grows: runs of interpreters in any logs, each event counted once however often it is read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from perilune import readers
from perilune.investigation import observing
from perilune.investigation.counting import Counts
from perilune.model.sources import SourceReport
from perilune.runners import local, rowgroups
from perilune.store.baselines import BaselineStore, Digests
from perilune.store.parquet import MARK

_EPOCH = date(1970, 1, 1)


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
