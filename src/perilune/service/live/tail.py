"""A file that grows, is renamed, packed, cut short or replaced: every line of it once, in order.

A position names a file by what it holds (its beginning, and the bytes before the place), and not by its name: names
are rotated and inode numbers are used again. A file that is no longer under its name is looked for among its
siblings, packed or not, read to its end, and then those that came between, and then the new one.
"""

from __future__ import annotations

import hashlib
import os
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from perilune.errors import ReadError
from perilune.readers import Limits, Source
from perilune.readers.opening import Opener
from perilune.service.live.sources import CHUNK_BYTES, TOLD_BY, WARM_BYTES, Chunk, State
from perilune.store.lake_manifest import Position

if TYPE_CHECKING:
    from perilune.service.live.addresses import Address
    from perilune.service.live.sources import Source as Live

HEAD = 256  # bytes of a file's beginning by which it is known again
LAST = 64  # and before the place that was read to
QUIET = 1.0  # seconds that a renamed file is waited for: its writer may not have turned to the new one
_PACKED = (".gz", ".bz2", ".xz")
NUMBER = r"(?:[.-]\d[\d.:T_-]*|\.old)"
PACKING = r"(?:\.gz|\.bz2|\.xz)?"


@dataclass(frozen=True, slots=True)
class Place:
    """Where reading is: `offset` bytes into a file known by its beginning, `lines` lines since the first file."""

    offset: int = 0
    lines: int = 0
    head: str = ""
    head_size: int = 0
    last: str = ""
    inode: int = 0
    part: int = 0

    @classmethod
    def of(cls, position: Position) -> Place:
        known: dict[str, Any] = {name: position[name] for name in cls.__slots__ if name in position}
        return cls(**known)

    @property
    def position(self) -> Position:
        return {name: getattr(self, name) for name in self.__slots__}

    def holds(self, file: int) -> bool:
        """Whether the open file is the one that was read up to here."""
        info = os.fstat(file)
        if not self.offset:
            return info.st_ino == self.inode
        last = bytes.fromhex(self.last)
        return (
            info.st_size >= self.offset
            and _digest(os.pread(file, self.head_size, 0)) == self.head
            and os.pread(file, len(last), self.offset - len(last)) == last
        )


class Tail:
    """Follows one path."""

    def __init__(self, path: Path, state: State, *, patient: bool = True, at_end: bool = False) -> None:
        self._path = path
        self._state = state
        self._file = -1  # stays open: a file that was deleted is still read to its end
        self._seen: tuple[int, ...] = ()
        self._quiet_since = 0.0
        self._patient = patient
        self._at_end = at_end
        self.waiting = 0

    def close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
        self._file = -1

    def poll(self, position: Position | None, budget: int) -> Iterator[Chunk]:
        """What is new since the position. Ends early where a file is done, so that the next poll takes the next."""
        if position is None:
            position = self._begin()
            if position is None:
                return
            if self._at_end:  # kept at once: what comes from now on counts, also if nothing has come until a restart
                yield Chunk(str(self._path), b"", 1, b"", 0, True, lambda *_, begin=position: begin)
                return
        place = Place.of(position)
        if not self._is_open(place) and not self._find(place):
            yield from self._from_packed(place) or self._anew(place)
            return
        yield from self._grown(place, budget)

    def _begin(self) -> Position | None:
        """The first position of a path that was never read."""
        if not self._open(self._path):
            return None
        info = os.fstat(self._file)
        if not self._at_end:
            return Place(inode=info.st_ino).position
        data = os.pread(self._file, min(info.st_size, CHUNK_BYTES), max(0, info.st_size - CHUNK_BYTES))
        return self._after(Place(inode=info.st_ino), info.st_size - (len(data) - data.rfind(b"\n") - 1), 0, data[:-1])

    # --- which file

    def _open(self, path: Path) -> bool:
        try:
            file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError:
            self._state.doing, self._state.problem = "gone", f"{path} is not there"
            return False
        except OSError as error:
            self._state.doing, self._state.problem = "failed", f"{path}: {error.strerror}"
            return False
        self.close()
        self._file, self._seen = file, ()
        self._quiet_since = 0.0
        return True

    def _find(self, place: Place) -> bool:
        """Opens the file of the place: under its own name or another."""
        for path in (self._path, *self._siblings(packed=False)):
            if path.exists() and self._open(path):
                if place.holds(self._file):
                    return True
                self.close()
        return False

    def _is_open(self, place: Place) -> bool:
        """Whether the open file is still the one of the place: it may have been cut short, and have grown again."""
        if self._file < 0:
            return False
        info = os.fstat(self._file)
        seen = (info.st_size, info.st_mtime_ns, place.part)
        if seen != self._seen and not place.holds(self._file):
            return False
        self._seen = seen
        return True

    def _siblings(self, *, packed: bool) -> list[Path]:
        """Files that this one's name was rotated to, oldest first."""
        stem, dot, ending = self._path.name.partition(".")
        name, rest = re.escape(self._path.name), re.escape(dot + ending)
        names = re.compile(f"(?:{name}{NUMBER}|{re.escape(stem)}{NUMBER}{rest}){PACKING}")
        found: list[tuple[int, Path]] = []
        with suppress(OSError):
            found += [
                (entry.stat().st_mtime_ns, Path(entry.path))
                for entry in os.scandir(self._path.parent)
                if names.fullmatch(entry.name) and entry.name.endswith(_PACKED) == packed and entry.is_file()
            ]
        return [path for _, path in sorted(found)]

    def _next(self, place: Place) -> Path | None:
        """The file after the one that was read to its end: the oldest that is younger, or that of the name."""
        done = os.fstat(self._file)
        for path in self._siblings(packed=False):
            with suppress(OSError):
                info = path.stat()
                if info.st_mtime_ns > done.st_mtime_ns and info.st_ino != done.st_ino and not _begins(path, place):
                    return path
        return self._path if self._path.exists() else None

    # --- its lines

    def _grown(self, place: Place, budget: int) -> Iterator[Chunk]:
        """The lines that the open file has after the place."""
        while budget > 0:
            data = _lines_at(self._file, place.offset, max(CHUNK_BYTES, 1))
            self.waiting = max(0, os.fstat(self._file).st_size - place.offset)
            if not data:
                yield from self._at_its_end(place)
                return
            self._quiet_since = 0.0
            if not data.endswith(b"\n"):
                self._state.lost["line longer than allowed"] += 1
                place = Place.of(self._after(place, place.offset + len(data), 0, data))
                continue
            yield self._chunk(place, data, whole=False)
            budget -= len(data)
            place = Place.of(self._after(place, place.offset + len(data), data.count(b"\n"), data))

    def _at_its_end(self, place: Place) -> Iterator[Chunk]:
        """Where the name is another file's by now: the last line as it is, and the place moves to that."""
        here = os.fstat(self._file)
        try:
            named = self._path.stat()
        except OSError:
            self._state.doing, self._state.problem = "gone", f"{self._path} is not there"
            return
        self._state.doing, self._state.problem = "waiting", ""
        if named.st_ino == here.st_ino and named.st_dev == here.st_dev:
            return
        now = time.monotonic()
        self._quiet_since = self._quiet_since or now
        if self._patient and now - self._quiet_since < QUIET:
            return
        rest = os.pread(self._file, CHUNK_BYTES, place.offset)
        following = self._next(place)
        if following is None:
            return
        lines = place.lines + bool(rest)
        inode = following.stat().st_ino
        new = Place(lines=lines, inode=inode, part=place.part + 1).position
        yield Chunk(
            str(self._path), rest + b"\n" * bool(rest), place.lines + 1, self._head(), place.part, True, lambda *_: new
        )

    def _chunk(self, place: Place, data: bytes, *, whole: bool) -> Chunk:
        return Chunk(
            stream=str(self._path),
            data=data,
            first=place.lines + 1,
            head=self._head(),
            part=place.part,
            whole=whole,
            after=lambda size, lines: self._after(place, place.offset + size, lines, data[:size]),
            before=lambda: self._before(place),
        )

    def _head(self) -> bytes:
        head = os.pread(self._file, TOLD_BY, 0)
        return head[: head.rfind(b"\n") + 1] or head

    def _before(self, place: Place) -> bytes:
        start = max(0, place.offset - WARM_BYTES)
        data = os.pread(self._file, place.offset - start, start)
        return data if not start else data[data.find(b"\n") + 1 :]

    def _after(self, place: Place, offset: int, lines: int, data: bytes) -> Position:
        size = min(HEAD, offset)
        known = place.head_size == size
        head = place.head if known else _digest(os.pread(self._file, size, 0))
        info = os.fstat(self._file)
        last = (os.pread(self._file, min(LAST, offset), offset - min(LAST, offset))) if data else b""
        return Place(offset, place.lines + lines, head, size, last.hex(), info.st_ino, place.part).position

    # --- files that are no longer what they were

    def _from_packed(self, place: Place) -> list[Chunk]:
        """What a packed sibling still has of the file after the place; then the next one is read."""
        for path in self._siblings(packed=True):
            rest = _rest_of_packed(path, place)
            if rest is not None:
                self._state.problem = ""
                return self._closing(place, rest)
        return []

    def _closing(self, place: Place, rest: bytes) -> list[Chunk]:
        """The last lines of a file, after which the one of the name is read from its beginning."""
        if not self._open(self._path):
            return []
        info = os.fstat(self._file)
        ended = rest + b"\n" * (not rest.endswith(b"\n")) if rest else b""
        new = Place(lines=place.lines + ended.count(b"\n"), inode=info.st_ino, part=place.part + 1).position
        return [Chunk(str(self._path), ended, place.lines + 1, ended[:TOLD_BY], place.part, True, lambda *_: new)]

    def _anew(self, place: Place) -> list[Chunk]:
        """Nothing holds the place: the file of the name is read from its beginning, and it is said."""
        if not self._path.exists():
            self._state.doing, self._state.problem = "gone", f"{self._path} is not there"
            return []
        chunks = self._closing(place, b"")
        if chunks and place.offset:
            self._state.lost["file replaced or cut short; what was not read of it by then is gone"] += 1
        return chunks


def _lines_at(file: int, offset: int, size: int) -> bytes:
    """Whole lines from a place; all that there is of a line that is longer than allowed; nothing of an unfinished."""
    most = Limits().max_line_bytes
    while True:
        data = os.pread(file, size, offset)
        end = data.rfind(b"\n") + 1
        if end:
            return data[:end]
        if len(data) < size:
            return b""
        if size >= most:
            return data
        size *= 4


def _begins(path: Path, place: Place) -> bool:
    """Whether a file begins as the one of the place did: a copy of it."""
    with suppress(OSError), path.open("rb") as stream:
        return bool(place.head_size) and _digest(stream.read(place.head_size)) == place.head
    return False


def _rest_of_packed(path: Path, place: Place) -> bytes | None:
    """What a packed file has after the place; None where it is not that file."""
    try:
        with Opener(Limits()) as opener, opener.open(Source(str(path))) as stream:
            head = stream.read(place.head_size)
            if not place.offset or _digest(head) != place.head:
                return None
            left = place.offset - len(head)
            while left > 0 and (data := stream.read(min(left, CHUNK_BYTES))):
                left -= len(data)
            return stream.read() if left == 0 else None
    except (ReadError, OSError):
        return None


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:32]


class FileSource:
    """One file as a source."""

    def __init__(self, path: Path, *, patient: bool = True, at_end: bool = False) -> None:
        self.name = f"file:{path}"
        self.state = State(streams=1)
        self._tail = Tail(path, self.state, patient=patient, at_end=at_end)
        self._stream = str(path)

    def start(self) -> None:
        return None

    def poll(self, positions: Mapping[str, Position], budget: int) -> Iterator[Chunk]:
        yield from self._tail.poll(positions.get(self._stream), budget)
        self.state.waiting = self._tail.waiting

    def stop(self) -> None:
        self._tail.close()


def open_path(address: Address) -> Live:
    """A file, or a folder of them."""
    if address.path.is_dir():
        from perilune.service.live.folder import FolderSource

        return FolderSource(address.path, patient=not address.once, at_end=address.at_end)
    return FileSource(address.path, patient=not address.once, at_end=address.at_end)
