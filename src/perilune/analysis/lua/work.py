"""What is gathered while a file is explained: the pieces still waiting, the layers, calls and strings found."""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections import deque
from dataclasses import dataclass, field

from perilune.analysis.lua.apis import Apis, Mark
from perilune.model.analysis import Layer, LayerState
from perilune.model.lua import Call, Evidence, Literal, Obfuscation, Unit

MOST_LAYERS = 80
MOST_DEPTH = 10
MOST_SOURCE = 8_000_000
MOST_STEPS = 2_000_000  # about five seconds


@dataclass(slots=True)
class Waiting:
    data: bytes
    kind: str
    parent: int | None = None
    start: int = 0
    end: int = 0
    name: str = ""
    note: str = ""
    sure: bool = False
    depth: int = 0
    look: tuple[float, tuple[Evidence, ...]] | None = None  # how much it looks like source, once that was asked


@dataclass(frozen=True, slots=True)
class Program:
    """A unit with the bytes that it was read from, so that it can be run."""

    unit: Unit
    given: Waiting


@dataclass(slots=True)
class Work:
    """What has been gathered so far, over all layers."""

    apis: Apis
    layers: list[Layer] = field(default_factory=list)
    units: list[Unit] = field(default_factory=list)
    programs: list[Program] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    literals: list[Literal] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)
    obfuscations: list[Obfuscation] = field(default_factory=list)
    unseen: dict[str, None] = field(default_factory=dict)
    cut: list[str] = field(default_factory=list)
    waiting: deque[Waiting] = field(default_factory=deque)
    seen: set[bytes] = field(default_factory=set)
    steps: int = MOST_STEPS  # of evaluation, left for all pieces together

    def add(self, one: Waiting, text: str, **more: str | bool | LayerState) -> int:
        """A new layer; gives its number."""
        number = len(self.layers)
        note = str(more.pop("note", "")) or one.note
        self.layers.append(Layer(number, one.kind, one.parent, one.start, one.end, text, note=note, **more))  # type: ignore[arg-type]
        return number

    def follow(self, one: Waiting) -> None:
        """Queues what was found inside, unless the same was seen already or there is too much."""
        digest = hashlib.sha256(one.data).digest()
        if digest in self.seen or not one.data:
            return
        if len(self.seen) >= MOST_LAYERS or one.depth > MOST_DEPTH:
            self.cut.append(
                f"code is unpacked from code more than {MOST_DEPTH} times, or in more than {MOST_LAYERS} pieces"
            )
            return
        self.seen.add(digest)
        self.waiting.append(one)


class Spans:
    """Byte offsets of a text to characters, where it is UTF-8 with more than ASCII in it."""

    def __init__(self, code: str) -> None:
        self._continued: list[int] | None = None
        self.text = code
        if not code.isascii():
            try:
                self.text = code.encode("latin-1").decode("utf-8")
            except UnicodeDecodeError:
                return
            self._continued = [at for at, char in enumerate(code) if "\x80" <= char <= "\xbf"]

    @property
    def same(self) -> bool:
        """Whether bytes and characters are the same."""
        return self._continued is None

    def __call__(self, at: int) -> int:
        return at if self._continued is None else at - bisect_right(self._continued, at - 1)
