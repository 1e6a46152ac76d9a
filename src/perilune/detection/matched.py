"""The matched rows that correlations need: their times, and the few columns that they are grouped by.

Rows of one table are fetched once for all correlations. A record that was read twice, as a copy of its file gives it,
is one row: same time, host, process, text and record number.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from perilune.detection import linking
from perilune.detection.keys import Codes, Numbering, codes, columns_of, encoded, fields_of, numbers, together
from perilune.model.correlations import Place
from perilune.model.rules import Rule
from perilune.model.tables import TABLES

compute: Any = pc  # whose stubs ask for arrays where Arrow takes plain values

MAX_ROWS = 1_000_000  # of one table; the later ones are counted and left out
Places = npt.NDArray[np.int64]
# What tells one record from another, besides its number in its file.
_IDENTITY = (
    "Timestamp DeviceName XSourceRecord ProcessId InitiatingProcessId FolderPath ProcessCommandLine RemoteIP "
    "RemotePort LocalPort RegistryKey XQueryName XMessage AdditionalFields"
).split()


class RowSource(Protocol):
    """Where matches and their rows are."""

    def places(self, rule: Rule) -> Mapping[str, Places]:
        """By table, the ascending places of the rows that the rule holds on."""
        ...

    def rows(self, table: str, places: Places, columns: Sequence[str]) -> pa.Table:
        """The rows at the places, in their order; columns that the source lacks may be left out."""
        ...


@dataclass(frozen=True, slots=True)
class _Table:
    """The fetched rows of one table that have a time. `which` numbers them over all tables."""

    places: Places
    data: pa.Table
    times: npt.NDArray[np.int64]
    which: npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class MatchedRows:
    """The rows of one table that one rule holds on."""

    table: str
    data: pa.Table
    times: npt.NDArray[np.int64]
    which: npt.NDArray[np.int64]

    def codes(self, rule: Rule, name: str, numbering: Numbering) -> Codes:
        return codes(self.data, fields_of(rule, name, self.table), numbering)

    def numbers(self, rule: Rule, name: str) -> list[int | float | None]:
        return numbers(self.data, fields_of(rule, name, self.table))


class Matched:
    """The matches of all rules that correlations refer to."""

    def __init__(self, rules: Sequence[Rule], links: Mapping[int, tuple[int, ...]], source: RowSource) -> None:
        self.left_out = 0
        self._places: dict[int, Mapping[str, Places]] = {}
        self._tables: dict[str, _Table] = {}
        self._rows: list[tuple[str, int]] = []
        self._times: list[int] = []
        leaves = {member for below in links.values() for member in below if member not in links}
        for number in sorted(leaves):
            self._places[id(rules[number])] = source.places(rules[number])
        for table, wanted in _columns(rules, links).items():
            self._fetch(table, wanted, source)

    def of(self, rule: Rule) -> Iterator[MatchedRows]:
        """The rows that a rule holds on, table by table."""
        for name, places in self._places[id(rule)].items():
            table = self._tables.get(name)
            if table is None or not len(table.places):
                continue
            at = np.searchsorted(table.places, places)
            at = at[at < len(table.places)]
            at = at[np.isin(table.places[at], places)]
            if len(at):
                yield MatchedRows(name, table.data.take(at), table.times[at], table.which[at])

    def place(self, which: int) -> Place:
        return Place(*self._rows[which])

    def time(self, which: int) -> int:
        return self._times[which]

    def _fetch(self, name: str, columns: set[str], source: RowSource) -> None:
        found = [rows for by_table in self._places.values() if (rows := by_table.get(name)) is not None]
        if not found:
            return
        places = np.unique(np.concatenate(found))
        if len(places) > MAX_ROWS:
            self.left_out += len(places) - MAX_ROWS
            places = places[:MAX_ROWS]
        wanted = [c for c in dict.fromkeys((*_IDENTITY, "XSourceFile", *sorted(columns))) if c in TABLES[name].columns]
        data = source.rows(name, places, wanted)
        timed = _times(data)
        keep = np.flatnonzero(timed >= 0)
        keep = keep[_first_of_each(data.take(keep))]
        start = len(self._rows)
        self._rows += [(name, int(place)) for place in places[keep]]
        self._times += timed[keep].tolist()
        which = np.arange(start, len(self._rows))
        self._tables[name] = _Table(places[keep], data.take(keep), timed[keep], which)


def _columns(rules: Sequence[Rule], links: Mapping[int, tuple[int, ...]]) -> dict[str, set[str]]:
    """By table, the columns that any correlation asks of its rows."""
    found: dict[str, set[str]] = {}
    for number, below in links.items():
        one = linking.correlation_of(rules[number])
        for member, name in zip(below, one.rules, strict=True):
            for leaf, asked in linking.leaf_fields(rules, number, links, member, name):
                for scope in leaf.scopes:
                    wanted = found.setdefault(scope.table, set())
                    for field in asked:
                        wanted |= columns_of(fields_of(leaf, field, scope.table))
    return found


def _times(data: pa.Table) -> npt.NDArray[np.int64]:
    """Microseconds since 1970; -1 where a row has no time, or one before that."""
    if "Timestamp" not in data.column_names:
        return np.full(data.num_rows, -1, np.int64)
    column = compute.fill_null(compute.cast(data.column("Timestamp"), pa.int64()), -1)
    return cast("npt.NDArray[np.int64]", column.to_numpy())


def _first_of_each(data: pa.Table) -> npt.NDArray[np.intp]:
    """The rows without those that repeat another; where all come from one file, none does."""
    if data.num_rows < 2 or "XSourceFile" not in data.column_names:
        return np.arange(data.num_rows)
    if len(compute.unique(data.column("XSourceFile"))) < 2:
        return np.arange(data.num_rows)
    names = [name for name in _IDENTITY if name in data.column_names]
    parts = [encoded(data.column(name))[0] + 1 for name in names]  # no value is a value here
    _, first = np.unique(together(parts, data.num_rows), return_index=True)
    return np.sort(first)
