"""A memory says what it was told, forgets when it is full, and gives up where nothing comes again."""

from __future__ import annotations

import numpy as np
import pytest

from perilune.detection import memory
from perilune.detection.memory import Ids, Memory, Words


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "LEAST_BYTES", 0)


def _used() -> Memory:
    """A memory that has seen its first batch, which it does not keep."""
    found = Memory()
    assert found.numbers(["first"], 5) is None
    return found


def test_a_value_keeps_its_number() -> None:
    found = _used()
    assert (one := found.numbers(["a", "b"], 2)) is not None
    assert (two := found.numbers(["b", "c", "a"], 3)) is not None
    assert one.tolist() == [0, 1]
    assert two.tolist() == [1, 2, 0]


def test_only_what_was_never_searched_is_searched() -> None:
    found, searched = _used(), []

    def scan(new: Ids) -> Words:
        searched.append(new.tolist())
        return np.array([7, 9, 7]), np.array([0, 0, len(new) - 1])  # words 7 and 9 in the first, 7 in the last

    first = found.numbers(["a", "b"], 2)
    assert first is not None
    words, positions = found.words(0, first, scan)
    assert sorted(zip(words.tolist(), positions.tolist(), strict=True)) == [(7, 0), (7, 1), (9, 0)]
    second = found.numbers(["c", "b", "a"], 3)
    assert second is not None
    words, positions = found.words(
        0, second, lambda new: (searched.append(new.tolist()), (np.array([3]), np.array([0])))[1]
    )
    assert searched == [[0, 1], [0]]
    assert sorted(zip(words.tolist(), positions.tolist(), strict=True)) == [(3, 0), (7, 1), (7, 2), (9, 2)]


def test_results_are_kept_by_value() -> None:
    found = _used()
    first = found.numbers(["a", "b"], 2)
    assert first is not None
    assert found.known("test", first) is None
    found.note("test", first, np.array([1, 2], np.uint8))
    second = found.numbers(["b", "new"], 4)
    assert second is not None
    known = found.known("test", second)
    assert known is not None
    assert known.tolist() == [2, 0]


def test_a_full_memory_begins_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "MOST_BYTES", 10)
    found = _used()
    found.numbers(["a" * 8], 8)
    again = found.numbers(["b" * 8], 8)
    assert again is not None
    assert again.tolist() == [0]
    assert found.numbers(["c" * 11], 11) is None  # more than it may ever hold


def test_where_nothing_comes_again_it_gives_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_TRIED", 10)
    found = _used()
    given = [found.numbers([f"{batch}-{at}" for at in range(8)], 24) for batch in range(4)]
    assert given[0] is not None
    assert given[-1] is None


def test_a_text_may_come_twice_in_one_batch() -> None:
    found = _used()
    one = found.numbers(["a", "a", "b"], 3)
    assert one is not None
    found.note("test", one, np.array([1, 1, 2], np.uint8))
    two = found.numbers(["b", "a"], 2)
    assert two is not None
    known = found.known("test", two)
    assert known is not None
    assert known.tolist() == [2, 1]
