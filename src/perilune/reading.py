"""Logs in, Tables out, on as many cores as there are: the same rows and reports for any number of processes.

What there is to read is cut into units: some small files, one larger file, or a part of a large file of lines. A unit
is read here or in a worker process, which hands its Tables over as Arrow files; the order is that of the units.
"""

from __future__ import annotations

import os
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

import pyarrow as pa

from perilune import readers
from perilune.model.sources import Problem, Reading, SourceReport
from perilune.model.tables import Table
from perilune.ports import MIB, Limits, Reader
from perilune.readers.mappings import Mappings
from perilune.readers.opening import Opener
from perilune.readers.ranges import SIZE, Range, merged, split
from perilune.readers.source import Source
from perilune.runners import crew
from perilune.runners.local import usable_cores
from perilune.store import events

WORTHWHILE = 256 * MIB  # of logs: a process takes as long to begin as to read a third of this
_RANGE_BYTES = SIZE
_UNIT_BYTES = 16 * MIB
_UNIT_FILES = 256
_PACKED = 8  # bytes that a packed one is taken for
_PART_BYTES = 32 * MIB
_LOOKED_AT = 100_000  # units looked at to tell whether there is enough to read

Part = Source | Range | SourceReport
Item = Table | SourceReport


@dataclass(frozen=True, slots=True)
class Unit:
    """What is read in one go, in order; reports are of what cannot be read at all."""

    parts: tuple[Part, ...]
    size: int


@dataclass(frozen=True, slots=True)
class Own:
    """The user's own content folder, and mapping files given besides."""

    content: Path | None = None
    mappings: tuple[Path, ...] = ()


def read(
    paths: Iterable[str | Path], limits: Limits | None = None, *, own: Own | None = None, jobs: int | None = 1
) -> Iterator[Item]:
    """Every Table of every file under the paths; each file's report comes after all of its rows.

    Args:
        paths: files, folders, archives, and lakes of `perilune watch`.
        limits: the budgets of the reading.
        own: what the user has besides the packaged mappings and pattern files.
        jobs: processes that read, where there is enough to read; None for one per core.
    """
    with ExitStack() as stack:
        held = [_opened(path, stack) for path in paths]
        files: list[str | Path] = []
        for one in held:
            files += one.paths() if isinstance(one, events.Held) else [one]
        yield from _read(files, [one for one in held if isinstance(one, events.Held)], limits, own, jobs)


def _opened(path: str | Path, stack: ExitStack) -> str | Path | events.Held:
    """The path, or the lake that it is as it is now: what is written to it from now on is not read."""
    return stack.enter_context(events.reading(Path(path))) if events.is_lake(Path(path)) else path


def _read(
    paths: Iterable[str | Path], lakes: Sequence[events.Held], limits: Limits | None, own: Own | None, jobs: int | None
) -> Iterator[Item]:
    limits = limits or Limits()
    task = _Reading(own or Own(), limits, "")
    state = task.prepare()  # here too, so that a wrong file of the user's is said before anything is read
    found = units(readers.discover(paths, limits), state.readers)
    workers = usable_cores() if jobs is None else jobs
    begun, enough = _look_ahead(found) if workers > 1 else ([], False)
    whole = chain(begun, found)
    items = _spread(task, whole, workers) if enough and len(begun) > 1 else _here(task, state, whole)
    newest = (item for lake in lakes for item in _newest(lake))
    yield from readers.join(chain(_merged(items, limits), newest), limits)


def _newest(lake: events.Held) -> Iterator[Item]:
    """A lake's rows that are not in files yet."""
    yield from lake.tables
    rows = Counter({table.name: 0 for table in lake.tables})
    for table in lake.tables:
        rows[table.name] += len(table)
    if rows:
        path = str(lake.folder / "log")
        yield SourceReport(path, "lake", Reading.COMPLETE, sum(rows.values()), dict(rows))


def _look_ahead(found: Iterator[Unit]) -> tuple[list[Unit], bool]:
    """The first units, and whether they are enough for several processes."""
    begun: list[Unit] = []
    size = 0
    for unit in found:
        begun.append(unit)
        size += unit.size
        if size >= WORTHWHILE and len(begun) > 1:
            return begun, True
        if len(begun) >= _LOOKED_AT:
            break
    return begun, False


# --- units


def units(found: Iterable[Source | SourceReport], packaged: Sequence[Reader]) -> Iterator[Unit]:
    """What was found, cut into units: always the same ones, whoever reads them."""
    parts: list[Part] = []
    size = 0
    for item in found:
        ranges = split(item, packaged, _RANGE_BYTES) if isinstance(item, Source) else iter(())
        first = next(ranges, None)
        if first is not None:
            if parts:
                yield Unit(tuple(parts), size)
            parts, size = [], 0
            yield from (Unit((one,), one.end - one.begin) for one in chain([first], ranges))
            continue
        if (size >= _UNIT_BYTES or len(parts) >= _UNIT_FILES) and not _same_archive(parts, item):
            yield Unit(tuple(parts), size)
            parts, size = [], 0
        parts.append(item)
        size += _size(item) if isinstance(item, Source) else 0
    if parts:
        yield Unit(tuple(parts), size)


def _same_archive(parts: Sequence[Part], item: Source | SourceReport) -> bool:
    """Whether it is of the archive that was last read: opening that again may mean to unpack it from its beginning."""
    last = next((part for part in reversed(parts) if isinstance(part, Source)), None)
    return last is not None and isinstance(item, Source) and bool(item.members) and item.path == last.path


def _size(source: Source) -> int:
    """Bytes to read, roughly; a member's share of its archive is not known."""
    if source.members:
        return MIB
    try:
        size = os.stat(source.path).st_size  # noqa: PTH116 - names may hold bytes that no Path should normalise
    except (OSError, ValueError):
        return 0
    return size * _PACKED if source.path.endswith((".gz", ".bz2", ".xz")) else size


# --- reading a unit


@dataclass(frozen=True, slots=True)
class _State:
    mappings: Mappings | None
    readers: Sequence[Reader]


@dataclass(frozen=True, slots=True)
class _Handed:
    """Tables in an Arrow file, one stream after the other, and reports, in the order of `entries`."""

    path: str
    entries: tuple[str | SourceReport, ...]


@dataclass(frozen=True, slots=True)
class _Reading:
    """The task of a worker process."""

    own: Own
    limits: Limits
    folder: str

    def prepare(self) -> _State:
        mappings, found = readers.tools(self.own.content, self.own.mappings)
        return _State(mappings, found)

    def items(self, state: _State, unit: Unit) -> Iterator[Item]:
        """What the unit gives."""
        with Opener(self.limits) as opener:
            found = [part for part in unit.parts if not isinstance(part, SourceReport)]
            yield from readers.read_sources(
                found, self.limits, readers=state.readers, mappings=state.mappings, opener=opener
            )
        yield from (part for part in unit.parts if isinstance(part, SourceReport))

    def do(self, state: _State, unit: Unit) -> Iterator[_Handed]:
        """The same in files, of bounded size."""
        held: list[Item] = []
        size = 0
        for item in self.items(state, unit):
            held.append(item)
            size += item.data.nbytes if isinstance(item, Table) else 0
            if size >= _PART_BYTES:
                yield _hand_over(held, self.folder)
                held, size = [], 0
        if held:
            yield _hand_over(held, self.folder)


def _hand_over(items: Sequence[Item], folder: str) -> _Handed:
    entries = tuple(item.name if isinstance(item, Table) else item for item in items)
    tables = [item.data for item in items if isinstance(item, Table)]
    if not tables:
        return _Handed("", entries)
    descriptor, path = tempfile.mkstemp(suffix=".arrow", dir=folder)
    os.close(descriptor)
    with pa.OSFile(path, "wb") as out:
        for data in tables:
            with pa.ipc.new_stream(out, data.schema) as writer:
                writer.write_table(data)
    return _Handed(path, entries)


def _taken(handed: _Handed) -> Iterator[Item]:
    """What a worker handed over; its file goes."""
    if not handed.path:
        yield from (entry for entry in handed.entries if isinstance(entry, SourceReport))
        return
    with pa.OSFile(handed.path, "rb") as source:
        for entry in handed.entries:
            yield entry if isinstance(entry, SourceReport) else Table(entry, pa.ipc.open_stream(source).read_all())
    os.unlink(handed.path)  # noqa: PTH108


def _here(task: _Reading, state: _State, found: Iterable[Unit]) -> Iterator[tuple[Part | None, Item]]:
    for unit in found:
        for item in task.items(state, unit):
            yield _range_of(unit), item


def _range_of(unit: Unit) -> Part | None:
    return unit.parts[0] if isinstance(unit.parts[0], Range) else None


def _spread(task: _Reading, found: Iterable[Unit], workers: int) -> Iterator[tuple[Part | None, Item]]:
    with tempfile.TemporaryDirectory(prefix="perilune-read-") as folder:
        given = _Given()
        for unit, result in crew.run(replace(task, folder=folder), found, workers):
            if isinstance(result, _Handed):
                for item in _taken(result):
                    given.add(item)
                    yield _range_of(unit), item
                continue
            if isinstance(result, crew.Ended):
                for item in _lost(task, folder, unit, result.code, given):
                    yield _range_of(unit), item
            given = _Given()


# --- a unit whose process ended


class _Given:
    """What a unit has given so far."""

    def __init__(self) -> None:
        self.reported: set[str] = set()
        self.rows: dict[str, Counter[str]] = defaultdict(Counter)

    def add(self, item: Item) -> None:
        if isinstance(item, SourceReport):
            self.reported.add(item.path)
            return
        counts: Any = item.column("XSourceFile").value_counts()
        for path, count in zip(counts.field("values").to_pylist(), counts.field("counts").to_pylist(), strict=True):
            self.rows[str(path)][item.name] += count


def _lost(task: _Reading, folder: str, unit: Unit, code: int | None, given: _Given) -> Iterator[Item]:
    """Of several files each is read by itself, to lose only the one at fault; it is said which that was."""
    left = [part for part in unit.parts if isinstance(part, SourceReport) or _name(part) not in given.reported]
    if len(left) > 1 and not given.rows:
        for _, item in _spread(replace(task, folder=folder), (Unit((part,), 0) for part in left), 1):
            yield item
        return
    for part in left:
        yield part if isinstance(part, SourceReport) else _report(_name(part), code, given.rows[_name(part)])


def _name(part: Source | Range) -> str:
    return part.source.name if isinstance(part, Range) else part.name


def _report(path: str, code: int | None, rows: Counter[str]) -> SourceReport:
    how = f"signal {-code}" if code is not None and code < 0 else f"code {code}"
    what = f"the process that read it ended ({how}), twice; it may have run out of memory"
    reading = Reading.PARTIAL if rows else Reading.UNREADABLE
    return SourceReport(path, "", reading, sum(rows.values()), dict(rows), problems=(Problem(what),))


# --- files that were read in parts


def _merged(items: Iterable[tuple[Part | None, Item]], limits: Limits) -> Iterator[Item]:
    """The same, with one report for each file."""
    waiting: list[SourceReport] = []
    for part, item in items:
        if not isinstance(part, Range) or not isinstance(item, SourceReport):
            yield item
            continue
        waiting.append(item)
        if part.last:
            yield merged(waiting, limits)
            waiting = []
