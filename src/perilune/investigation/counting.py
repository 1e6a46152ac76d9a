"""Runs of interpreters become counts by day, host and value; days that were counted before are added to.

Everything is a number while it is counted: a day, a host, an interpreter and a value are one 64-bit key. Memory grows
with the number of different keys, not with the number of events.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from perilune.errors import UsageError
from perilune.investigation.observing import DAY
from perilune.model.baseline import COUNTS, Facet

compute: Any = pc  # whose stubs ask for arrays where Arrow takes plain values

MAX_VALUES = 1_000  # of one facet, interpreter, host and day; the rarest beyond are counted together
COMPACT = 2_000_000  # partial counts held before they are added up
_VALUE, _HOST, _PROGRAM, _DAY = 24, 20, 8, 12  # bits of the key
_OTHERS = 0  # the value that stands for those too many to keep

Numbers = npt.NDArray[np.int64]
Keys = npt.NDArray[np.uint64]


@dataclass(slots=True)
class Names:
    """Gives each text a number and back."""

    numbers: dict[str, int] = field(default_factory=dict)
    texts: list[str | None] = field(default_factory=list)

    def of(self, texts: Iterable[Any]) -> Numbers:
        return np.fromiter((self._of(text) for text in texts), np.int64)

    def _of(self, text: str) -> int:
        number = self.numbers.get(text)
        if number is None:
            number = self.numbers[text] = len(self.texts)
            self.texts.append(text)
        return number


@dataclass(frozen=True, slots=True)
class _Part:
    """Counts by key, ascending."""

    keys: Keys
    runs: Numbers
    first: Numbers
    last: Numbers


class Counts:
    """Counts of all facets while they are collected."""

    def __init__(self) -> None:
        self._days, self._programs, self._hosts = Names(), Names(), Names()
        self._values = {facet: Names({"": _OTHERS}, [None]) for facet in Facet}
        self._parts: dict[Facet, list[_Part]] = {facet: [] for facet in Facet}
        self._held = 0

    def add(self, seen: pa.Table) -> None:
        """Takes runs as `observing.observe` gives them."""
        if not seen.num_rows:
            return
        times = seen.column("time").to_numpy()
        days = self._days.of(map(str, (times // DAY).tolist()))
        programs = _numbered(seen, "interpreter", self._programs)
        hosts = _numbered(seen, "host", self._hosts)
        for facet in Facet:
            values = _numbered(seen, facet.value, self._values[facet])
            some = values >= 0
            ones = np.ones(int(some.sum()), np.int64)
            keys = self._keys(days[some], programs[some], hosts[some], values[some])
            self._add(facet, keys, ones, times[some], times[some])

    def add_counts(self, counts: pa.Table) -> None:
        """Takes what was counted before, in the form of `COUNTS`."""
        for facet in Facet:
            mine = counts.filter(compute.equal(counts.column("facet"), facet.value))
            if not mine.num_rows:
                continue
            days = self._days.of(map(str, compute.cast(mine.column("day"), pa.int32()).to_pylist()))
            programs = self._programs.of(mine.column("interpreter").to_pylist())
            hosts = self._hosts.of(mine.column("host").to_pylist())
            values = self._values[facet].of(text or "" for text in mine.column("value").to_pylist())
            first, last = (compute.cast(mine.column(name), pa.int64()).to_numpy() for name in ("first", "last"))
            self._add(facet, self._keys(days, programs, hosts, values), mine.column("runs").to_numpy(), first, last)

    def by_day(self) -> Iterator[tuple[int, pa.Table]]:
        """Each day, in days since 1970, with its counts, ordered so that a reader can skip what it does not ask for."""
        whole = {facet: _summed(parts) for facet, parts in self._parts.items() if parts}
        for number, text in enumerate(self._days.texts):
            day = int(text or 0)
            tables = [self._table(facet, part, number, day) for facet, part in whole.items()]
            found = pa.concat_tables([COUNTS.empty_table(), *tables])
            order = [
                ("interpreter", "ascending"),
                ("facet", "ascending"),
                ("host", "ascending"),
                ("value", "ascending"),
            ]
            yield day, found.sort_by(order)  # type: ignore[arg-type]

    def _add(self, facet: Facet, keys: Keys, runs: Numbers, first: Numbers, last: Numbers) -> None:
        part = _summed([_Part(keys, runs, first, last)])
        self._parts[facet].append(part)
        self._held += len(part.keys)
        if self._held > COMPACT:
            self._parts = {facet: [_summed(parts)] for facet, parts in self._parts.items() if parts} | {
                facet: [] for facet, parts in self._parts.items() if not parts
            }
            self._held = 0

    def _keys(self, days: Numbers, programs: Numbers, hosts: Numbers, values: Numbers) -> Keys:
        for names, bits, what in (
            (self._days, _DAY, "days"), (self._programs, _PROGRAM, "interpreters"), (self._hosts, _HOST, "hosts"),
            *((one, _VALUE, f"values of {facet}") for facet, one in self._values.items()),
        ):  # fmt: skip
            if len(names.texts) > 1 << bits:
                raise UsageError(f"more than {1 << bits:,} {what}", hint="build from fewer files at a time")
        found = days.astype(np.uint64)
        for part, bits in ((programs, _PROGRAM), (hosts, _HOST), (values, _VALUE)):
            found = found << np.uint64(bits) | part.astype(np.uint64)
        return found

    def _table(self, facet: Facet, part: _Part, number: int, day: int) -> pa.Table:
        low, high = (
            np.searchsorted(part.keys, np.uint64(n << (_VALUE + _HOST + _PROGRAM))) for n in (number, number + 1)
        )
        keys = part.keys[low:high]
        kept = _bounded(_Part(keys, part.runs[low:high], part.first[low:high], part.last[low:high]))
        hosts = (kept.keys >> np.uint64(_VALUE)) & np.uint64((1 << _HOST) - 1)
        programs = (kept.keys >> np.uint64(_VALUE + _HOST)) & np.uint64((1 << _PROGRAM) - 1)
        values = kept.keys & np.uint64((1 << _VALUE) - 1)
        count = len(kept.keys)
        return pa.table({
            "day": pa.array(np.full(count, day, np.int32)).cast(pa.date32()),
            "facet": pa.array([facet.value] * count, pa.string()),
            "interpreter": _texts(self._programs, programs),
            "host": _texts(self._hosts, hosts),
            "value": _texts(self._values[facet], values),
            "runs": pa.array(kept.runs),
            "first": pa.array(kept.first).cast(COUNTS.field("first").type),
            "last": pa.array(kept.last).cast(COUNTS.field("last").type),
        }, schema=COUNTS)  # fmt: skip


def _numbered(seen: pa.Table, column: str, names: Names) -> Numbers:
    """The number of each row's text; -1 where it has none."""
    whole: Any = seen.column(column).unify_dictionaries().combine_chunks()
    table = np.append(names.of(text or "" for text in whole.dictionary.to_pylist()), -1)
    codes = whole.indices.fill_null(-1).to_numpy(zero_copy_only=False)
    found: Numbers = table[codes]
    return found


def _texts(names: Names, numbers: Keys) -> pa.Array[Any]:
    used, places = np.unique(numbers, return_inverse=True)
    values = pa.array([names.texts[number] for number in used.tolist()], pa.string())
    return values.take(pa.array(places, pa.int64()))


def _summed(parts: list[_Part]) -> _Part:
    """One count for each key."""
    keys = np.concatenate([part.keys for part in parts])
    order = np.argsort(keys, kind="stable")
    keys = keys[order]
    starts = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]])) if len(keys) else np.empty(0, np.int64)
    if not len(starts):
        return _Part(keys, *(np.empty(0, np.int64) for _ in range(3)))
    runs, first, last = (
        np.concatenate([getattr(part, name) for part in parts])[order] for name in ("runs", "first", "last")
    )
    return _Part(
        keys[starts],
        np.add.reduceat(runs, starts),
        np.minimum.reduceat(first, starts),
        np.maximum.reduceat(last, starts),
    )


def _bounded(part: _Part) -> _Part:
    """The most used values of each host, and the rest as one."""
    groups = part.keys >> np.uint64(_VALUE)
    _, start, sizes = np.unique(groups, return_index=True, return_counts=True)
    if not len(sizes) or sizes.max() <= MAX_VALUES:
        return part
    keys = part.keys.copy()
    for at in np.flatnonzero(sizes > MAX_VALUES):
        mine = slice(start[at], start[at] + sizes[at])
        rest = np.argsort(-part.runs[mine], kind="stable")[MAX_VALUES:] + start[at]
        keys[rest] = (keys[rest] >> np.uint64(_VALUE)) << np.uint64(_VALUE)
    return _summed([_Part(keys, part.runs, part.first, part.last)])
