"""Opens what there is to read: files without waiting, members of archives, packed streams unpacked."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import BinaryIO, cast

from perilune.errors import ReadError
from perilune.ports import Limits
from perilune.readers.archives import Archive, Tar, Zip, archive_words
from perilune.readers.source import Source
from perilune.readers.streams import (
    FAILURES,
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
            return Zip(stream, self._limits) if head.startswith(b"PK") else Tar(stream, self._limits)
        except FAILURES as error:
            raise ReadError(f"broken archive: {archive_words(error)}") from None


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
