"""Archives: their members by label, bombs and broken ones refused with a word."""

from __future__ import annotations

import os
import tarfile
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from typing import BinaryIO, Protocol, cast

from perilune.errors import ReadError
from perilune.ports import Limits
from perilune.readers.streams import FREE, Budgeted, Guarded, fault_words


def is_archive(head: bytes) -> bool:
    """Whether a file that begins like this holds other files."""
    return head.startswith((b"PK\x03\x04", b"PK\x05\x06")) or head[257:262] == b"ustar"


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


class Zip:
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


class Tar:
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
            self.fault = f"broken archive: {archive_words(error)}"

    def open(self, label: str) -> BinaryIO:
        member = cast(tarfile.TarInfo, self.labels[label])
        found = self._tar.extractfile(member)
        if found is None:
            raise ReadError("not a file")
        return cast(BinaryIO, Guarded(cast(BinaryIO, found)))


def archive_words(error: Exception) -> str:
    """One line about a broken archive."""
    words = fault_words(error)
    truncated = {
        "File is not a zip file": "truncated, its directory at the end is missing",
        "unexpected end of data": "truncated",
    }
    return truncated.get(words, words)
