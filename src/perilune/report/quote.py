"""Values of events inside a limit: head, tail and what a rule's test looks for, with every gap counted."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from perilune.model.rules import Evidence
from perilune.report.text import defang


@dataclass(frozen=True, slots=True)
class Tested:
    """One value of an event and every test of the rule that held on it."""

    field: str
    column: str
    value: str
    tests: tuple[str, ...]


def tested(evidence: Sequence[Evidence], row: Mapping[str, object]) -> tuple[Tested, ...]:
    """The evidence with each value once, and whole where the event's row still has what evidence cut short."""
    tests: dict[tuple[str, str, str], dict[str, None]] = {}
    for item in evidence:
        tests.setdefault((item.field, item.column, _whole(item, row)), {})[item.test] = None
    return tuple(Tested(*key, tuple(found)) for key, found in tests.items())


def _whole(evidence: Evidence, row: Mapping[str, object]) -> str:
    full = row.get(evidence.column)
    cut_short = evidence.value.endswith("…") and isinstance(full, str) and full.startswith(evidence.value[:-1])
    return str(full) if cut_short else evidence.value


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of a quoted value: `text` as it is, a `hit` that a rule's test names, or what was `cut`."""

    kind: str
    text: str


Stretch = tuple[int, int]

_TEST = re.compile(r"(?P<verb>contains|startswith|endswith|is like|is) '(?P<literal>.+)'", re.DOTALL)
_WILDCARD = re.compile(r"(?<!\\)[*?]")
_HITS_MOST = 12
_CUT_LEAST = 40  # a shorter gap costs more to announce than to show


def quote(value: str, limit: int, tests: Sequence[str] = ()) -> tuple[Piece, ...]:
    """The value defanged and inside a limit: its head, its tail and what the tests look for, which is marked.

    Padding that pushes the payload out of sight is an old trick; so the tail is always kept.
    """
    value = defang(value)  # before it is cut: half a URL is not recognised
    hits = _find_hits(value, tests)
    pieces: list[Piece] = []
    position = 0
    for start, end in _kept(len(value), hits, limit):
        pieces += _gap(start - position)
        pieces += _marked(value, start, end, hits)
        position = end
    return (*pieces, *_gap(len(value) - position))


def _find_hits(value: str, tests: Sequence[str]) -> list[Stretch]:
    """Where each literal of the tests first stands in the value. A reading aid: no literal, no mark."""
    lowered = value.lower()
    if len(lowered) != len(value):  # a few letters grow when lowered, and offsets would be off
        return []
    found = []
    for verb, literal in _literals(tests):
        start = lowered.rfind(literal) if verb == "endswith" else lowered.find(literal)
        if start >= 0:
            found.append((start, start + len(literal)))
    return _merged(found[:_HITS_MOST], least=1)


def _literals(tests: Sequence[str]) -> Iterator[tuple[str, str]]:
    for test in tests:
        if found := _TEST.match(test):
            whole = found["literal"]
            for literal in _WILDCARD.split(whole) if found["verb"] == "is like" else [whole]:
                if literal:
                    yield found["verb"], defang(literal).lower()


def _kept(length: int, hits: Sequence[Stretch], limit: int) -> list[Stretch]:
    """The stretches that are shown: everything, or a share of the limit for the head, each hit and the tail."""
    if length <= limit:
        return [(0, length)] if length else []
    tail = limit // 4
    share = (limit - tail) // (1 + len(hits))
    around = [(max(0, start - share // 3), min(end, start + share // 3) + share // 3) for start, end in hits]
    return _merged([(0, share), *((start, min(end, length)) for start, end in around), (length - tail, length)],
                   least=_CUT_LEAST)  # fmt: skip


def _merged(stretches: Sequence[Stretch], least: int) -> list[Stretch]:
    """In order, with those joined that are less than `least` apart."""
    merged: list[Stretch] = []
    for start, end in sorted(stretches):
        if merged and start - merged[-1][1] < least:
            merged[-1] = merged[-1][0], max(end, merged[-1][1])
        else:
            merged.append((start, end))
    return merged


def _marked(value: str, start: int, end: int, hits: Sequence[Stretch]) -> Iterator[Piece]:
    for hit_start, hit_end in hits:
        first, last = max(start, hit_start), min(end, hit_end)
        if first >= last:
            continue
        if start < first:
            yield Piece("text", value[start:first])
        yield Piece("hit", value[first:last])
        start = last
    if start < end:
        yield Piece("text", value[start:end])


def _gap(length: int) -> list[Piece]:
    return [Piece("cut", f" … {length:,} more characters … ")] if length > 0 else []
