"""Event logs whose tables of names run in a circle, made safe for the package that reads them."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from typing import BinaryIO

from perilune.readers.streams import read_head

HEADER = 4096
CHUNK = 65_536
# Where a chunk keeps its tables of names and of templates, and what they hold
_CHAINS = ((128, struct.Struct("<64I")), (384, struct.Struct("<32I")))
_NUMBER = struct.Struct("<I")


def find_patches(stream: BinaryIO) -> dict[int, bytes]:
    """Zeros for each table entry that starts a circular chain: following it, `evtx` 0.14 would never return.

    A chunk's names and templates hang in chains of offsets. The package stops at an entry that points to itself
    but not at longer circles, and it holds the interpreter meanwhile. Without the entry it reads the name where
    it stands, so nothing is lost.
    """
    found: dict[int, bytes] = {}
    stream.seek(HEADER)
    begin = HEADER
    while len(chunk := read_head(stream, CHUNK)) >= 512:
        for table, entries in _CHAINS:
            offsets = entries.unpack_from(chunk, table)
            for place in _circular(chunk, offsets):
                found[begin + table + 4 * place] = bytes(4)
        begin += CHUNK
    stream.seek(0)
    return found


def _circular(chunk: bytes, offsets: Sequence[int]) -> Iterator[int]:
    """Which of these chains never end. Most end at once, and a file has thousands."""
    number, last = _NUMBER.unpack_from, len(chunk) - 4
    for place, offset in enumerate(offsets):
        if 0 < offset <= last and number(chunk, offset)[0] and _is_circular(chunk, offset):
            yield place


def _is_circular(chunk: bytes, offset: int) -> bool:
    seen = {offset}
    while 0 < offset <= len(chunk) - 4:
        (offset,) = struct.unpack_from("<I", chunk, offset)
        if offset in seen:
            return True
        seen.add(offset)
    return False


class Patched:
    """The stream with some bytes replaced; what the package needs of a file and no more."""

    def __init__(self, stream: BinaryIO, patches: dict[int, bytes]) -> None:
        self._stream = stream
        self._patches = patches

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._stream.seek(offset, whence)

    def tell(self) -> int:
        return self._stream.tell()

    def read(self, size: int = -1) -> bytes:
        begin = self._stream.tell()
        data = bytearray(self._stream.read(size))
        for at, patch in self._patches.items():
            if begin <= at <= begin + len(data) - len(patch):
                data[at - begin : at - begin + len(patch)] = patch
        return bytes(data)
