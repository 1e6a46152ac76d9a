"""Sources -> lake: what is new is read, mapped and committed with the positions after it, as one."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from perilune.errors import StoreError
from perilune.model.sources import Problem, Reading, SourceReport
from perilune.model.tables import Table, concat
from perilune.ports import Limits, Reader
from perilune.readers.following import Follower, follow
from perilune.readers.mappings import Mappings
from perilune.service.live.sources import Chunk, Source
from perilune.store.events import EventLake
from perilune.store.lake_manifest import Position

PATIENCE = 1.0  # seconds that the rest of an event is waited for
BYTES = 8 << 20  # of one source in one turn
_MOST_KINDS = 50  # of problems that are told of one source


@dataclass(frozen=True, slots=True)
class Taken:
    """What one turn put into the lake. `seq` is 0 where there were no rows."""

    seq: int
    tables: tuple[Table, ...]
    rows: int
    more: bool  # something was read, so there may be more


@dataclass(slots=True)
class Tally:
    """What came of one source since the watcher began."""

    bytes: int = 0
    records: int = 0
    rows: int = 0
    last: float = 0.0
    problems: Counter[str] = field(default_factory=Counter)
    skipped: Counter[str] = field(default_factory=Counter)
    streams: dict[str, SourceReport] = field(default_factory=dict)


@dataclass(slots=True)
class _Turn:
    """What is gathered for one commit."""

    tables: list[Table] = field(default_factory=list)
    positions: dict[tuple[str, str], Position] = field(default_factory=dict)
    pieces: list[tuple[str, SourceReport, int]] = field(default_factory=list)
    rows: int = 0


class Taker:
    """Takes turns at the sources."""

    def __init__(
        self,
        lake: EventLake,
        sources: Sequence[Source],
        readers: Sequence[Reader],
        mappings: Mappings | None,
        *,
        patience: float = PATIENCE,
    ) -> None:
        self._lake = lake
        self.sources = tuple(sources)
        self._readers, self._mappings = readers, mappings
        self._limits = Limits()
        self._positions = {source.name: lake.manifest.positions(source.name) for source in sources}
        self._followers: dict[tuple[str, str], tuple[Follower, object]] = {}
        self._held: dict[tuple[str, str], tuple[int, float]] = {}
        self._patience = patience
        self.tallies: dict[str, Tally] = defaultdict(Tally)
        self.problem = ""

    def take(self, rows: int) -> Taken:
        """One turn, of about so many rows. Raises StoreError where the lake cannot take them; then nothing happened."""
        turn = _Turn()
        for source in self.sources:
            self._poll(source, max(1, rows // len(self.sources)), turn)
        if not turn.positions:
            return Taken(0, (), 0, False)
        tables = _joined(turn.tables)
        try:
            seq = self._lake.commit(tables, turn.positions)
        except StoreError:
            self._followers.clear()  # they have learned from lines that will be read again
            raise
        for (name, stream), position in turn.positions.items():
            self._positions[name][stream] = position
        for name, report, size in turn.pieces:
            self._count(name, report, size)
        return Taken(seq, tables, sum(map(len, tables)), True)

    def _poll(self, source: Source, rows: int, turn: _Turn) -> None:
        stalled: set[str] = set()
        before = turn.rows
        chunks = source.poll(self._positions[source.name], BYTES)
        for chunk in chunks:
            if chunk.stream in stalled:
                continue
            if not self._take(source.name, chunk, turn):
                stalled.add(chunk.stream)
            if turn.rows - before >= rows:
                chunks.close()  # type: ignore[attr-defined]
                break

    def _take(self, name: str, chunk: Chunk, turn: _Turn) -> bool:
        """Takes a chunk's lines; false where some of them wait for more."""
        key = (name, chunk.stream)
        if not chunk.data:
            turn.positions[key] = chunk.after(0, 0)
            return True
        follower = self._follower(key, chunk)
        if follower is None:
            return False
        piece = follower.read(chunk.data, chunk.first, whole=chunk.whole or self._waited(key, chunk))
        if piece.size:
            turn.positions[key] = chunk.after(piece.size, piece.lines)
            turn.tables += piece.tables
            turn.rows += sum(map(len, piece.tables))
            turn.pieces.append((name, piece.report, piece.size))
        if piece.size == len(chunk.data):
            self._held.pop(key, None)
            return True
        return False

    def _waited(self, key: tuple[str, str], chunk: Chunk) -> bool:
        """Whether the lines have waited for the rest of an event as long as they may."""
        now = time.monotonic()
        first, since = self._held.get(key, (0, 0.0))
        if first != chunk.first:
            self._held[key] = (chunk.first, now)
            return self._patience <= 0
        return now - since >= self._patience

    def _follower(self, key: tuple[str, str], chunk: Chunk) -> Follower | None:
        """Who reads the stream; None while nobody knows its format, and then nothing of it is taken."""
        known = self._followers.get(key)
        if known is not None and known[1] == chunk.part:
            return known[0]
        if known is not None and known[0].keeps_memory:
            self._followers[key] = (known[0], chunk.part)
            return known[0]
        found = follow(
            chunk.stream, chunk.head, self._readers, self._mappings, self._limits, host=chunk.host, form=chunk.form
        )
        tally = self.tallies[key[0]]
        what = f"{chunk.stream}: no reader of growing logs recognises it"
        if found is None:
            if self._streams(key[0]) == 1:
                tally.problems[what] = 1
            else:  # of many files some are of no known kind: that is no fault
                tally.skipped[what] = 1
            return None
        tally.problems.pop(what, None)
        tally.skipped.pop(what, None)
        if chunk.first > 1:
            found.warm(chunk.before())
        self._followers[key] = (found, chunk.part)
        return found

    def _streams(self, name: str) -> int:
        return next(source.state.streams for source in self.sources if source.name == name)

    def _count(self, name: str, report: SourceReport, size: int) -> None:
        tally = self.tallies[name]
        tally.bytes += size
        tally.records += report.records
        tally.rows += sum(report.rows.values())
        tally.last = time.time()
        _add(tally.problems, {one.what: one.count for one in report.problems})
        _add(tally.skipped, report.skipped)
        before = tally.streams.pop(report.path, None)
        tally.streams[report.path] = _sum(before, report)
        if len(tally.streams) > _MOST_KINDS:
            tally.streams.pop(next(iter(tally.streams)))

    def reports(self) -> list[SourceReport]:
        """What came of each stream, as a case tells it."""
        return [report for tally in self.tallies.values() for report in tally.streams.values()]


def _joined(tables: Sequence[Table]) -> tuple[Table, ...]:
    """One table of each name."""
    by_name: dict[str, list[Table]] = defaultdict(list)
    for table in tables:
        by_name[table.name].append(table)
    return tuple(concat(same) for same in by_name.values())


def _add(counts: Counter[str], more: object) -> None:
    for what, count in dict(more).items():  # type: ignore[call-overload]
        counts[what if what in counts or len(counts) < _MOST_KINDS else "other"] += count


def _sum(one: SourceReport | None, other: SourceReport) -> SourceReport:
    if one is None:
        return other
    rows = Counter(one.rows) + Counter(other.rows)
    problems: Counter[str] = Counter()
    for problem in (*one.problems, *other.problems):
        problems[problem.what if problem.what in problems or len(problems) < _MOST_KINDS else "other"] += problem.count
    state = Reading.PARTIAL if Reading.PARTIAL in (one.reading, other.reading) else other.reading
    return SourceReport(
        one.path, one.format, state, one.records + other.records, dict(rows), {},
        tuple(Problem(what, count) for what, count in problems.items()),
    )  # fmt: skip
