"""The newest rows of a stream that has no end, asked like the rows of one run.

Rows keep their places for ever; those that were let go are no longer found. A host that gives very many rows is shown
by its newest, and by the processes above these, however old.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from perilune.model.tables import Table
from perilune.store.pieces import Held
from perilune.store.spool import Spool, _without_empty

compute: Any = pc  # whose stubs ask for arrays where Arrow takes plain values

KEPT_ROWS = 100_000
KEPT_BYTES = 256 << 20
HOST_ROWS = 4_000  # of one host and table; a tree of more takes longer than an analyst waits
MOST_ABOVE = 8  # processes above each other that are looked for among older rows
_SMALL = 8_192  # rows up to which neighbouring pieces are put together
_PROCESSES = "DeviceProcessEvents"


class Window(Spool):
    """Takes rows as they come and lets the oldest go."""

    def __init__(self, kept_rows: int = KEPT_ROWS, host_rows: int = HOST_ROWS, kept_bytes: int = KEPT_BYTES) -> None:
        super().__init__(memory_bytes=1 << 62)
        self._kept_rows = kept_rows
        self._kept_bytes = kept_bytes
        self._host_rows = host_rows
        self._sizes: dict[str, list[int]] = defaultdict(list)  # of the pieces, in bytes
        self.first: dict[str, int] = defaultdict(int)  # the place of the oldest row that is there

    def add(self, table: Table) -> int:
        start = self.rows[table.name]
        self._held[table.name].append(Held(table.data))
        self._sizes[table.name].append(table.data.nbytes)
        self.rows[table.name] += len(table)
        self._merge(table.name)
        return start

    def trim(self) -> dict[str, int]:
        """Lets the oldest rows go; by table, the place of the first that is left, where that changed."""
        changed: dict[str, int] = {}
        while self._is_too_much() and (name := self._largest()) is not None:
            self.first[name] += self._held[name].pop(0).rows
            self._sizes[name].pop(0)
            changed[name] = self.first[name]
        return changed

    def _is_too_much(self) -> bool:
        rows = sum(self.rows[name] - self.first[name] for name in self._held)
        return rows > self._kept_rows or sum(map(sum, self._sizes.values())) > self._kept_bytes

    def _largest(self) -> str | None:
        """The table with the most rows, which has more than the newest of its pieces."""
        rows = {name: self.rows[name] - self.first[name] for name, held in self._held.items() if len(held) > 1}
        return max(rows, key=rows.__getitem__, default=None)

    def _merge(self, name: str) -> None:
        """Puts the two newest pieces together while the older is not larger: few pieces, each copied seldom."""
        held, sizes = self._held[name], self._sizes[name]
        while len(held) > 1 and held[-2].rows <= held[-1].rows and held[-2].rows < _SMALL:
            joined = pa.concat_tables([one.read() for one in held[-2:]], promote_options="default").combine_chunks()
            held[-2:], sizes[-2:] = [Held(joined)], [joined.nbytes]

    def take(self, name: str, places: Sequence[int], columns: Sequence[str] = ()) -> Table:
        """The rows at these places, which must ascend; those that were let go are left out."""
        first = self.first[name]
        return super().take(name, [place - first for place in places if place >= first], columns)

    def of_host(self, name: str, host: str | None, source: str, columns: Sequence[str] = ()) -> Table:
        """One host's rows: all, or the newest of many and the processes above these."""
        wanted = tuple(dict.fromkeys((*columns, "ProcessId", "InitiatingProcessId"))) if columns else ()
        found = super().of_host(name, host, source, wanted)
        if len(found) <= self._host_rows:
            return found
        newest = np.arange(len(found) - self._host_rows, len(found))
        above = _above(found, newest[0]) if name == _PROCESSES else np.empty(0, np.intp)
        return Table(name, _without_empty(found.data.take(np.concatenate([above, newest]))))

    def since(self, name: str, place: int) -> Table:
        """The rows from a place on."""
        return self.take(name, range(max(place, self.first[name]), self.rows[name]))


def _above(found: Table, start: int) -> Any:
    """The places of older starts of the processes above those from `start` on, ascending."""
    own, parents = (_numbers(found, column) for column in ("ProcessId", "InitiatingProcessId"))
    last = {int(number): place for place, number in enumerate(own[:start].tolist()) if number >= 0}
    asked = set(parents[start:].tolist())
    places: set[int] = set()
    for _ in range(MOST_ABOVE):
        fresh = {last[number] for number in asked if number in last} - places
        if not fresh:
            break
        places |= fresh
        asked = {int(parents[place]) for place in fresh}
    return np.array(sorted(places), np.intp)


def _numbers(found: Table, column: str) -> Any:
    return compute.fill_null(found.column(column), -1).to_numpy()
