"""Files in, Tables out: which reader a file needs, its records, the mapping to the one schema, and a report.

for item in readers.read([Path("logs")], readers.Limits()):
    ...  # a Table of bounded size, or a file's SourceReport, after all of its rows

Small files share a Table; `XSourceFile` and `XSourceRecord` say where each row is from.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

from perilune.errors import ReadError
from perilune.model.sources import Problem, Reading, SourceReport
from perilune.ports import Columns, Halves, Limits, Reader, Records, Rows
from perilune.readers.derived import with_derived
from perilune.readers.detect import HEAD, encoding_of, find_reader, packaged
from perilune.readers.opening import Opener, rewound
from perilune.readers.ranges import Range, Window
from perilune.readers.rejoined import rejoined
from perilune.readers.source import Source, last_change, unreadable
from perilune.readers.sources import discover
from perilune.readers.tally import Tally

if TYPE_CHECKING:
    from perilune.model.tables import Table
    from perilune.readers.mappings import Mappings
    from perilune.readers.normalize import Normalizer

__all__ = ["Limits", "Source", "discover", "join", "read", "read_source", "read_sources", "tools"]

_MOST_HELD = 1024  # reports that wait for the rows of their files


def read(
    paths: Iterable[str | Path],
    limits: Limits | None = None,
    *,
    readers: Sequence[Reader] | None = None,
    mappings: Mappings | None = None,
    content: Path | None = None,
) -> Iterator[Table | SourceReport]:
    """Every Table of every file under the paths; each file's report comes after all of its rows.

    Args:
        paths: files, folders and archives.
        limits: the budgets of the reading.
        readers: instead of the packaged ones; the first that recognises a file reads it.
        mappings: instead of the packaged ones.
        content: the user's content folder, whose `mappings` and `applogs` are used besides the packaged ones.
    """
    limits = limits or Limits()
    if content is not None:
        own, found = tools(content)
        mappings, readers = mappings or own, readers or (found if mappings is None else None)
    yield from join(_read(paths, limits, _Desk(limits, readers, mappings)), limits)


def _read(paths: Iterable[str | Path], limits: Limits, desk: _Desk) -> Iterator[Table | SourceReport]:
    with Opener(limits) as opener:
        for item in discover(paths, limits):
            yield from desk.done(item) if isinstance(item, SourceReport) else desk.read(item, opener)
    yield from desk.finish()


def join(items: Iterable[Table | SourceReport], limits: Limits) -> Iterator[Table | SourceReport]:
    """What several readings gave: scripts whole whose parts lay in several files, and what follows from a row."""
    return with_derived(rejoined(items, limits))


def tools(content: Path | None, mappings: Sequence[Path] = ()) -> tuple[Mappings | None, Sequence[Reader]]:
    """The readers and mappings with the user's own; a wrong file among these is a ContentError."""
    from perilune.readers.mappings import with_own
    from perilune.readers.patterns import load_all

    maps = [*(sorted((content / "mappings").glob("*.yml")) if content else ()), *mappings]
    patterns = sorted((content / "applogs").glob("*.yml")) if content else []
    known = with_own(maps) if maps else None
    return known, packaged(known, load_all(patterns) if patterns else ())


def read_source(
    source: Source,
    limits: Limits | None = None,
    *,
    readers: Sequence[Reader] | None = None,
    mappings: Mappings | None = None,
    opener: Opener | None = None,
) -> Iterator[Table | SourceReport]:
    """The Tables of one source, and its report at the end. Needs nothing but the source: any process may do it."""
    yield from read_sources([source], limits, readers=readers, mappings=mappings, opener=opener)


def read_sources(
    sources: Iterable[Source | Range],
    limits: Limits | None = None,
    *,
    readers: Sequence[Reader] | None = None,
    mappings: Mappings | None = None,
    opener: Opener | None = None,
) -> Iterator[Table | SourceReport]:
    """The same of several sources; small ones share a Table. A source's report comes after all of its rows."""
    limits = limits or Limits()
    desk = _Desk(limits, readers, mappings)
    for source in sources:
        yield from desk.read(source, opener or Opener(limits))
    yield from desk.finish()


class _Desk:
    """Reads source after source into common Tables, and holds each report back until its rows are out."""

    def __init__(self, limits: Limits, readers: Sequence[Reader] | None, mappings: Mappings | None) -> None:
        from perilune.readers.mappings import packaged as packaged_mappings
        from perilune.readers.normalize import Normalizer

        self._limits = limits
        self._readers = packaged(mappings) if readers is None else readers
        self._normalizer = Normalizer(mappings or packaged_mappings(), limits)
        self._held: list[Callable[[], SourceReport]] = []

    def done(self, report: SourceReport) -> Iterator[Table | SourceReport]:
        """A report whose rows, if any, are all in."""
        yield from self._hold(lambda: report)

    def _hold(self, report: Callable[[], SourceReport]) -> Iterator[Table | SourceReport]:
        self._held.append(report)
        if not self._normalizer.rows or len(self._held) >= _MOST_HELD:
            yield from self.finish()

    def read(self, source: Source | Range, opener: Opener) -> Iterator[Table | SourceReport]:
        part, source = (source, source.source) if isinstance(source, Range) else (None, source)
        try:
            with opener.open(source) as stream:
                yield from self._read(source, stream) if part is None else self._read_part(part, stream)
        except ReadError as error:
            yield from self.done(unreadable(source.name, error.what))

    def _read_part(self, part: Range, stream: BinaryIO) -> Iterator[Table | SourceReport]:
        """A part of a file of lines; the reader is asked for by what the file begins with."""
        head = stream.read(HEAD)
        reader = find_reader(head, self._readers)
        make = getattr(reader, "part", None)
        if make is None:
            yield from self.done(unreadable(part.source.name, "the file was changed while it was read"))
            return
        text = cast(BinaryIO, Window(stream, part.begin, part.end))
        yield from self._read_with(cast(Reader, make(part.line)), part.source, text, text)

    def _read(self, source: Source, stream: BinaryIO) -> Iterator[Table | SourceReport]:
        head, text = _decoded(stream)
        reader = find_reader(head, self._readers) or _named_script(source, head)
        if reader is None:
            yield from self.done(_unknown(source, head))
            return
        yield from self._read_with(_dated(reader, source), source, text, stream)

    def _read_with(
        self, reader: Reader, source: Source, text: BinaryIO, stream: BinaryIO
    ) -> Iterator[Table | SourceReport]:
        origin = self._normalizer.begin(source.name, reader.name)
        tally = Tally(self._limits)
        yield from _tables(reader, text, self._normalizer, tally, self._limits)
        fault = getattr(stream, "fault", None)
        if fault:
            tally.lose(Problem(fault))
        yield from self._hold(lambda: tally.report(source, origin))

    def finish(self) -> Iterator[Table | SourceReport]:
        """All that is waiting."""
        yield from self._normalizer.flush()
        held, self._held = self._held, []
        for report in held:
            yield report()


def _dated(reader: Reader, source: Source) -> Reader:
    """The reader that knows when the file was changed, where the format has times without a year."""
    dated, placed = getattr(reader, "dated", None), getattr(reader, "placed", None)
    if placed is not None:
        return cast(Reader, placed(source.name, last_change(source)))
    return reader if dated is None else cast(Reader, dated(last_change(source)))


def _named_script(source: Source, head: bytes) -> Reader | None:
    """The reader of scripts for a file or member that is text and has a script's name."""
    from perilune.readers.scripts import ScriptReader, extension_language

    if b"\0" in head or extension_language(source.name) is None:
        return None
    return ScriptReader()


def _decoded(stream: BinaryIO) -> tuple[bytes, BinaryIO]:
    """The stream as UTF-8 where it is text, and its first bytes."""
    from perilune.readers.streams import Transcoded, read_head

    head = read_head(stream, HEAD)
    text = rewound(head, stream)
    encoding = encoding_of(head)
    if encoding:
        text = cast(BinaryIO, Transcoded(text, encoding))
        head = read_head(text, HEAD)
        text = rewound(head, text)
    return head, text


def _tables(reader: Reader, stream: BinaryIO, normalizer: Normalizer, tally: Tally, limits: Limits) -> Iterator[Table]:
    collector = _Collector()
    try:
        collector.pause()
        for item in reader.read(stream, limits):
            if isinstance(item, Records | Columns | Halves):
                for table in normalizer.add(item):
                    collector.resume()
                    yield table
                    collector.pause()
            elif isinstance(item, Rows):
                collector.resume()
                yield normalizer.pass_on(item)
                collector.pause()
            else:
                tally.take(item)
    except Exception as error:  # noqa: BLE001 - the door for one bad file: a reader may be a plugin
        tally.lose(Problem(f"the {reader.name} reader failed: {type(error).__name__}: {_line(error)}"))
    finally:
        collector.resume()


class _Collector:
    """The garbage collector, held off while records are decoded: it would look at each of them several times.

    Nothing that a reader makes refers to itself, so there is nothing for it to find.
    """

    def __init__(self) -> None:
        self._was_on = gc.isenabled()

    def pause(self) -> None:
        gc.disable()

    def resume(self) -> None:
        if self._was_on:
            gc.enable()


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]


def _unknown(source: Source, head: bytes) -> SourceReport:
    kind = "binary data" if b"\0" in head[:4096] else "text"
    what = f"{kind} that no reader recognises; `perilune sources list` shows what is understood"
    return SourceReport(source.name, "", Reading.UNKNOWN, problems=(Problem(what),))
