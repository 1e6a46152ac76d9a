"""What cannot be asked for twice is first written to files: lines of sockets, of web requests, of the kernel.

A journal is a folder of segments that one writer appends to and one source follows. Whoever reads it may be killed
at any time: the lines wait. What was taken into the lake is deleted.
"""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

from perilune.service.live.sources import CHUNK_BYTES, TOLD_BY, WARM_BYTES, Chunk, State
from perilune.store.lake_manifest import Position

SEGMENT_BYTES = 32 << 20
MOST_BYTES = 2 << 30  # on disk; beyond it nothing more is taken in, and it is said
_LOOK = 64  # appends between two looks at how much is there


class JournalFull(Exception):
    """There is no room: more than `MOST_BYTES` wait, or the disk is full."""


class Journal:
    """The writer. Safe for several threads."""

    def __init__(self, folder: Path, most_bytes: int = MOST_BYTES) -> None:
        self._folder = folder
        self._most = most_bytes
        self._lock = threading.Lock()
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._number = max(segments(folder), default=0)  # a new one: the last may end in half a line
        self._file, self._size, self._appends = -1, 0, 0

    def append(self, lines: bytes, *, durable: bool = False) -> None:
        """Takes whole lines; on disk for good where `durable`. Raises JournalFull."""
        with self._lock:
            self._appends += 1
            if self._appends % _LOOK == 1 and self._waiting() > self._most:
                raise JournalFull(f"more than {self._most:,} bytes wait to be read")
            try:
                self._write(lines)
                if durable:
                    os.fdatasync(self._file)
            except OSError as error:
                if self._file >= 0:
                    os.ftruncate(self._file, self._size)
                raise JournalFull(str(error.strerror)) from error
            self._size += len(lines)

    def _write(self, lines: bytes) -> None:
        if self._file < 0 or self._size > SEGMENT_BYTES:
            self._close()
            self._number += 1
            path = self._folder / name_of(self._number)
            self._file = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC, 0o600)
            self._size = 0
        view = memoryview(lines)
        while view:
            view = view[os.write(self._file, view) :]

    def _waiting(self) -> int:
        return sum(path.stat().st_size for path in segments(self._folder).values())

    def _close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
        self._file = -1

    def close(self) -> None:
        with self._lock:
            self._close()


def segments(folder: Path) -> dict[int, Path]:
    """The segments of a journal by number."""
    found = {int(path.stem): path for path in folder.glob("*.log") if path.stem.isdecimal()}
    return dict(sorted(found.items()))


def name_of(number: int) -> str:
    return f"{number:012}.log"


class JournalReader:
    """Follows one journal as a stream with a name of its own."""

    def __init__(self, folder: Path, stream: str, form: str) -> None:
        self._folder = folder
        self.stream = stream
        self._form = form
        self.waiting = 0
        self.lost: Counter[str] = Counter()

    def poll(self, position: Position | None, budget: int) -> Iterator[Chunk]:
        """What is there after the position; segments before it go, since it is in the lake."""
        place = position or {}
        number, offset, lines = (_int(place.get(name)) for name in ("segment", "offset", "lines"))
        found = segments(self._folder)
        for one in [one for one in found if one < number]:
            path = found.pop(one)
            if one < number - 1:  # the last one stays, for a reader that begins again to learn from
                path.unlink(missing_ok=True)
        self.waiting = sum(path.stat().st_size for path in found.values()) - (offset if number in found else 0)
        for one, path in found.items():
            start = offset if one == number else 0
            while budget > 0:
                data, size = _read_lines(path, start)
                if not data:
                    break
                yield self._chunk(path, one, start, lines, data)
                start, lines, budget = start + len(data), lines + data.count(b"\n"), budget - len(data)
            if budget <= 0:
                return
            if one != max(found) and size > start:
                self.lost["half a line at the end of what a process wrote that was ended"] += 1

    def _chunk(self, path: Path, number: int, start: int, lines: int, data: bytes) -> Chunk:
        return Chunk(
            stream=self.stream,
            data=data,
            first=lines + 1,
            head=data[:TOLD_BY],
            part=0,
            whole=False,
            after=lambda size, count: {"segment": number, "offset": start + size, "lines": lines + count},
            before=lambda: _before(path, start),
            form=self._form,
        )


def _read_lines(path: Path, start: int) -> tuple[bytes, int]:
    """Whole lines from a place of a segment, and how long the segment is."""
    with path.open("rb") as stream:
        stream.seek(start)
        data = stream.read(CHUNK_BYTES)
        end = data.rfind(b"\n") + 1
        while data and not end and len(data) % CHUNK_BYTES == 0:
            more = stream.read(CHUNK_BYTES)
            data += more
            end = data.rfind(b"\n") + 1
            if not more:
                break
        return data[:end], os.fstat(stream.fileno()).st_size


def _before(path: Path, start: int) -> bytes:
    """What lies before a place of a segment, and in the segment before it."""
    found = _tail_of(path, start)
    if start < WARM_BYTES:
        earlier = path.with_name(name_of(int(path.stem) - 1))
        found = _tail_of(earlier, None) + found
    return found


def _tail_of(path: Path, end: int | None) -> bytes:
    try:
        with path.open("rb") as stream:
            size = os.fstat(stream.fileno()).st_size if end is None else end
            begin = max(0, size - WARM_BYTES)
            stream.seek(begin)
            data = stream.read(size - begin)
    except OSError:
        return b""
    return data[: data.rfind(b"\n") + 1] if not begin else data[data.find(b"\n") + 1 : data.rfind(b"\n") + 1]


def _int(value: object) -> int:
    return value if isinstance(value, int) else 0


class JournalSource:
    """Journals in a folder, each a stream: what is behind every source that listens.

    forms: by journal, the format of what is written to it.
    """

    def __init__(self, name: str, folder: Path, forms: Mapping[str, str]) -> None:
        self.name = name
        self._forms = forms
        self.folder = folder
        self.state = State()
        self._readers: dict[str, JournalReader] = {}

    def start(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    def poll(self, positions: Mapping[str, Position], budget: int) -> Iterator[Chunk]:
        for path in sorted(self.folder.iterdir() if self.folder.is_dir() else ()):
            if path.is_dir() and path.name in self._forms and path.name not in self._readers:
                made = JournalReader(path, self.stream(path.name), self._forms[path.name])
                self._readers[path.name] = made
        for reader in self._readers.values():
            yield from reader.poll(positions.get(reader.stream), budget)
            self.state.lost.update(reader.lost)
            reader.lost.clear()
        self.state.waiting = sum(reader.waiting for reader in self._readers.values())
        self.state.streams = len(self._readers)

    def stream(self, journal: str) -> str:
        """The name of a journal's rows: that of the source, and of the journal where there are several."""
        return self.name if journal == "main" else f"{self.name}#{journal}"

    def stop(self) -> None:
        return None
