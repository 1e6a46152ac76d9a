"""Spreads work over the processes of this machine, in bounded memory and in order.

It knows nothing of rules: a `Task` is prepared once in each process and then does one item after the other. What is
given and what comes back crosses between processes, so both are small: an item says where rows are (a file and its
row groups), not what they hold.
"""

from __future__ import annotations

import multiprocessing
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from typing import Generic, Protocol, TypeVar, cast

import pyarrow as pa

from perilune.errors import PeriluneError

Item = TypeVar("Item")
Result = TypeVar("Result")
State = TypeVar("State")
Taken = TypeVar("Taken", contravariant=True)
Given = TypeVar("Given", covariant=True)

AHEAD = 2  # items given out per process before the first result is taken: no process waits, little is held


class Task(Protocol, Generic[State, Taken, Given]):
    """Work that can be sent to another process."""

    def prepare(self) -> State:
        """What all items need, made once per process."""
        ...

    def do(self, state: State, item: Taken) -> Given:
        """One item. Its result must not depend on the items before it."""
        ...


_AnyTask = Task[object, object, object]


class Cancelled(PeriluneError):
    """The caller no longer wants the results; those already given are right."""


def run(
    task: Task[State, Item, Result],
    items: Iterable[Item],
    *,
    workers: int | None = None,
    progress: Callable[[int], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> Iterator[Result]:
    """The result of each item, in the order of the items, whatever the number of processes.

    Args:
        task: the work; one process does it here, more are started afresh, so the task is sent to them.
        items: taken as they are needed, `AHEAD` per process before the oldest result.
        workers: how many processes; as many as this one may use where it is None.
        progress: told after each item how many are done.
        cancelled: asked before each item; once true, nothing more is begun and `Cancelled` is raised.
    """
    count = workers or usable_cores()
    results = _here(task, items, cancelled) if count == 1 else _spread(task, items, count, cancelled)
    for done, result in enumerate(results, 1):
        if progress is not None:
            progress(done)
        yield result


def usable_cores() -> int:
    """The cores that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _here(
    task: Task[State, Item, Result], items: Iterable[Item], cancelled: Callable[[], bool] | None
) -> Iterator[Result]:
    state = task.prepare()
    for item in items:
        _stop_if(cancelled)
        yield task.do(state, item)


def _spread(
    task: Task[State, Item, Result], items: Iterable[Item], workers: int, cancelled: Callable[[], bool] | None
) -> Iterator[Result]:
    # Spawned, not forked: Arrow has threads, and a forked child of a process with threads may hang.
    fresh = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, fresh, initializer=partial(_begin, cast("_AnyTask", task)))
    waiting: deque[Future[Result]] = deque()
    try:
        for item in items:
            _stop_if(cancelled)
            waiting.append(cast("Future[Result]", pool.submit(_one, item)))
            if len(waiting) >= workers * AHEAD:
                yield waiting.popleft().result()
        while waiting:
            _stop_if(cancelled)
            yield waiting.popleft().result()
    except BrokenProcessPool as error:
        raise PeriluneError(
            "a worker process ended before its work was done", hint="it may have run out of memory; use fewer workers"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _stop_if(cancelled: Callable[[], bool] | None) -> None:
    if cancelled is not None and cancelled():
        raise Cancelled("cancelled")


# In a worker: its task and the task's state, set once before the first item.
_prepared: tuple[_AnyTask, object] | None = None


def _begin(task: _AnyTask) -> None:
    global _prepared
    pa.set_cpu_count(1)  # the processes are the parallelism
    pa.set_io_thread_count(1)
    _prepared = (task, task.prepare())


def _one(item: object) -> object:
    assert _prepared is not None
    task, state = _prepared
    return task.do(state, item)
