"""Results come in order and the same from any number of processes; cancelling and failing are clean."""

from __future__ import annotations

import os
from dataclasses import dataclass

import pytest

from perilune.errors import PeriluneError
from perilune.runners import local


@dataclass(frozen=True)
class Squares:
    """Squares a number; 13 fails, 99 ends its process."""

    offset: int = 0

    def prepare(self) -> int:
        return self.offset

    def do(self, state: int, item: int) -> tuple[int, int]:
        if item == 13:
            raise ValueError("unlucky")
        if item == 99:
            os._exit(1)
        return item * item + state, os.getpid()


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_results_are_in_order_whatever_the_number_of_workers(workers: int) -> None:
    done: list[int] = []
    found = list(local.run(Squares(5), range(12), workers=workers, progress=done.append))
    assert [square for square, _ in found] == [n * n + 5 for n in range(12)]
    assert done == list(range(1, 13))
    assert (os.getpid() in {pid for _, pid in found}) == (workers == 1)


@pytest.mark.parametrize("workers", [1, 2])
def test_items_are_taken_only_as_needed(workers: int) -> None:
    taken: list[int] = []

    def items() -> object:
        for n in range(1000):
            taken.append(n)
            yield n

    results = local.run(Squares(), items(), workers=workers)  # type: ignore[arg-type]
    next(results)
    assert len(taken) <= workers * local.AHEAD
    results.close()  # type: ignore[attr-defined]


@pytest.mark.parametrize("workers", [1, 2])
def test_cancelling_ends_after_results_that_are_right(workers: int) -> None:
    found: list[int] = []
    with pytest.raises(local.Cancelled):
        for square, _ in local.run(Squares(), range(1000), workers=workers, cancelled=lambda: len(found) >= 3):
            found.append(square)
    assert found[:3] == [0, 1, 4]


@pytest.mark.parametrize("workers", [1, 2])
def test_an_error_of_the_task_reaches_the_caller(workers: int) -> None:
    with pytest.raises(ValueError, match="unlucky"):
        list(local.run(Squares(), [1, 13, 2], workers=workers))


def test_a_worker_that_dies_is_said_so() -> None:
    with pytest.raises(PeriluneError, match="worker process ended"):
        list(local.run(Squares(), [1, 99, 2], workers=2))
