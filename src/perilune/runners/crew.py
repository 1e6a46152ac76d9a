"""Spreads work over processes that may end without warning, in bounded memory and in order.

Unlike `local.run`, an item may give many results, which come while it is worked on; and an item whose process ends
(for want of memory, by a fault in native code) is tried once more in a fresh process and is then given back as
`Ended`, while the others go on. What crosses between processes has to be small: say where rows are, not what they hold.
"""

from __future__ import annotations

import multiprocessing
import signal
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Generic, Protocol, TypeVar, cast

import pyarrow as pa

from perilune.errors import PeriluneError

Item = TypeVar("Item")
Result = TypeVar("Result")
State = TypeVar("State")
Taken = TypeVar("Taken", contravariant=True)
Given = TypeVar("Given", covariant=True)

AHEAD = 2  # items given out per process before the oldest is done
UNTAKEN = 4  # results of one item that wait to be taken; its process then waits too
TRIES = 2


class Task(Protocol, Generic[State, Taken, Given]):
    """Work that can be sent to another process."""

    def prepare(self) -> State:
        """What all items need, made once per process."""
        ...

    def do(self, state: State, item: Taken) -> Iterator[Given]:
        """The results of one item, the same whenever it is asked for."""
        ...


@dataclass(frozen=True, slots=True)
class Ended(Generic[Item]):
    """An item whose process ended before it was done, each time that it was tried; `code` is that of the last."""

    item: Item
    code: int | None


@dataclass(slots=True, eq=False)
class _Slot(Generic[Item, Result]):
    """An item on its way: results that wait, how many were taken, how often it was tried."""

    item: Item
    results: deque[Result] = field(default_factory=deque)
    taken: int = 0
    repeated: int = 0  # results of a further try that were given before
    tries: int = 0
    done: bool = False
    code: int | None = None
    ended: bool = False


@dataclass(slots=True, eq=False)
class _Worker(Generic[Item, Result]):
    process: BaseProcess
    connection: Connection
    slot: _Slot[Item, Result] | None = None
    ready: bool = False


_READY, _RESULT, _DONE, _ITEM, _TAKEN = "ready", "result", "done", "item", "taken"


def run(
    task: Task[State, Item, Result], items: Iterable[Item], workers: int
) -> Generator[tuple[Item, Result | Ended[Item] | None], None, None]:
    """Each item with each of its results, in the order of the items; None when all of an item's are given."""
    crew: _Crew[Item, Result] = _Crew(task, iter(items), workers)
    try:
        yield from crew.results()
    finally:
        crew.dismiss()


class _Crew(Generic[Item, Result]):
    def __init__(self, task: object, items: Iterator[Item], workers: int) -> None:
        self._task = task
        self._items = items
        self._most = workers
        self._slots: deque[_Slot[Item, Result]] = deque()
        self._todo: deque[_Slot[Item, Result]] = deque()
        self._workers: list[_Worker[Item, Result]] = []
        # Spawned, not forked: Arrow has threads, and a forked child of a process with threads may hang.
        self._fresh = multiprocessing.get_context("spawn")

    def results(self) -> Iterator[tuple[Item, Result | Ended[Item] | None]]:
        while True:
            self._fill()
            if not self._slots:
                return
            slot = self._slots[0]
            self._give_out()
            while slot.results:
                result = slot.results.popleft()
                slot.taken += 1
                self._let_go_on(slot)
                yield slot.item, result
            if slot.done:
                self._slots.popleft()
                yield slot.item, Ended(slot.item, slot.code) if slot.ended else None
            else:
                self._listen()

    def _fill(self) -> None:
        while len(self._slots) < self._most * AHEAD:
            try:
                slot = _Slot[Item, Result](next(self._items))
            except StopIteration:
                return
            self._slots.append(slot)
            self._todo.append(slot)

    def _give_out(self) -> None:
        idle = [worker for worker in self._workers if worker.slot is None]
        while self._todo:
            worker = idle.pop() if idle else self._hire()
            if worker is None:
                return
            worker.slot = slot = self._todo.popleft()
            slot.tries += 1
            slot.repeated = 0
            _send(worker, (_ITEM, slot.item))

    def _hire(self) -> _Worker[Item, Result] | None:
        if len(self._workers) >= self._most:
            return None
        ours, theirs = self._fresh.Pipe()
        process = self._fresh.Process(target=_work, args=(theirs, self._task), daemon=True)
        process.start()
        theirs.close()
        worker: _Worker[Item, Result] = _Worker(process, ours)
        self._workers.append(worker)
        return worker

    def _let_go_on(self, slot: _Slot[Item, Result]) -> None:
        """Tells the item's process that a result was taken."""
        for worker in self._workers:
            if worker.slot is slot:
                _send(worker, (_TAKEN, None))

    def _listen(self) -> None:
        """Waits for a word of any process."""
        busy = {worker.connection: worker for worker in self._workers}
        for connection in wait(list(busy)):
            worker = busy[cast(Connection, connection)]
            try:
                word, result = worker.connection.recv()
            except (EOFError, OSError):
                self._bury(worker)
                continue
            self._note(worker, word, result)

    def _note(self, worker: _Worker[Item, Result], word: str, result: Result) -> None:
        slot = worker.slot
        if word == _READY:
            worker.ready = True
        elif slot is not None and word == _DONE:
            slot.done, worker.slot = True, None
        elif slot is not None:
            slot.repeated += 1
            if slot.repeated > slot.taken + len(slot.results):
                slot.results.append(result)
            else:  # given in an earlier try
                _send(worker, (_TAKEN, None))

    def _bury(self, worker: _Worker[Item, Result]) -> None:
        worker.connection.close()
        worker.process.join()
        self._workers.remove(worker)
        if not worker.ready:
            raise PeriluneError("a worker process could not be started", hint="use one process: --jobs 1")
        slot = worker.slot
        if slot is None:
            return
        slot.code = worker.process.exitcode
        if slot.tries < TRIES:
            self._todo.appendleft(slot)
        else:
            slot.done = slot.ended = True

    def dismiss(self) -> None:
        """Ends all processes, whatever they are at."""
        for worker in self._workers:
            worker.connection.close()
            worker.process.terminate()
        for worker in self._workers:
            worker.process.join(5)
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()
        self._workers.clear()


def _send(worker: _Worker[Item, Result], word: object) -> None:
    with suppress(OSError):  # it has ended; `_listen` hears of that
        worker.connection.send(word)


# --- in a worker


def _work(connection: Connection, task: Task[object, object, object]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all processes; the first one ends the others
    pa.set_cpu_count(1)  # the processes are the parallelism
    pa.set_io_thread_count(1)
    state = task.prepare()
    connection.send((_READY, None))
    try:
        while True:
            word, item = connection.recv()
            if word == _ITEM:
                _do(connection, task, state, item)
    except (EOFError, OSError):
        return


def _do(connection: Connection, task: Task[object, object, object], state: object, item: object) -> None:
    untaken = 0
    for result in task.do(state, item):
        connection.send((_RESULT, result))
        untaken += 1
        while untaken >= UNTAKEN or (untaken and connection.poll()):
            connection.recv()
            untaken -= 1
    connection.send((_DONE, None))  # what is still untaken waits with the first process
