"""Members of archives, one archive inside another too: zip, cabinet, Windows Installer, tar, gzip, bzip2, xz.

Each archive is a bomb until its sizes are known: what is unpacked is counted over all of them together. What cannot be
unpacked is said, and not claimed to be harmless.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

MOST_MEMBERS = 1_000
MOST_MEMBER = 8_000_000
MOST_UNPACKED = 64_000_000
MOST_NESTED = 3
CAB_BLOCK = 0x8000  # bytes that one block of a cabinet may hold
OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
# What the libraries raise on damaged files, as fuzzing them showed.
_DAMAGE = (
    OSError, ValueError, EOFError, RuntimeError, NotImplementedError, IndexError, KeyError, TypeError, AttributeError,
    AssertionError, MemoryError, struct.error, zlib.error, lzma.LZMAError, zipfile.BadZipFile, tarfile.TarError,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Member:
    """A file of an archive. The span is that of the outermost archive's member; `name` joins the ways with `!`."""

    kind: str
    data: bytes
    start: int
    end: int
    name: str


class _Full(ValueError):
    """Raised inside only: the budget is used up."""


class Unpack:
    """Goes through archives within one budget."""

    def __init__(self, cut: list[str]) -> None:
        self.cut = cut
        self.room = MOST_UNPACKED
        self.members = MOST_MEMBERS

    def members_of(self, data: bytes, depth: int = 0) -> Iterator[Member]:
        """Every file inside, archives in archives opened in turn."""
        found = _opener(data)
        if found is None:
            return
        kind, opener = found
        if depth >= MOST_NESTED:
            self.cut.append(f"archives lie in archives more than {MOST_NESTED} deep")
            return
        try:
            for member in opener(self, data):
                yield from self._inner(Member(kind, *member), depth)
        except _DAMAGE as error:
            self.cut.append(f"the {kind} archive could not be unpacked to its end: {_why(error)}")

    def _inner(self, one: Member, depth: int) -> Iterator[Member]:
        if not is_archive(one.data):
            yield one
            return
        for inner in self.members_of(one.data, depth + 1):
            yield Member(inner.kind, inner.data, one.start, one.end, f"{one.name}!{inner.name}"[:300])

    def take(self, wanted: int, name: str) -> int:
        """How many bytes of a member may be read, of those that it wants."""
        if self.members <= 0 or self.room <= 0:
            raise _Full(f"it holds more than {MOST_MEMBERS:,} files or {MOST_UNPACKED:,} bytes")
        self.members -= 1
        allowed = min(MOST_MEMBER, self.room)
        if wanted > allowed:
            self.cut.append(f"{name[:120]}: only the first {allowed:,} of its {wanted:,} bytes were unpacked")
        self.room -= min(wanted, allowed)
        return allowed


Opened = Iterator[tuple[bytes, int, int, str]]
Opener = Callable[[Unpack, bytes], Opened]


def is_archive(data: bytes) -> bool:
    return _opener(data) is not None


def _opener(data: bytes) -> tuple[str, Opener] | None:
    if data[:2] == b"PK" or (b"PK\x05\x06" in data[-66_000:] and b"PK\x03\x04" in data):
        return "zip", _zip
    if data[:4] == b"MSCF":
        return "cab", _cab
    if data[:8] == OLE:
        return "msi", _ole
    if data[257:262] == b"ustar":
        return "tar", _tar
    for magic, kind in ((b"\x1f\x8b\x08", "gzip"), (b"BZh", "bzip2"), (b"\xfd7zXZ\0", "xz")):
        if data.startswith(magic):
            return kind, _stream
    return None


def _why(error: BaseException) -> str:
    return " ".join(str(error).split())[:160] or type(error).__name__


def _zip(work: Unpack, data: bytes) -> Opened:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        for info in archive.infolist():
            if info.is_dir():
                continue
            if info.flag_bits & 1:
                work.cut.append(f"{info.filename[:120]} is encrypted")
                continue
            yield from _zip_member(work, archive, info)


def _zip_member(work: Unpack, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Opened:
    most = work.take(info.file_size, info.filename)
    try:
        with archive.open(info) as stream:
            content = stream.read(most)
    except _DAMAGE as error:
        work.cut.append(f"{info.filename[:120]} could not be unpacked: {_why(error)}")
        return
    at = max(0, info.header_offset)
    yield content, at, at + info.compress_size + 30, info.filename[:200]


def _tar(work: Unpack, data: bytes) -> Opened:
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as archive:
        for info in archive:
            stream = archive.extractfile(info) if info.isfile() else None
            if stream is not None:
                content = stream.read(work.take(info.size, info.name))
                yield content, info.offset_data, info.offset_data + info.size, info.name[:200]


_STREAMS: Mapping[int, Callable[[io.BytesIO], Any]] = {0x1F: gzip.open, 0x42: bz2.open, 0xFD: lzma.open}


def _stream(work: Unpack, data: bytes) -> Opened:
    with _STREAMS[data[0]](io.BytesIO(data)) as stream:
        content = stream.read(MOST_MEMBER + 1)
    yield content[: work.take(len(content), "the packed stream")], 0, len(data), "packed"


def _cab(work: Unpack, data: bytes) -> Opened:
    from cabarchive import CabArchive
    from cabarchive.errors import CorruptionError, NotSupportedError

    blocks, promised = _cab_promises(data)
    if blocks * CAB_BLOCK > 2 * MOST_UNPACKED or promised > MOST_UNPACKED:
        raise ValueError(f"it promises {max(promised, blocks * CAB_BLOCK):,} bytes, which is more than is unpacked")
    try:
        archive = CabArchive(data)
    except (CorruptionError, NotSupportedError) as error:
        raise ValueError(_cab_words(str(error))) from None
    for name, file in archive.items():
        content = file.buf or b""
        yield content[: work.take(len(content), name)], 0, len(data), name[:200]


def _cab_words(error: str) -> str:
    """Why a cabinet is not read; for a method that no maintained Python library has, what unpacks it."""
    if any(method in error.lower() for method in ("lzx", "quantum")):
        return f"{error}: no maintained Python library unpacks this method; unpack it with cabextract (libmspack) and give the files"
    return error or "damaged"


def _cab_promises(data: bytes) -> tuple[int, int]:
    """How many blocks and bytes a cabinet says that it holds: files may overlap and folders share blocks."""
    at, folders, files, flags = struct.unpack_from("<16xI6xHHH", data)
    first = 36
    reserved = 0
    if flags & 4:
        header, reserved = struct.unpack_from("<HB", data, first)
        first += 4 + header
    blocks = sum(struct.unpack_from("<4xH", data, first + n * (8 + reserved))[0] for n in range(folders))
    promised = 0
    for _ in range(files):
        promised += struct.unpack_from("<I", data, at)[0]
        at = data.index(b"\0", at + 16) + 1
    return blocks, promised


def _ole(work: Unpack, data: bytes) -> Opened:
    """The streams of a compound file. An installer's cabinets are among them, its names of streams are not decoded."""
    import olefile  # type: ignore[import-untyped]

    with olefile.OleFileIO(io.BytesIO(data), raise_defects=olefile.DEFECT_FATAL) as document:
        for number, path in enumerate(document.listdir()):
            size = document.get_size(path)
            name = "/".join(path)
            shown = name if name.isprintable() and name.isascii() else f"stream {number}"
            content = document.openstream(path).read(work.take(size, shown))
            yield content, 0, len(data), shown[:200]
