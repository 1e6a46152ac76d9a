"""The rows of a run that were never brought together: they lie in Parquet files that workers elsewhere read too.

Whole rows, asked for by place or by host, are read by the workers, and only the answer comes here. A few columns are
read here: that takes less than a job of a cluster does.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from perilune.model.tables import TABLES, Table
from perilune.store.filed import Filed, Gone
from perilune.store.pieces import Host
from perilune.store.spool import Spool


@dataclass(frozen=True, slots=True)
class Wanted:
    """Rows of one piece: those at some places, which ascend, or those of some hosts."""

    piece: Filed
    columns: tuple[str, ...] | None
    places: tuple[int, ...] = ()
    hosts: tuple[Host, ...] = ()


@dataclass(frozen=True, slots=True)
class Taking:
    """The task of a worker: it reads, and gives what is wanted."""

    def prepare(self) -> None:
        return None

    def do(self, state: None, item: Wanted) -> tuple[pa.Table, ...]:
        if item.hosts:
            return (item.piece.of_hosts(item.hosts, item.columns),)
        return (item.piece.at(np.array(item.places, np.intp), item.columns),)


Run = Callable[[Taking, Iterable[Wanted]], Iterator[tuple[pa.Table, ...]]]


class Strewn(Spool):
    """A spool whose first rows are in files. `run` has the workers take them, until it is `released`."""

    def __init__(self, run: Run) -> None:
        super().__init__()
        self._run: Run = run
        self._near = Spool()  # the rows of hosts that were brought here
        self._hosts: set[Host] = set()

    def lose(self, piece: Filed) -> None:
        """Forgets a piece that cannot be read."""
        pieces = self._written[piece.name]
        pieces[pieces.index(piece)] = Gone(piece.name, piece.rows)

    def files(self, name: str) -> list[tuple[Path, int]]:
        """The table's files, each with the place of its first row; none where some of its rows lie elsewhere."""
        found: dict[Path, int] = {}
        first = 0
        for piece in self._pieces(name):
            if not isinstance(piece, Filed):
                return []
            found.setdefault(piece.path, first)
            first += piece.rows
        return list(found.items())

    def release(self) -> None:
        """From now on the files are read here."""
        self._run = _here

    def close(self) -> None:
        self._near.close()
        super().close()

    def take(self, name: str, places: Sequence[int], columns: Sequence[str] = ()) -> Table:
        wanted, first = np.array(places, np.intp), 0
        asked: list[Wanted] = []
        near: list[pa.Table] = []
        for piece in self._pieces(name):
            begin, end = np.searchsorted(wanted, [first, first + piece.rows])
            mine = wanted[begin:end] - first
            first += piece.rows
            if len(mine) and isinstance(piece, Filed):
                asked.append(Wanted(piece, tuple(columns) or None, tuple(mine.tolist())))
            elif len(mine):
                near.append(piece.at(mine, list(columns) or None))
        run = _here if columns or len(asked) == 1 else self._run
        far = [found for (found,) in run(Taking(), asked)] if asked else []
        return _one(name, [*far, *near], columns)

    def place(self, name: str, row: int) -> int:
        first = 0
        for piece in self._pieces(name):
            if first > row:
                break
            row += piece.rows if isinstance(piece, Gone) else 0
            first += piece.rows
        return row

    def expect(self, hosts: Collection[Host]) -> None:
        """Brings the rows of these hosts here, all tables in one go."""
        chosen = tuple(sorted(set(hosts) - self._hosts, key=str))
        asked = [
            Wanted(piece, None, hosts=chosen)
            for name in sorted(self.rows)
            for piece in self._pieces(name)
            if isinstance(piece, Filed)
        ]
        if not chosen:
            return
        for one, (found,) in zip(asked, self._run(Taking(), asked), strict=True):
            if found.num_rows:
                self._near.add(Table(one.piece.name, found))
        self._hosts.update(chosen)

    def of_host(self, name: str, host: str | None, source: str, columns: Sequence[str] = ()) -> Table:
        key: Host = (host, "" if host is not None else source)
        if key not in self._hosts:
            return super().of_host(name, host, source, columns)
        brought = self._near.of_host(name, host, source, columns)
        others = (p.of_host(key, list(columns) or None) for p in self._pieces(name) if not isinstance(p, Filed))
        return _one(name, [part for part in (brought.data, *others) if part is not None and part.num_rows], columns)


def _here(task: Taking, asked: Iterable[Wanted]) -> Iterator[tuple[pa.Table, ...]]:
    return (task.do(None, item) for item in asked)


def _one(name: str, parts: Sequence[pa.Table], columns: Sequence[str]) -> Table:
    """The parts as one, without the columns that hold nothing."""
    if not parts:
        schema = TABLES[name].arrow
        return Table(name, pa.schema([f for f in schema if not columns or f.name in columns]).empty_table())
    data = pa.concat_tables(parts, promote_options="default")
    filled = [c for at, c in enumerate(data.column_names) if columns or data.column(at).null_count < data.num_rows]
    return Table(name, data.select(filled))
