"""A learned history on disk: a Parquet file of counts a day, and the digests of the events that were counted.

What is there is said by one small file, which is replaced at once: a build that breaks off leaves the history as it
was. Digests are kept for `KEPT_DAYS`; a day that is older is closed, and events of it that come later are not counted,
which is said.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from perilune.errors import StoreError
from perilune.model.baseline import COUNTS, VERSION

compute: Any = pc  # whose stubs ask for arrays where Arrow takes plain values

KEPT_DAYS = 60
INDEX = "baseline.json"
_EPOCH = date(1970, 1, 1)
Digests = npt.NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class Day:
    """One day's files. `seen` is empty once the day is closed."""

    counts: str
    seen: str
    runs: int


@dataclass(frozen=True, slots=True)
class Index:
    """What there is. `days` by their ISO date."""

    version: int = VERSION
    updated: datetime | None = None
    days: dict[str, Day] = field(default_factory=dict)


class BaselineStore:
    """One history in one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.index = self._read_index()

    @property
    def days(self) -> list[date]:
        return sorted(date.fromisoformat(day) for day in self.index.days)

    def is_closed(self, day: date) -> bool:
        """Whether events of the day can no longer be told from those that were counted."""
        held = self.index.days.get(day.isoformat())
        return held is not None and not held.seen

    def seen(self, day: date) -> Digests:
        """The digests of the events of a day that were counted, ascending."""
        held = self.index.days.get(day.isoformat())
        if held is None or not held.seen:
            return np.empty(0, np.uint64)
        found: Digests = self._table(held.seen).column("digest").to_numpy()
        return found

    def counts(self, day: date) -> pa.Table:
        """A day's counts."""
        held = self.index.days.get(day.isoformat())
        return COUNTS.empty_table() if held is None else self._table(held.counts)

    def select(self, wanted: ds.Expression | None = None, days: Sequence[date] | None = None) -> pa.Table:
        """The counts of some days that fit an expression."""
        chosen = self.days if days is None else days
        paths = [str(self._folder / Path(self.index.days[day.isoformat()].counts).name) for day in chosen]
        if not paths:
            return COUNTS.empty_table()
        try:
            return ds.dataset(paths, schema=COUNTS).to_table(filter=wanted)
        except (OSError, pa.ArrowException) as error:
            raise self._broken(error) from error

    def write(self, changed: Iterable[tuple[int, pa.Table, Digests]], now: datetime) -> None:
        """Replaces whole days, given in days since 1970 with all their counts and digests; all of them or none."""
        days = dict(self.index.days)
        mark = secrets.token_hex(8)  # no name is used twice, so that what is being read or was left is not written over
        for number, counts, digests in changed:
            day = (_EPOCH + timedelta(days=number)).isoformat()
            new = Day(f"counts-{day}-{mark}.parquet", f"seen-{day}-{mark}.parquet", _runs(counts))
            pq.write_table(counts, self._folder / new.counts, compression="zstd", row_group_size=1 << 16)
            pq.write_table(
                pa.table({"digest": digests}), self._folder / new.seen, compression="none", use_dictionary=False
            )
            days[day] = new
        oldest = (max(map(date.fromisoformat, days)) - timedelta(days=KEPT_DAYS)).isoformat() if days else ""
        days = {day: Day(held.counts, held.seen if day >= oldest else "", held.runs) for day, held in days.items()}
        self._replace(Index(VERSION, now, dict(sorted(days.items()))))

    @contextmanager
    def lock(self) -> Iterator[None]:
        """One build at a time."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            path = self._folder / "lock"
            handle = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StoreError(f"the history cannot be written: {error.strerror}", where=str(self._folder)) from error
        try:
            _locked(handle, self._folder)
            self.index = self._read_index()
            yield
        finally:
            os.close(handle)

    def _replace(self, index: Index) -> None:
        partial = self._folder / f"{INDEX}.{os.getpid()}"
        partial.write_bytes(msgspec.json.format(msgspec.json.encode(index)))
        partial.replace(self._folder / INDEX)
        self.index = index
        kept = {name for day in index.days.values() for name in (day.counts, day.seen)}
        for path in self._folder.glob("*.parquet"):
            if path.name.startswith(("counts-", "seen-")) and path.name not in kept:
                path.unlink(missing_ok=True)

    def _read_index(self) -> Index:
        try:
            found = msgspec.json.decode((self._folder / INDEX).read_bytes(), type=Index)
        except FileNotFoundError:
            return Index()
        except (OSError, msgspec.DecodeError) as error:
            raise self._broken(error) from error
        if found.version != VERSION:
            raise StoreError(
                f"the history is of version {found.version}, and this program reads {VERSION}",
                where=str(self._folder / INDEX), hint="build it again into a new folder",
            )  # fmt: skip
        return found

    def _table(self, name: str) -> pa.Table:
        try:
            return pq.read_table(self._folder / Path(name).name)
        except (OSError, pa.ArrowException) as error:
            raise self._broken(error) from error

    def _broken(self, error: Exception) -> StoreError:
        told = " ".join(str(error).split())[:150]
        return StoreError(f"the history cannot be read: {told}", where=str(self._folder), hint="build it again")


def _runs(counts: pa.Table) -> int:
    mine = counts.filter(compute.equal(counts.column("facet"), "host"))
    return int(compute.sum(mine.column("runs")).as_py() or 0)


def _locked(handle: int, folder: Path) -> None:
    try:
        import fcntl
    except ImportError:  # pragma: no cover  no such lock on Windows: two builds at once are the user's care there
        return
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        raise StoreError("another build is writing this history", where=str(folder)) from error
