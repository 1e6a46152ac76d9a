"""What there is to read under the given paths: files, and the members of archives, in a stable order.

Nothing here blocks or fails: a pipe, a loop, a missing or forbidden file gives a report of one line.
"""

from __future__ import annotations

import os
import stat
import tarfile
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, Protocol, cast

from perilune.errors import ReadError
from perilune.model.sources import Problem, Reading, SourceReport
from perilune.ports import Limits
from perilune.readers.streams import (
    FAILURES,
    FREE,
    Budgeted,
    Guarded,
    Headed,
    Inflated,
    fault_words,
    inflater,
    read_head,
    spooled,
)

_SNIFF = 512
_MAX_FOLDERS = 100  # within each other


@dataclass(frozen=True, slots=True)
class Source:
    """One thing to read: a file, or a member of an archive (of an archive …). Small, and safe to send to a process."""

    path: str
    members: tuple[str, ...] = ()
    given: bool = False  # the file itself was named, not a folder that it lies in

    @property
    def name(self) -> str:
        """The path as given, and `!member` for each archive on the way; without control characters."""
        name = "!".join((self.path, *self.members))
        return name if name.isprintable() else "".join(c if c.isprintable() else "�" for c in name)


def last_change(source: Source) -> datetime:
    """When the file, or the archive around it, was last changed; now, where that cannot be told."""
    try:
        return datetime.fromtimestamp(os.stat(source.path).st_mtime, UTC)  # noqa: PTH116
    except (OSError, ValueError, OverflowError):
        return datetime.now(UTC)


def unreadable(path: str, why: str, file_format: str = "") -> SourceReport:
    """The report of a source that gave nothing."""
    return SourceReport(path, file_format, Reading.UNREADABLE, problems=(Problem(why),))


def discover(paths: Iterable[str | Path], limits: Limits) -> Iterator[Source | SourceReport]:
    """Everything to read under the paths, and a report for everything that cannot be read. Names in order."""
    seen: dict[tuple[int, int], str] = {}
    for path in paths:
        for item in _discover(str(path), seen, (), limits):
            yield replace(item, given=True) if item == Source(str(path)) and isinstance(item, Source) else item


def _discover(
    path: str, seen: dict[tuple[int, int], str], above: tuple[tuple[int, int], ...], limits: Limits
) -> Iterator[Source | SourceReport]:
    try:
        info = os.stat(path)  # noqa: PTH116 - names may hold bytes that no Path should normalise
    except (OSError, ValueError) as error:
        yield unreadable(Source(path).name, _why_not(path, error))
        return
    identity = (info.st_dev, info.st_ino)
    if identity in above:
        yield unreadable(Source(path).name, "symbolic link loop: it leads back to a folder that it lies in")
    elif identity in seen:
        reason = f"the same as {Source(seen[identity]).name}, which is read"
        yield SourceReport(Source(path).name, "", Reading.COMPLETE, skipped={reason: 1})
    elif stat.S_ISDIR(info.st_mode):
        seen[identity] = path
        yield from _folder(path, seen, (*above, identity), limits)
    elif stat.S_ISREG(info.st_mode):
        seen[identity] = path
        yield from _file(Source(path), limits)
    else:
        yield unreadable(Source(path).name, f"not a regular file but {_kind(info.st_mode)}")


def _why_not(path: str, error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return "broken symbolic link" if os.path.islink(path) else "no such file"  # noqa: PTH114
    if isinstance(error, OSError) and error.errno == 40:  # ELOOP
        return "symbolic link loop"
    return fault_words(error)


def _kind(mode: int) -> str:
    if stat.S_ISFIFO(mode):
        return "a pipe"
    if stat.S_ISSOCK(mode):
        return "a socket"
    return "a device"


def _folder(
    path: str, seen: dict[tuple[int, int], str], above: tuple[tuple[int, int], ...], limits: Limits
) -> Iterator[Source | SourceReport]:
    if len(above) > _MAX_FOLDERS:
        yield unreadable(Source(path).name, f"more than {_MAX_FOLDERS} folders within each other")
        return
    try:
        names = sorted(os.listdir(path))  # noqa: PTH208
    except OSError as error:
        yield unreadable(Source(path).name, fault_words(error))
        return
    for name in names:
        yield from _discover(os.path.join(path, name), seen, above, limits)  # noqa: PTH118


def _file(source: Source, limits: Limits) -> Iterator[Source | SourceReport]:
    """The file itself, or the members of the archive that it is."""
    with Opener(limits) as opener:
        yield from _look(source, opener, limits)


def _look(source: Source, opener: Opener, limits: Limits) -> Iterator[Source | SourceReport]:
    try:
        with opener.open(source) as stream:
            head = read_head(stream, _SNIFF)
    except ReadError as error:
        yield unreadable(source.name, error.what)
        return
    if not head:
        yield unreadable(source.name, getattr(stream, "fault", None) or "empty")
    elif not is_archive(head):
        yield source
    elif len(source.members) >= limits.max_archive_depth:
        yield unreadable(source.name, f"more than {limits.max_archive_depth} archives within each other")
    else:
        yield from _members(source, opener, limits)


def _members(source: Source, opener: Opener, limits: Limits) -> Iterator[Source | SourceReport]:
    try:
        archive = opener.archive(source.path, source.members)
    except ReadError as error:
        yield unreadable(source.name, error.what, "archive")
        return
    for number, label in enumerate(list(archive.labels)):
        if number >= limits.max_archive_members:
            yield unreadable(source.name, f"more than {limits.max_archive_members:,} members; the rest is not read")
            return
        yield from _look(Source(source.path, (*source.members, label)), opener, limits)
    fault = getattr(archive, "fault", None)
    if fault or not archive.labels:
        yield unreadable(source.name, fault or "an archive without files", "archive")


def is_archive(head: bytes) -> bool:
    """Whether a file that begins like this holds other files."""
    return head.startswith((b"PK\x03\x04", b"PK\x05\x06")) or head[257:262] == b"ustar"


# --- opening


class Archive(Protocol):
    """An open archive: its members by label, in the archive's order."""

    @property
    def labels(self) -> Mapping[str, object]: ...

    def open(self, label: str) -> BinaryIO: ...


def _labelled(names: Iterable[tuple[str, object]]) -> dict[str, object]:
    """Members by name; a name that comes again gets a number, or it would hide the one before."""
    found: dict[str, object] = {}
    for name, member in names:
        label, again = name, 2
        while label in found:
            label, again = f"{name}#{again}", again + 1
        found[label] = member
    return found


class _Zip:
    def __init__(self, stream: BinaryIO, limits: Limits) -> None:
        self._zip = zipfile.ZipFile(stream)
        self._limits = limits
        infos = [info for info in self._zip.infolist() if not info.is_dir()]
        _refuse_bomb(infos, stream, limits)
        self.labels = _labelled((info.filename, info) for info in infos)

    def open(self, label: str) -> BinaryIO:
        info = cast(zipfile.ZipInfo, self.labels[label])
        if info.flag_bits & 1:
            raise ReadError("encrypted; unpack it first")
        inner = cast(BinaryIO, self._zip.open(info))
        return cast(BinaryIO, Budgeted(inner, lambda: info.compress_size, self._limits))


def _refuse_bomb(infos: list[zipfile.ZipInfo], stream: BinaryIO, limits: Limits) -> None:
    """Members that overlap, or that say themselves how far they would blow up."""
    size = stream.seek(0, os.SEEK_END)
    packed = sum(info.compress_size for info in infos)
    unpacked = sum(info.file_size for info in infos)
    if packed > size:
        raise ReadError("members overlap, as in a zip bomb; not read")
    if unpacked > FREE and unpacked > limits.max_archive_ratio * size:
        raise ReadError(f"would unpack to {unpacked:,} bytes, over {limits.max_archive_ratio} times its size; not read")


class _Tar:
    def __init__(self, stream: BinaryIO, limits: Limits) -> None:
        self._tar = tarfile.open(fileobj=stream, mode="r:")  # noqa: SIM115 - lives as long as its Opener
        self._limits = limits
        self.fault: str | None = None
        self.labels = _labelled(self._members(limits.max_archive_members))

    def _members(self, most: int) -> Iterator[tuple[str, object]]:
        """The files, as far as the archive goes."""
        found = 0
        try:
            for member in self._tar:
                if member.isfile():
                    found += 1
                    yield member.name, member
                if found > most:
                    return
        except tarfile.TarError as error:
            self.fault = f"broken archive: {_archive_words(error)}"

    def open(self, label: str) -> BinaryIO:
        member = cast(tarfile.TarInfo, self.labels[label])
        found = self._tar.extractfile(member)
        if found is None:
            raise ReadError("not a file")
        return cast(BinaryIO, Guarded(cast(BinaryIO, found)))


class Opener:
    """Opens sources, and keeps the last archive open: its members are asked for one after the other."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._key: tuple[str, tuple[str, ...]] | None = None
        self._archive: Archive | None = None
        self._kept = ExitStack()

    def __enter__(self) -> Opener:
        return self

    def __exit__(self, *_: object) -> None:
        self._kept.close()

    @contextmanager
    def open(self, source: Source) -> Iterator[BinaryIO]:
        """The source's contents, unpacked; a ReadError says why it cannot be opened."""
        with ExitStack() as stack:
            yield self._open(source, stack)

    def _open(self, source: Source, stack: ExitStack) -> BinaryIO:
        try:
            if source.members:
                inner = self.archive(source.path, source.members[:-1]).open(source.members[-1])
            else:
                inner = _open_file(source.path)
            stack.callback(inner.close)
            return _unpacked(inner, self._limits)
        except FAILURES as error:
            raise ReadError(fault_words(error)) from None
        except KeyError:
            raise ReadError("no such member") from None

    def archive(self, path: str, members: tuple[str, ...]) -> Archive:
        """The archive that a file or a member is."""
        if self._key != (path, members) or self._archive is None:
            stack = ExitStack()
            archive = self._open_archive(Source(path, members), stack)
            self._kept.close()
            self._kept, self._archive, self._key = stack, archive, (path, members)
        return self._archive

    def _open_archive(self, source: Source, stack: ExitStack) -> Archive:
        stream = self._open(source, stack)
        if not stream.seekable():
            whole, fault = spooled(stream, self._limits)
            stack.callback(whole.close)
            if fault := fault or getattr(stream, "fault", None):
                raise ReadError(fault)
            stream = whole
        try:
            head = read_head(stream, _SNIFF)
            stream.seek(0)
            return _Zip(stream, self._limits) if head.startswith(b"PK") else _Tar(stream, self._limits)
        except FAILURES as error:
            raise ReadError(f"broken archive: {_archive_words(error)}") from None


def _archive_words(error: Exception) -> str:
    words = fault_words(error)
    truncated = {
        "File is not a zip file": "truncated, its directory at the end is missing",
        "unexpected end of data": "truncated",
    }
    return truncated.get(words, words)


def _open_file(path: str) -> BinaryIO:
    """Opens without waiting: a pipe put in a file's place between looking and opening would block."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise ReadError("not a regular file")
    return cast(BinaryIO, Guarded(os.fdopen(descriptor, "rb")))


def _unpacked(stream: BinaryIO, limits: Limits) -> BinaryIO:
    """The stream without its gzip, bzip2 or xz layers."""
    for _ in range(limits.max_archive_depth):
        head = read_head(stream, _SNIFF)
        make = inflater(head)
        if make is None:
            return rewound(head, stream)
        packed = Inflated(rewound(head, stream), make)
        stream = cast(BinaryIO, Budgeted(cast(BinaryIO, packed), lambda packed=packed: packed.taken, limits))  # type: ignore[misc]
    return stream


def rewound(head: bytes, stream: BinaryIO) -> BinaryIO:
    """The stream as it was before its first bytes were looked at."""
    if stream.seekable():
        stream.seek(0)
        return stream
    again = cast(BinaryIO, Headed(head, stream))
    return cast(BinaryIO, _Faulty(again, stream))


class _Faulty(Guarded):
    """A rewound stream that still knows the fault of the stream beneath it."""

    def __init__(self, inner: BinaryIO, beneath: BinaryIO) -> None:
        self._beneath = beneath
        super().__init__(inner)

    def _next(self, size: int) -> bytes:
        data = super()._next(size)
        if not data and self.fault is None:
            self.fault = getattr(self._beneath, "fault", None)
        return data
