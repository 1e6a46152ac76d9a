"""Work spread over processes that may end: results in order, each once, and the ended ones said."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from perilune.errors import PeriluneError
from perilune.runners import crew


@dataclass(frozen=True, slots=True)
class Counting:
    """Gives `item` results; ends its process at `fatal`, always or only the first time."""

    folder: str
    fatal: int = -1
    once: bool = False
    after: int = 0

    def prepare(self) -> int:
        return 100

    def do(self, state: int, item: int) -> Iterator[int]:
        for number in range(item):
            if item == self.fatal and number == self.after and self._is_due():
                os.kill(os.getpid(), signal.SIGKILL)
            yield state * item + number

    def _is_due(self) -> bool:
        mark = Path(self.folder) / "ended"
        if self.once and mark.exists():
            return False
        mark.touch()
        return True


def results(task: Counting, items: list[int], workers: int) -> list[tuple[int, object]]:
    found = list(crew.run(task, items, workers))
    assert not multiprocessing.active_children()
    return [(item, result) for item, result in found if result is not None]


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_results_come_in_the_order_of_the_items(tmp_path: Path, workers: int) -> None:
    items = [3, 0, 9, 1, 5]
    expected = [(item, 100 * item + number) for item in items for number in range(item)]
    assert results(Counting(str(tmp_path)), items, workers) == expected


@pytest.mark.parametrize("after", [0, 1, 6])
def test_an_item_whose_process_ended_once_is_tried_again(tmp_path: Path, after: int) -> None:
    items = [2, 7, 3]
    expected = [(item, 100 * item + number) for item in items for number in range(item)]
    assert results(Counting(str(tmp_path), 7, True, after), items, 2) == expected


def test_an_item_that_ends_every_process_is_said_and_the_others_are_done(tmp_path: Path) -> None:
    found = results(Counting(str(tmp_path), 4), [2, 4, 3], 2)
    assert found == [(2, 200), (2, 201), (4, crew.Ended(4, -signal.SIGKILL)), (3, 300), (3, 301), (3, 302)]


def test_leaving_early_leaves_no_process(tmp_path: Path) -> None:
    running = crew.run(Counting(str(tmp_path)), range(1, 1000), 2)
    next(running)
    running.close()
    assert not multiprocessing.active_children()


@dataclass(frozen=True, slots=True)
class Unprepared(Counting):
    def prepare(self) -> int:
        raise ValueError("cannot begin")


def test_processes_that_cannot_begin_are_no_endless_loop(tmp_path: Path) -> None:
    with pytest.raises(PeriluneError, match="could not be started"):
        list(crew.run(Unprepared(str(tmp_path)), [1, 2], 2))
