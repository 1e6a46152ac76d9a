"""Files in, Tables out: which reader a file needs, its records, the mapping to the one schema, and a report.

for item in readers.read([Path("logs")], readers.Limits()):
    ...  # a Table of bounded size, or the SourceReport at the end of each file
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

from perilune.errors import ReadError
from perilune.model.sources import Problem, Reading, SourceReport
from perilune.ports import Columns, Count, Limits, Lost, Reader, Records
from perilune.readers.detect import HEAD, encoding_of, find_reader, packaged
from perilune.readers.gather import UNKNOWN
from perilune.readers.sources import Opener, Source, discover, unreadable

if TYPE_CHECKING:
    from perilune.model.tables import Table
    from perilune.readers.mappings import Mappings
    from perilune.readers.normalize import Normalizer

__all__ = ["Limits", "Source", "discover", "read", "read_source"]


def read(
    paths: Iterable[str | Path],
    limits: Limits | None = None,
    *,
    readers: Sequence[Reader] | None = None,
    mappings: Mappings | None = None,
) -> Iterator[Table | SourceReport]:
    """Every Table of every file under the paths, and after each file its report.

    Args:
        paths: files, folders and archives.
        limits: the budgets of the reading.
        readers: instead of the packaged ones; the first that recognises a file reads it.
        mappings: instead of the packaged ones.
    """
    limits = limits or Limits()
    with Opener(limits) as opener:
        for item in discover(paths, limits):
            if isinstance(item, SourceReport):
                yield item
            else:
                yield from read_source(item, limits, readers=readers, mappings=mappings, opener=opener)


def read_source(
    source: Source,
    limits: Limits | None = None,
    *,
    readers: Sequence[Reader] | None = None,
    mappings: Mappings | None = None,
    opener: Opener | None = None,
) -> Iterator[Table | SourceReport]:
    """The Tables of one source, and its report at the end. Needs nothing but the source: any process may do it."""
    limits = limits or Limits()
    try:
        with (opener or Opener(limits)).open(source) as stream:
            yield from _read_stream(
                source, stream, limits, packaged(mappings) if readers is None else readers, mappings
            )
    except ReadError as error:
        yield unreadable(source.name, error.what)


def _read_stream(
    source: Source, stream: BinaryIO, limits: Limits, readers: Sequence[Reader], mappings: Mappings | None
) -> Iterator[Table | SourceReport]:
    from perilune.readers.mappings import packaged as packaged_mappings
    from perilune.readers.normalize import Normalizer
    from perilune.readers.sources import rewound
    from perilune.readers.streams import Transcoded, read_head

    head = read_head(stream, HEAD)
    text = rewound(head, stream)
    encoding = encoding_of(head)
    if encoding:
        text = cast(BinaryIO, Transcoded(text, encoding))
        head = read_head(text, HEAD)
        text = rewound(head, text)
    reader = find_reader(head, readers)
    if reader is None:
        yield _unknown(source, head, readers)
        return
    normalizer = Normalizer(mappings or packaged_mappings(), source.name, reader.name, limits)
    tally = _Tally(limits)
    yield from _tables(reader, text, normalizer, tally, limits)
    fault = getattr(stream, "fault", None)
    if fault:
        tally.lose(Problem(fault))
    yield tally.report(source, reader, normalizer)


def _tables(reader: Reader, stream: BinaryIO, normalizer: Normalizer, tally: _Tally, limits: Limits) -> Iterator[Table]:
    try:
        for item in reader.read(stream, limits):
            if isinstance(item, Records | Columns):
                yield from normalizer.add(item)
            else:
                tally.take(item)
    except Exception as error:  # noqa: BLE001 - the door for one bad file: a reader may be a plugin
        tally.lose(Problem(f"the {reader.name} reader failed: {type(error).__name__}: {_line(error)}"))
    yield from normalizer.flush()


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]


def _unknown(source: Source, head: bytes, readers: Sequence[Reader]) -> SourceReport:
    looked = "; ".join(reader.looks_for for reader in readers)
    kind = "binary data" if b"\0" in head[:4096] else "text"
    what = f"{kind} that no reader recognises (looked for {looked})"
    return SourceReport(source.name, "", Reading.UNKNOWN, problems=(Problem(what),))


class _Tally:
    """Counts what one file gave; of unlike problems only so many kinds are kept."""

    def __init__(self, limits: Limits) -> None:
        self._most = limits.max_kinds
        self._found = 0
        self._lost = False
        self._skipped: Counter[str] = Counter()
        self._problems: dict[str, Problem] = {}

    def take(self, item: Count | Problem | Lost) -> None:
        match item:
            case Count(found, skipped):
                self._found += found
                self.skip(skipped)
            case Lost(problem):
                self.lose(problem)
            case Problem():
                self.add(item)

    def skip(self, reasons: Mapping[str, int]) -> None:
        for reason, count in reasons.items():
            if count:
                known = reason in self._skipped or len(self._skipped) < self._most
                self._skipped[reason if known else "for other reasons"] += count

    def lose(self, problem: Problem) -> None:
        self._lost = True
        self.add(problem)

    def add(self, problem: Problem) -> None:
        what = problem.what
        if what not in self._problems and len(self._problems) >= self._most:
            what = "other problems"
        known = self._problems.get(what, Problem(what, 0, problem.where))
        self._problems[what] = Problem(what, known.count + problem.count, known.where)

    def report(self, source: Source, reader: Reader, normalizer: Normalizer) -> SourceReport:
        self.skip(normalizer.skipped)
        for problem in normalizer.faults.values():
            self.add(problem)
        return SourceReport(
            path=source.name,
            format=reader.name,
            reading=self._reading(sum(normalizer.counts.values())),
            records=self._found,
            rows=dict(normalizer.counts),
            skipped=dict(self._skipped),
            problems=tuple(self._problems.values()),
        )

    def _reading(self, rows: int) -> Reading:
        if self._lost:
            return Reading.PARTIAL if rows or self._found else Reading.UNREADABLE
        unknown = sum(count for reason, count in self._skipped.items() if reason.startswith(UNKNOWN))
        return Reading.UNKNOWN if unknown and unknown == self._found else Reading.COMPLETE
