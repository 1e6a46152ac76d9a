"""Byte streams that end instead of failing: what went wrong, or which limit was met, is kept in `fault`.

A reader at the end of a `Guarded` stream finishes as at any end, so that nothing read so far is lost.
"""

from __future__ import annotations

import bz2
import codecs
import io
import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from tempfile import SpooledTemporaryFile
from typing import Any, BinaryIO, Protocol, cast

from perilune.ports import MIB, Limits

BLOCK = 256 << 10
FREE = 16 * MIB  # the ratio of unpacked to packed bytes says nothing about less
_MEMORY = 128 * MIB

GZIP, BZIP2, XZ = b"\x1f\x8b", b"BZh", b"\xfd7zXZ\0"
FAILURES = (
    OSError,
    EOFError,
    zlib.error,
    lzma.LZMAError,
    zipfile.BadZipFile,
    tarfile.TarError,
    ValueError,
    RuntimeError,
)


class Guarded(io.RawIOBase):
    """A stream whose failures end it."""

    def __init__(self, inner: BinaryIO) -> None:
        self._inner = inner
        self._read = getattr(inner, "read1", inner.read)
        self.fault: str | None = None

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return self._inner.seekable()

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._inner.seek(offset, whence)

    def tell(self) -> int:
        return self._inner.tell()

    def read(self, size: int = -1, /) -> bytes:
        if size < 0:
            return self.readall()
        return b"" if self.fault else self._next(size)

    def readinto(self, buffer: Any) -> int:
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        if not self.closed:
            self._inner.close()
        super().close()

    def _next(self, size: int) -> bytes:
        try:
            return cast(bytes, self._read(size))
        except FAILURES as error:
            self.fault = fault_words(error)
            return b""


def fault_words(error: BaseException) -> str:
    """One line about a failure of the system or of an archive."""
    if isinstance(error, PermissionError):
        return "permission denied"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror[0].lower() + error.strerror[1:]
    return " ".join(str(error).split())[:200] or type(error).__name__


class Budgeted(Guarded):
    """An unpacked stream that ends when it grows beyond its budget: a bomb gives a line, not a full disk."""

    def __init__(self, inner: BinaryIO, packed: Callable[[], int], limits: Limits) -> None:
        super().__init__(inner)
        self._packed = packed
        self._limits = limits
        self._out = 0

    def seekable(self) -> bool:
        return False

    def tell(self) -> int:
        return self._out

    def _next(self, size: int) -> bytes:
        data = super()._next(size)
        self._out += len(data)
        if self._out > self._limits.max_file_bytes:
            self.fault = f"truncated: more than {self._limits.max_file_bytes:,} bytes unpacked"
        elif self._out > FREE and self._out > self._limits.max_archive_ratio * max(1, self._packed()):
            self.fault = f"unpacks to more than {self._limits.max_archive_ratio} times its size; not read further"
        return b"" if self.fault else data


class _Decompressor(Protocol):
    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int) -> bytes: ...


class Inflated(io.RawIOBase):
    """The contents of a gzip, bzip2 or xz stream, several of them in a row included."""

    def __init__(self, inner: BinaryIO, make: Callable[[], _Decompressor]) -> None:
        self._inner = inner
        self._make = make
        self._engine = make()
        self._input = b""
        self._begun = False
        self.taken = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self.read1(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def read1(self, size: int) -> bytes:
        """At most `size` bytes; fewer where the packed data is broken off, and then an EOFError."""
        while True:
            if self._engine.eof and not self._next_member():
                return b""
            ended = not self._wants_input() and self._refill()
            data = self._engine.decompress(self._input, size)
            self._input = getattr(self._engine, "unconsumed_tail", b"")
            self._begun = True
            if data:
                return data
            if ended and not self._engine.eof:
                raise EOFError("truncated: the packed data breaks off")

    def _wants_input(self) -> bool:
        return bool(self._input) or not getattr(self._engine, "needs_input", True)

    def _refill(self) -> bool:
        """Reads on; true at the end of the packed bytes."""
        self._input = self._inner.read(BLOCK)
        self.taken += len(self._input)
        return not self._input

    def _next_member(self) -> bool:
        """Goes on to the next packed stream; zeros and anything else after the last one are padding."""
        rest = self._engine.unused_data or self._inner.read(BLOCK)
        self.taken += 0 if self._engine.unused_data else len(rest)
        rest = rest.lstrip(b"\0")
        if inflater(rest) is None:
            return False
        self._engine, self._input = self._make(), rest
        return True


def _gzip() -> _Decompressor:
    return cast(_Decompressor, zlib.decompressobj(31))


def _xz() -> _Decompressor:
    return cast(_Decompressor, lzma.LZMADecompressor(memlimit=_MEMORY))


def inflater(head: bytes) -> Callable[[], _Decompressor] | None:
    """What unpacks a stream that begins like this."""
    if head.startswith(GZIP):
        return _gzip
    if head.startswith(BZIP2) and head[4:10] == b"1AY&SY":
        return cast(Callable[[], _Decompressor], bz2.BZ2Decompressor)
    if head.startswith(XZ):
        return _xz
    return None


class Headed(io.RawIOBase):
    """A stream whose first bytes were looked at already and are given again."""

    def __init__(self, head: bytes, inner: BinaryIO) -> None:
        self._head = head
        self._inner = inner

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        if size < 0:
            return self.readall()
        if not self._head:
            return self._inner.read(size)
        data, self._head = self._head[:size], self._head[size:]
        return data

    def readinto(self, buffer: Any) -> int:
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)


class Transcoded(io.RawIOBase):
    """Text of another encoding as UTF-8; what cannot be decoded becomes U+FFFD."""

    def __init__(self, inner: BinaryIO, encoding: str) -> None:
        self._inner = inner
        self._decoder = codecs.getincrementaldecoder(encoding)(errors="replace")
        self._ready = b""
        self._ended = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._ready and not self._ended:
            data = self._inner.read(BLOCK)
            self._ended = not data
            self._ready = self._decoder.decode(data, final=self._ended).encode("utf-8", "replace")
        part, self._ready = self._ready[: len(buffer)], self._ready[len(buffer) :]
        buffer[: len(part)] = part
        return len(part)


def read_head(stream: BinaryIO, size: int) -> bytes:
    """The first bytes, even where the stream gives them in small pieces."""
    parts: list[bytes] = []
    while size > 0 and (part := stream.read(size)):
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def spooled(stream: BinaryIO, limits: Limits) -> tuple[BinaryIO, str | None]:
    """A copy of the stream that can be sought in (in memory while small), and why it is not whole, if so."""
    copy = cast(BinaryIO, SpooledTemporaryFile(max_size=32 * MIB))  # noqa: SIM115 - the caller closes it
    left = limits.max_spool_bytes
    while data := stream.read(min(BLOCK, left + 1)):
        if len(data) > left:
            copy.write(data[:left])
            copy.seek(0)
            return copy, f"truncated: more than {limits.max_spool_bytes:,} bytes to keep in a temporary file"
        copy.write(data)
        left -= len(data)
    copy.seek(0)
    return copy, None
