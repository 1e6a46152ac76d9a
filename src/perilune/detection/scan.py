"""One search for all words of a column, over its distinct values."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from perilune.detection.columns import Column, Rows, distinct
from perilune.detection.memory import Words
from perilune.detection.plan import Needles, Sought

_CHUNK = 4 << 20  # bytes searched at once: the matches of one call are Python objects, and so bounded

Pairs = npt.NDArray[np.int64]
_NONE: Pairs = np.empty(0, np.int64)


@dataclass(frozen=True, slots=True)
class Found:
    """Which words were found in which values of a column: `values[starts[w]:starts[w + 1]]` for the word w."""

    starts: Rows
    values: Rows
    first: int

    def of(self, word: int) -> Rows:
        """The values that have a word, by its id in the plan."""
        at = word - self.first
        return self.values[self.starts[at] : self.starts[at + 1]]

    @property
    def end(self) -> int:
        """The first word after these."""
        return self.first + len(self.starts) - 1


class Search:
    """What has been looked for in a batch so far, and found."""

    def __init__(self) -> None:
        self.found: list[tuple[str, Found]] = []
        self._firsts: list[int] = []

    def add(self, column: str, found: Found) -> None:
        """Notes what was found in a column; later searches have higher words."""
        self.found.append((column, found))
        self._firsts.append(found.first)

    def has(self, sought: Sought) -> bool:
        """Whether all these words have been looked for."""
        return sought.needles.issubset(self._firsts)

    def of_any(self, words: Sequence[int], most: int) -> Rows:
        """The values that have at least one of some words of one column, in ascending order."""
        each = [values for word in words if len(values := self._of(word))]
        if len(each) < 2:
            return each[0] if each else np.empty(0, np.intp)
        return distinct(np.concatenate(each), most)

    def of_columns(self, words: npt.NDArray[np.integer], names: Sequence[str]) -> Iterator[tuple[str, list[int]]]:
        """The words by the column that they were looked for in."""
        for name in names:
            mine = [(words >= each.first) & (words < each.end) for column, each in self.found if column == name]
            if mine:
                yield name, words[np.logical_or.reduce(mine)].tolist()

    def _of(self, word: int) -> Rows:
        at = bisect_right(self._firsts, word) - 1
        if at < 0 or word >= self.found[at][1].end:
            return np.empty(0, np.intp)  # its column is missing from the batch
        return self.found[at][1].of(word)


def find(needles: Needles, column: Column) -> Found:
    """All words of one column in all its values."""
    width = column.null + 1

    def scan(chosen: Rows | None) -> Words:
        texts = column.lowered if chosen is None else column.lowered_of(chosen)
        pairs = [*_wholes(needles, texts, width), *_literals(needles, texts, width)]
        return np.divmod(np.concatenate(pairs), width) if pairs else (_NONE, _NONE)

    keys = list(_numbers(needles, column, width))
    if len(needles.literals) or len(needles.whole):
        words, values = column.words(needles.first, scan)
        keys.append(words * width + values)
    pairs = _once(np.concatenate(keys)) if keys else _NONE
    words, values = np.divmod(pairs, width)
    starts = np.searchsorted(words, np.arange(needles.count + 1))
    return Found(starts, values, needles.first)


def _once(pairs: Pairs) -> Pairs:
    """The pairs in order, each once; numpy sorts numbers faster than it finds the distinct ones."""
    pairs.sort()
    first = np.ones(len(pairs), np.bool_)
    np.not_equal(pairs[1:], pairs[:-1], out=first[1:])
    return pairs[first]


def _numbers(needles: Needles, column: Column, width: int) -> Iterator[Pairs]:
    if needles.numbers:
        wanted = needles.numbers
        keys = (
            (wanted.get(str(int(v)) if isinstance(v, bool) else str(v)), at) for at, v in enumerate(column.originals)
        )
        yield np.array([word * width + at for word, at in keys if word is not None], np.int64)


def _wholes(needles: Needles, texts: pa.StringArray, width: int) -> Iterator[Pairs]:
    """What is a word as a whole is looked up: inside values a short one would be found without end."""
    if len(needles.whole) and len(texts):
        which = pc.index_in(texts, value_set=needles.whole)
        values = np.flatnonzero(which.is_valid().to_numpy(zero_copy_only=False))
        words = needles.wholes[which.drop_null().to_numpy()]
        yield words.astype(np.int64) * width + values


def _literals(needles: Needles, texts: pa.StringArray, width: int) -> Iterator[Pairs]:
    if not needles.literals or not len(texts):
        return
    offsets, data = _buffers(texts)
    for begin, end in _chunks(offsets):
        matches = needles.automaton.find_matches_as_indexes(data[begin:end], overlapping=True)
        if matches:
            flat = np.fromiter(chain.from_iterable(matches), np.int64, 3 * len(matches)).reshape(-1, 3)
            yield from _placed(needles, flat, begin, offsets, width)


def _buffers(lowered: pa.StringArray) -> tuple[npt.NDArray[np.int32], memoryview]:
    """The offsets of the values and the bytes that they point into."""
    _, offsets, data = lowered.buffers()
    assert offsets is not None  # of an array that is not empty
    ends = np.frombuffer(memoryview(offsets), np.int32)[lowered.offset : lowered.offset + len(lowered) + 1]
    return ends, memoryview(data if data is not None else b"").cast("B")


def _chunks(offsets: npt.NDArray[np.int32]) -> Iterator[tuple[int, int]]:
    """Pieces of the bytes, cut between values."""
    at, last = 0, len(offsets) - 1
    while at < last:
        upto = int(np.searchsorted(offsets, int(offsets[at]) + _CHUNK, "right")) - 1
        upto = min(max(upto, at + 1), last)
        yield int(offsets[at]), int(offsets[upto])
        at = upto


def _placed(
    needles: Needles, matches: Pairs, begin: int, offsets: npt.NDArray[np.int32], width: int
) -> Iterator[Pairs]:
    """The matches as (word, value) pairs, each way of standing in the value checked by its offsets."""
    literals, starts, ends = matches[:, 0], matches[:, 1] + begin, matches[:, 2] + begin
    values = np.searchsorted(offsets, ends - 1, "right") - 1
    inside = starts >= offsets[values]  # else it straddles two values
    at_start, at_end = starts == offsets[values], ends == offsets[values + 1]
    for kind, fits in enumerate((inside, at_start, at_end & inside)):
        words = needles.ids[literals, kind]
        chosen = fits & (words >= 0)
        if chosen.any():
            yield words[chosen].astype(np.int64) * width + values[chosen]
