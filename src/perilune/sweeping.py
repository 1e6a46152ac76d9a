"""Tables that lie in Parquet files are matched where workers read them: what is sent is small, both ways.

A `Share` says where some rows are. Whoever works on it reads them, tries all rules on them, and gives back numbers,
which rule held on which row, and the few rows whose text may hide something. `Sweeping` is the same task for
processes of this machine and for those of a cluster; the rows themselves are asked for later, by place or by host.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from perilune import decoding, readers
from perilune.detection import cache as compiled
from perilune.detection import matching
from perilune.model.rules import RuleSet
from perilune.model.sources import Problem, Reading, SourceReport
from perilune.model.tables import COLUMNS, TABLES, Table
from perilune.readers.source import Source
from perilune.runners import rowgroups
from perilune.store.filed import Filed
from perilune.store.parquet import MARK

ROWS = 1 << 19  # of one share: enough for the matcher, little enough for several shares for each core

Run = Callable[["Sweeping", Iterable[Filed]], Iterator[tuple[pa.Table, ...]]]


@dataclass(frozen=True, slots=True)
class Swept:
    """What one share gave: rule and row of each match, in the order of rows; and the rows that a `Decoder` looks at."""

    share: Filed
    rules: npt.NDArray[np.int32]
    rows: npt.NDArray[np.int64]
    candidates: Table | None


@dataclass(frozen=True, slots=True)
class Lost:
    """A share that could not be read."""

    share: Filed


@dataclass(frozen=True, slots=True)
class Found:
    """What there is to sweep. `rest` are files of any other kind, for this process to read.

    shares   by file, in the order of the files
    reports  of what is not read at all
    """

    shares: dict[str, tuple[Filed, ...]]
    rest: tuple[str, ...]
    reports: tuple[SourceReport, ...]

    @property
    def all(self) -> list[Filed]:
        return [share for each in self.shares.values() for share in each]


@dataclass(frozen=True, slots=True)
class _State:
    rules: RuleSet
    columns: dict[str, list[str]] = field(default_factory=dict)

    def columns_of(self, table: str) -> list[str]:
        if table not in self.columns:
            wanted = matching.columns(self.rules, table) | decoding.columns(table)
            self.columns[table] = [name for name in TABLES[table].columns if name in wanted]
        return self.columns[table]


@dataclass(frozen=True, slots=True)
class Sweeping:
    """The task: all rules on the rows of a share."""

    rules: bytes  # as `detection.cache` writes them: data, never code

    def prepare(self) -> _State:
        return _State(compiled.loads(self.rules))

    def do(self, state: _State, item: Filed) -> tuple[pa.Table, ...]:
        try:
            table = _read(item, state.columns_of(item.name))
        except (pa.ArrowException, OSError, ValueError) as error:
            return (pa.table({"fault": [" ".join(str(error).split())[:150]]}),)
        rules, rows = matching.places(state.rules, table)
        hits = pa.table({"rule": pa.array(rules, pa.int32()), "row": pa.array(rows, pa.int64())})
        hidden = decoding.candidates(table)
        return (hits, hidden.data) if hidden is not None else (hits,)


def _read(share: Filed, columns: Sequence[str]) -> Table:
    piece = rowgroups.Piece(share.path, share.groups, 0, share.rows)
    return rowgroups.read(piece, share.name, columns)


def find(paths: Iterable[str | Path], limits: readers.Limits) -> Found:
    """Cuts the Parquet tables under the paths into shares; everything else is left to be read as ever."""
    shares: dict[str, tuple[Filed, ...]] = {}
    rest: dict[str, None] = {}
    reports: list[SourceReport] = []
    for item in readers.discover(paths, limits):
        if isinstance(item, SourceReport):
            reports.append(item)
        elif not item.members and (found := _shares(item.path)):
            shares[item.path] = found
        else:
            rest[item.path] = None
    return Found(shares, tuple(rest), tuple(reports))


def _shares(path: str) -> tuple[Filed, ...]:
    """The shares of a table of ours; none where the file is anything else, or has columns of other types."""
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - names may hold bytes that no Path should normalise
            if file.read(4) != b"PAR1":
                return ()
        schema = pq.read_schema(path)
        name = (schema.metadata or {}).get(MARK, b"").decode("utf-8", "replace")
        known: Any = TABLES[name].arrow if name in TABLES else None
        if known is None or any(f.name not in TABLES[name].columns or f.type != COLUMNS[f.name] for f in schema):
            return ()
        return tuple(Filed(name, Path(path), one.groups, one.rows) for one in rowgroups.pieces(Path(path), ROWS))
    except (pa.ArrowException, OSError, ValueError):
        return ()


def sweep(rules: RuleSet, found: Found, run: Run) -> Iterator[Swept | Lost | SourceReport]:
    """What each share gives, in order; each file's report comes after its shares."""
    results = run(Sweeping(compiled.dumps(rules)), found.all)
    for path, shares in found.shares.items():
        faults = []
        for share in shares:
            result = next(results)
            if result[0].column_names == ["fault"]:
                faults.append((share, str(result[0].column(0)[0].as_py())))
                yield Lost(share)
                continue
            yield _swept(share, result)
        yield _report(path, shares, faults)


def _swept(share: Filed, result: tuple[pa.Table, ...]) -> Swept:
    hits = result[0]
    rules, rows = (hits.column(at).to_numpy() for at in (0, 1))
    return Swept(share, rules, rows, Table(share.name, result[1]) if len(result) > 1 else None)


def _report(path: str, shares: Sequence[Filed], faults: Sequence[tuple[Filed, str]]) -> SourceReport:
    lost = sum(share.rows for share, _ in faults)
    rows = sum(share.rows for share in shares) - lost
    problems = tuple(Problem(f"broken Parquet: {fault}", share.rows) for share, fault in faults)
    reading = Reading.COMPLETE if not faults else Reading.PARTIAL if rows else Reading.UNREADABLE
    name = shares[0].name
    return SourceReport(Source(path).name, "parquet", reading, rows, {name: rows} if rows else {}, problems=problems)
