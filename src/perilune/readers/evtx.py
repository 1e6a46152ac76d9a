"""Windows event log files. The `evtx` package (Rust) reads the binary form; we keep its damage contained."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from functools import cache
from io import SEEK_END, BytesIO
from itertools import islice
from typing import Any, BinaryIO

import orjson

from perilune.model.sources import Problem
from perilune.ports import Count, Halves, Limits, Lost, Read
from perilune.readers.circles import CHUNK, HEADER, Patched, find_patches
from perilune.readers.gather import ENOUGH_BYTES, Gathered
from perilune.readers.heads import Heads
from perilune.readers.mappings import Mappings
from perilune.readers.streams import spooled
from perilune.readers.windows import SCRIPT_BLOCK, Kinds, Raw, ScriptBlocks, shape

MAGIC = b"ElfFile\0"
_SMALL = 8 << 20
_HANDFUL = 64  # records decoded at once
_CHUNK_COUNT = 42  # where the header says how many there are


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
        self._halves: dict[str, tuple[list[object], list[int]]] = {}
        self._bytes = 0

    def take(self, texts: list[str]) -> Iterator[Read]:
        halves, number = self._halves, self.found
        events = self._heads.decode(texts)
        for event, kind in zip(events, self._heads.kinds(events), strict=True):
            number += 1
            if kind is None:
                yield from self._look(texts[number - self.found - 1], number)
                continue
            known = halves.get(kind)
            if known is None:
                known = halves[kind] = ([], [])
            known[0].append(event)
            known[1].append(number)
        self.found = number
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
        each = self._bytes // max(1, sum(len(numbers) for _, numbers in halves.values()))
        self._halves.clear()
        self._bytes = 0
        for kind, (events, numbers) in halves.items():
            yield Halves(kind, events, numbers, each * len(numbers))

    def finish(self) -> Iterator[Read]:
        for joined, first, size in self.blocks.rest():
            self.gathered.add(SCRIPT_BLOCK, joined, first, size)
        yield from self.drain()
        yield from self.blocks.problems()
        yield Count(found=self.found, skipped={"part of a script, joined to its first part": self.blocks.joined})


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
    patches = find_patches(stream)
    if patches:
        yield Lost(Problem("chunk whose table of names runs in a circle", len(patches)))
    try:
        records = PyEvtxParser(Patched(stream, patches) if patches else stream, 1).records_json()
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
    chunks, rest = divmod(size - HEADER, CHUNK)
    if size < HEADER or rest:
        yield Lost(Problem("truncated: the file ends in the middle of a chunk", 1, f"byte {size}"))
        return
    (declared,) = struct.unpack_from("<H", stream.read(HEADER), _CHUNK_COUNT)
    stream.seek(0)
    if chunks < declared:
        yield Lost(Problem(f"truncated: {chunks} of {declared} chunks are there", 1, f"byte {size}"))
