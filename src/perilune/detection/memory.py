"""What is known of values that were seen in the batches before, so that each is searched and tested once.

Most command lines repeat, and the search for words in them is most of the work. A memory is a cache with a bound and
nothing else: what is matched does not depend on it. It belongs to one thread, one plan and one column.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import repeat
from typing import TypeVar

import numpy as np
import numpy.typing as npt

MOST_BYTES = 48_000_000  # of text in one column; once it is full, all is forgotten and begins anew
LEAST_BYTES = 1 << 14  # of text in a batch's column: a search through less is as fast as remembering
_TRIED = 200_000  # values after which a memory that seldom knew one is given up
_SELDOM = 0.2

Kind = TypeVar("Kind", bound=np.generic)
Ids = npt.NDArray[np.intp]
Results = npt.NDArray[np.uint8]
Words = tuple[Ids, Ids]  # words and, for each, the position of the value that has it
Scan = Callable[[Ids], Words]  # searches the values at some positions; what it finds is of positions among those


class Memory:
    """The values of one column by number, what was found in each, and what tests made of it."""

    def __init__(self) -> None:
        self._batches = self._asked = self._known = 0
        self._given_up = False
        self._forget()

    def _forget(self) -> None:
        self._ids: dict[str, int] = {}
        self._size = 0  # numbers given; one more than ids for a text that a batch has twice
        self._bytes = 0
        self._found: dict[int, _Finds] = {}
        self._met: dict[str, Results] = {}

    def numbers(self, texts: list[str], size: int) -> Ids | None:
        """The number of each text, new ones numbered; None where remembering does not pay. `size` is in bytes."""
        if size < LEAST_BYTES or size > MOST_BYTES or self._given_up:
            return None
        self._batches += 1
        if self._batches == 1:  # often there is no other
            return None
        if self._bytes + size > MOST_BYTES:
            self._forget()
        found = np.array(list(map(self._ids.get, texts, repeat(-1))), np.intp)
        new = np.flatnonzero(found < 0)
        found[new] = np.arange(self._size, self._size + len(new))
        self._size += len(new)
        self._ids.update(zip([texts[at] for at in new.tolist()], found[new].tolist(), strict=True))
        self._count(len(texts), len(new))
        self._bytes += size * len(new) // max(len(texts), 1)
        return found

    def _count(self, asked: int, new: int) -> None:
        """Gives up where values seldom come again: hashes, command lines with a number in them."""
        self._asked += asked if self._size > new else 0  # a first batch knows nothing
        self._known += asked - new
        if self._asked > _TRIED and self._known < _SELDOM * self._asked:
            self._given_up = True
            self._forget()

    def words(self, needles: int, numbers: Ids, scan: Scan) -> Words:
        """The words that values have; only those never searched for these needles are given to `scan`."""
        finds = self._found.setdefault(needles, _Finds())
        finds.grow(self._size)
        new = np.flatnonzero(~finds.searched[numbers])
        if len(new):
            finds.add(numbers[new], *scan(new))
        return finds.of(numbers)

    def known(self, key: str, numbers: Ids) -> Results | None:
        """What a test made of values, 0 where that is unknown; None where all is."""
        met = self._met.get(key)
        if met is None:
            return None
        if len(met) < self._size:
            met = self._met[key] = _grown(met, self._size)
        return met[numbers]

    def note(self, key: str, numbers: Ids, results: Results) -> None:
        """Keeps what a test made of values."""
        met = self._met.get(key)
        if met is None or len(met) < self._size:
            met = self._met[key] = _grown(met if met is not None else np.zeros(0, np.uint8), self._size)
        met[numbers] = results


class _Finds:
    """The words found in each numbered value: `words[begins[n]:begins[n] + counts[n]]`."""

    def __init__(self) -> None:
        self.searched: npt.NDArray[np.bool_] = np.zeros(0, np.bool_)
        self._begins = np.zeros(0, np.intp)
        self._counts = np.zeros(0, np.intp)
        self._words = np.zeros(0, np.intp)
        self._used = 0

    def grow(self, size: int) -> None:
        """Makes room for numbers below `size`."""
        if size > len(self.searched):
            self.searched = _grown(self.searched, size)
            self._begins, self._counts = _grown(self._begins, size), _grown(self._counts, size)

    def add(self, numbers: Ids, words: Ids, positions: Ids) -> None:
        """Notes the words of newly searched values; a position is of a value in `numbers`."""
        self.searched[numbers] = True
        order = np.argsort(positions, kind="stable")
        counts = np.bincount(positions, minlength=len(numbers))
        self._begins[numbers] = self._used + np.cumsum(counts) - counts
        self._counts[numbers] = counts
        end = self._used + len(words)
        if end > len(self._words):
            self._words = _grown(self._words, end)
        self._words[self._used : end] = words[order]
        self._used = end

    def of(self, numbers: Ids) -> Words:
        """The words of some values, and the position of each value."""
        counts = self._counts[numbers]
        upto = np.cumsum(counts)
        if not len(upto) or not upto[-1]:
            return np.empty(0, np.intp), np.empty(0, np.intp)
        at = np.repeat(self._begins[numbers] - upto + counts, counts) + np.arange(int(upto[-1]))
        return self._words[at], np.repeat(np.arange(len(numbers)), counts)


def _grown(array: npt.NDArray[Kind], least: int) -> npt.NDArray[Kind]:
    """The array with room for more than is asked, so that it is seldom copied."""
    grown = np.zeros(least + least // 2 + 1024, array.dtype)
    grown[: len(array)] = array
    return grown
