"""Windows event log files. The `evtx` package (Rust) reads the binary form; we keep its damage contained."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from io import SEEK_END, BytesIO
from itertools import islice
from typing import Any, BinaryIO, NamedTuple

import orjson

from perilune.model.sources import Problem
from perilune.ports import Count, Halves, Limits, Lost, Read
from perilune.readers.gather import ENOUGH_BYTES, Gathered
from perilune.readers.halves import Heads
from perilune.readers.mappings import Mappings
from perilune.readers.streams import read_head, spooled
from perilune.readers.windows import SCRIPT_BLOCK, Kinds, Raw, ScriptBlocks, shape

MAGIC = b"ElfFile\0"
_HEADER = 4096
_CHUNK = 65_536
_SMALL = 8 << 20
_HANDFUL = 256  # records decoded at once
_CHUNK_COUNT = 42  # where the header says how many there are
# Where a chunk keeps its tables of names and of templates, and what they hold
_CHAINS = ((128, struct.Struct("<64I")), (384, struct.Struct("<32I")))
_NUMBER = struct.Struct("<I")


class EvtxReader:
    """`.evtx` files: records as `{"System": …, "EventData": …}`, PowerShell's script blocks joined."""

    name = "evtx"
    looks_for = "a Windows event log (ElfFile)"

    def __init__(self, mappings: Callable[[], Mappings]) -> None:
        self._heads = cache(lambda: Heads(mappings()))

    def recognises(self, head: bytes) -> bool:
        return head.startswith(MAGIC)

    def read(self, stream: BinaryIO, limits: Limits) -> Iterator[Read]:
        if stream.seekable():
            yield from _read(_at_hand(stream), self._heads(), limits)
            return
        copy, fault = spooled(stream, limits)
        with copy:
            if fault:
                yield Lost(Problem(fault))
            yield from _read(copy, self._heads(), limits)


def _at_hand(stream: BinaryIO) -> BinaryIO:
    """The stream in memory if it is small: the package reads in many small steps, each a call into Python."""
    size = stream.seek(0, SEEK_END)
    stream.seek(0)
    if size > _SMALL:
        return stream
    data = stream.read(size)
    whole = len(data) == size or not stream.read(1)
    stream.seek(0)
    return BytesIO(data) if whole else stream


class _Events:
    """Sorts the events of one file: by kind with their heads decoded, and the few that are dictionaries."""

    def __init__(self, heads: Heads, limits: Limits) -> None:
        self.found = 0
        self.blocks = ScriptBlocks(limits)
        self.gathered = Gathered()
        self._heads = heads
        self._kinds = Kinds()
        self._halves: dict[str, _Halves] = {}
        self._bytes = 0

    def take(self, texts: list[str]) -> Iterator[Read]:
        kind_of, halves = self._heads.kind, self._halves
        for number, (text, event) in enumerate(zip(texts, self._heads.decode(texts), strict=True), self.found + 1):
            kind = kind_of(event)
            if kind is None:
                yield from self._look(text, number)
                continue
            known = halves.get(kind)
            if known is None:
                known = halves[kind] = _Halves([], [], [], [])
            known.add(event, text, number)
        self.found += len(texts)
        self._bytes += sum(map(len, texts))
        if self._bytes >= ENOUGH_BYTES:
            yield from self.drain()
        elif self.gathered.full:
            yield from self.gathered.drain()

    def _look(self, text: str, number: int) -> Iterator[Lost]:
        event = _event(text)
        if event is None:
            yield Lost(Problem("record that is no event", 1, f"record {number}"))
            return
        kind = self._kinds.name(event["System"])  # type: ignore[arg-type]  # shape() made sure
        if kind == SCRIPT_BLOCK:
            for joined, first, size in self.blocks.add(event, number):
                self.gathered.add(kind, joined, first, size)
        else:
            self.gathered.add(kind, event, number, len(text))

    def drain(self) -> Iterator[Read]:
        yield from self.gathered.drain()
        halves = dict(self._halves)
        self._halves.clear()
        self._bytes = 0
        for kind, one in halves.items():
            yield Halves(kind, *one, sum(map(len, one.texts)))

    def finish(self) -> Iterator[Read]:
        for joined, first, size in self.blocks.rest():
            self.gathered.add(SCRIPT_BLOCK, joined, first, size)
        yield from self.drain()
        yield from self.blocks.problems()
        yield Count(found=self.found, skipped={"part of a script, joined to its first part": self.blocks.joined})


class _Halves(NamedTuple):
    """Events of one kind, as `Halves` has them."""

    heads: list[object]
    bodies: list[object]
    texts: list[str]
    numbers: list[int]

    def add(self, event: Any, text: str, number: int) -> None:
        self.heads.append(event.System)
        self.bodies.append(event.EventData)
        self.texts.append(text)
        self.numbers.append(number)


def _read(stream: BinaryIO, heads: Heads, limits: Limits) -> Iterator[Read]:
    events = _Events(heads, limits)
    for item in _decoded(stream, limits):
        if isinstance(item, Lost):
            yield item
        else:
            yield from events.take(item)
    yield from events.finish()


def _event(text: str) -> Raw | None:
    try:
        decoded = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    return shape(decoded.get("Event")) if type(decoded) is dict else None


def _decoded(stream: BinaryIO, limits: Limits) -> Iterator[list[str] | Lost]:
    """The records as JSON texts, many at a time; what the package cannot read is said and passed over."""
    from evtx import PyEvtxParser

    yield from _cut_short(stream)
    patches = _patches(stream)
    if patches:
        yield Lost(Problem("chunk whose table of names runs in a circle", len(patches)))
    try:
        records = PyEvtxParser(_Patched(stream, patches) if patches else stream, 1).records_json()
    except BaseException as error:  # noqa: BLE001 - the door for one bad file; a panic in Rust is no Exception
        _raise_if_ours(error)
        yield Lost(Problem(f"not readable as an event log: {_words(error)}"))
        return
    faults = 0
    while faults < limits.max_faults:
        texts, fault = _next_texts(records)
        if texts:
            yield texts
        if fault is not None:
            faults += 1
            yield fault
        elif not texts:
            return
    yield Lost(Problem(f"given up after {faults} faults"))


def _next_texts(records: Any) -> tuple[list[str], Lost | None]:
    """Some records, and the fault that ended them; both empty at the end."""
    texts: list[str] = []
    try:
        for record in islice(records, _HANDFUL):
            texts.append(record["data"])  # noqa: PERF401 - those before a fault are kept
    except BaseException as error:  # noqa: BLE001 - the door for one bad record
        _raise_if_ours(error)
        return texts, Lost(Problem(_words(error)))
    return texts, None


def _raise_if_ours(error: BaseException) -> None:
    """Lets through what is not a fault of the file, such as Ctrl-C."""
    if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
        raise error


def _words(error: BaseException) -> str:
    """The package's message on one line, without the numbers that would make each fault its own kind."""
    return " ".join(str(error).split())[:200] or type(error).__name__


def _cut_short(stream: BinaryIO) -> Iterator[Lost]:
    """Says when the file does not end where a chunk does, or before its last chunk."""
    size = stream.seek(0, SEEK_END)
    stream.seek(0)
    chunks, rest = divmod(size - _HEADER, _CHUNK)
    if size < _HEADER or rest:
        yield Lost(Problem("truncated: the file ends in the middle of a chunk", 1, f"byte {size}"))
        return
    (declared,) = struct.unpack_from("<H", stream.read(_HEADER), _CHUNK_COUNT)
    stream.seek(0)
    if chunks < declared:
        yield Lost(Problem(f"truncated: {chunks} of {declared} chunks are there", 1, f"byte {size}"))


def _patches(stream: BinaryIO) -> dict[int, bytes]:
    """Zeros for each table entry that starts a circular chain: following it, `evtx` 0.14 would never return.

    A chunk's names and templates hang in chains of offsets. The package stops at an entry that points to itself
    but not at longer circles, and it holds the interpreter meanwhile. Without the entry it reads the name where
    it stands, so nothing is lost.
    """
    found: dict[int, bytes] = {}
    stream.seek(_HEADER)
    begin = _HEADER
    while len(chunk := read_head(stream, _CHUNK)) >= 512:
        for table, entries in _CHAINS:
            offsets = entries.unpack_from(chunk, table)
            for place in _circular(chunk, offsets):
                found[begin + table + 4 * place] = bytes(4)
        begin += _CHUNK
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


class _Patched:
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
