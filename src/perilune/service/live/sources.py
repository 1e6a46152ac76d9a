"""What a live source is: asked for what is new after a position, it gives whole lines and the position after them.

It keeps nothing that matters: positions are kept in the lake, with the rows that they cover. So what was not kept
is asked for again, and nothing is there twice.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from perilune.store.lake_manifest import Position

CHUNK_BYTES = 1 << 20
TOLD_BY = 65_536  # bytes by which a format is told
WARM_BYTES = 4 << 20  # of what was read before, that a reader may learn from


@dataclass(frozen=True, slots=True)
class Chunk:
    """Whole lines of one stream.

    stream  names it, and becomes the rows' `XSourceFile`
    first   the number of the first line
    head    what the stream begins with, by which its format is told
    part    changes when the stream begins anew, e.g. with a new header
    whole   nothing will follow these lines that belongs to them
    after   where reading goes on after so many bytes and lines of it
    before  what was read before, as far as it is still there: a reader may learn from it
    host    whose rows these are where they do not say it themselves
    form    its format, where that is known beforehand: what a stranger sent first must not decide it
    """

    stream: str
    data: bytes
    first: int
    head: bytes
    part: object
    whole: bool
    after: Callable[[int, int], Position]
    before: Callable[[], bytes] = lambda: b""
    host: str = ""
    form: str = ""


@dataclass(slots=True)
class State:
    """What a source says of itself.

    doing    reading, waiting, gone (not there now), failed
    waiting  bytes that are there and not yet read
    lost     what never came or was thrown away, by reason
    """

    doing: str = "waiting"
    problem: str = ""
    waiting: int = 0
    streams: int = 0
    lost: Counter[str] = field(default_factory=Counter)


class Source(Protocol):
    """One thing that is followed.

    name   as it was given; positions are kept under it
    state  what it says of itself
    """

    @property
    def name(self) -> str: ...

    @property
    def state(self) -> State: ...

    def start(self) -> None:
        """Begins to listen, where it has to; a UsageError where it cannot."""
        ...

    def poll(self, positions: Mapping[str, Position], budget: int) -> Iterator[Chunk]:
        """What is there after the positions, up to about `budget` bytes; never waits."""
        ...

    def stop(self) -> None:
        """Listens no more; what was taken in is still given by `poll`."""
        ...
