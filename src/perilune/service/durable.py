"""Runs driven by a durable engine (`dbos`): a worker that dies loses nothing, another one goes on.

What safety hangs on is not in the engine but in the store: leases, approvals, intents, epochs (see `store/runs.py`).
The engine keeps runs going: it knows which are begun, starts them again after a crash, and moves those of a dead worker
to a living one. Rules that trials of it forced: a name of its own per worker, a pinned application version (a run
carries its playbooks with it), portable JSON instead of pickles, a write-ahead log, steps that may run twice.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from perilune.errors import LostLease, PeriluneError, UsageError
from perilune.ports import Connector
from perilune.response.execute import run
from perilune.response.steps import Answer, Approve, Ask, Pause, Step
from perilune.service.engine import Engine, Waiting
from perilune.service.playbooks import library_of
from perilune.service.runs import LEASE, StoredJournal
from perilune.store.runs import Run, RunStore

try:
    from dbos import DBOS, DBOSConfig, SetWorkflowID
    from dbos import DBOSPortableJSONSerializer as PortableJSON
except ImportError as error:  # pragma: no cover - the extra is not installed
    raise UsageError("the durable engine is not installed", hint="pip install 'perilune[durable]'") from error

ABI = "perilune-runs-1"  # raised when the same plan would be walked another way
POLL = 1.0
PATIENCE = 30.0  # seconds after which a parked run is looked at though nobody rang
THREADS = 32
MAX_RUNS = 1000
ENDED = ("finished", "cancelled")


class Driving:
    """The runs that this process drives: the engine may begin one twice here, and once must be enough.

    A parked run has a bell, which rings when somebody decided or answered something about it.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._runs: set[str] = set()
        self._bells: dict[str, tuple[asyncio.AbstractEventLoop, asyncio.Event]] = {}

    def claim(self, run_id: str) -> bool:
        with self._lock:
            if run_id in self._runs:
                return False
            self._runs.add(run_id)
            return True

    def leave(self, run_id: str) -> None:
        with self._lock:
            self._runs.discard(run_id)
            self._bells.pop(run_id, None)

    def runs(self) -> list[str]:
        with self._lock:
            return sorted(self._runs)

    def bell(self, run_id: str) -> asyncio.Event:
        """The run's bell, silent; made by the loop that waits for it."""
        with self._lock:
            if run_id not in self._bells:
                self._bells[run_id] = (asyncio.get_running_loop(), asyncio.Event())
            bell = self._bells[run_id][1]
        bell.clear()
        return bell

    def ring(self, runs: Iterable[str]) -> None:
        """From any loop or thread."""
        with self._lock:
            found = [self._bells[run] for run in runs if run in self._bells]
        for loop, bell in found:
            loop.call_soon_threadsafe(bell.set)


@dataclass(frozen=True, slots=True)
class Worker:
    """What one process drives runs with.

    connectors  makes a connector by its name
    lease       how long a run stays with a worker that says nothing
    """

    store: RunStore
    connectors: Callable[[str], Connector]
    name: str
    lease: timedelta = LEASE
    poll: float = POLL
    driving: Driving = field(default_factory=Driving)

    async def drive(self, run_id: str) -> str:
        """The run, step by step, to its end; every step may be repeated, because its answer is kept first.

        It never gives up: what fails is written where people see it, and tried again, here or by another worker.
        """
        while (status := (await asyncio.to_thread(self.store.load, run_id)).status) not in ENDED:
            if not self.driving.claim(run_id):
                await asyncio.sleep(self.poll)
                continue
            try:
                await self._leased(run_id)
            except LostLease:  # somebody else has it: wait with them for its end, so that nothing is called failed
                await asyncio.sleep(self.poll)
            except PeriluneError as error:
                await asyncio.to_thread(self._note_failure, run_id, error)
                await asyncio.sleep(self.poll * 10)
            finally:
                self.driving.leave(run_id)
        return status

    async def _leased(self, run_id: str) -> None:
        if not await asyncio.to_thread(self._take, run_id):
            raise LostLease(f"{run_id}: another worker drives it")
        await self._walk(await asyncio.to_thread(self.store.load, run_id))

    def beat(self, stop: threading.Event) -> None:
        """Keeps the leases of all runs that are driven here, in a thread that no slow step can starve."""
        while not stop.wait(self.lease.total_seconds() / 3):
            with suppress(PeriluneError):  # the next beat, or the lease's end, says it better
                self.store.keep_leases(self.driving.runs(), self.name, at=datetime.now(UTC), lease=self.lease)

    async def _walk(self, record: Run) -> None:
        journal = StoredJournal(self.store, record, self.name, self.lease)
        engine = Engine(journal, self.connectors(record.connector), patience=0)
        running = run(record.plan, library_of(record.plan.documents))
        answer: Answer = None
        number = 0
        try:
            while True:
                step = running.send(answer)
                answer = await self._answer(engine, record.id, number, step)
                number += 1
        except StopIteration:
            now = journal.now()
            await asyncio.to_thread(self.store.set_status, record.id, "finished", at=now, who=self.name)

    async def _answer(self, engine: Engine, run_id: str, number: int, step: Step) -> Answer:
        """One step; one that waits for people or time is asked again when the bell rings, or its time has come."""
        while True:
            bell = self.driving.bell(run_id)
            try:
                return await asyncio.to_thread(engine.answer, number, step)
            except Waiting as wait:
                assert isinstance(step, Approve | Ask | Pause)
                await asyncio.to_thread(self._note_waiting, engine, run_id, wait)
                with suppress(TimeoutError):
                    await asyncio.wait_for(bell.wait(), _seconds(wait, engine.journal.now()))

    def _note_waiting(self, engine: Engine, run_id: str, wait: Waiting) -> None:
        now = engine.journal.now()
        if not self.store.take(run_id, self.name, at=now, lease=self.lease):
            raise LostLease(f"{run_id}: another worker took the run over")
        if self.store.load(run_id).waiting != wait.what:
            self.store.set_status(run_id, "waiting", waiting=wait.what, until=wait.until, at=now, who=self.name)

    def _note_failure(self, run_id: str, error: PeriluneError) -> None:
        now = datetime.now(UTC)
        self.store.set_status(run_id, "waiting", waiting=f"a worker: {error}", at=now, who=self.name)
        self.store.give_back(run_id, self.name)

    def _take(self, run_id: str) -> bool:
        return self.store.take(run_id, self.name, at=datetime.now(UTC), lease=self.lease)


_worker: list[Worker] = []  # the engine finds workflows by module and name, so theirs is here; one per process


@DBOS.workflow(name="drive_run", max_recovery_attempts=None)
async def drive_run(run_id: str) -> str:
    """The workflow: the run's whole way is one step of the engine's, for its own steps are kept in the store."""
    return await DBOS.run_step_async({"name": "drive"}, _drive, run_id)


async def _drive(run_id: str) -> str:
    return await _worker[0].drive(run_id)


@contextmanager
def working(worker: Worker, database: str) -> Iterator[None]:
    """The engine, begun and ended. `database` is its own, an SQLAlchemy URL."""
    _prepare(database)
    config = DBOSConfig(
        name="perilune",
        system_database_url=database,
        executor_id=worker.name,
        application_version=ABI,
        serializer=PortableJSON(),
        log_level="ERROR",
    )
    _worker[:] = [worker]
    stop = threading.Event()
    beating = threading.Thread(target=worker.beat, args=(stop,), daemon=True)
    DBOS(config=config)
    DBOS.launch()
    beating.start()
    try:
        yield
    finally:
        DBOS.destroy()
        stop.set()
        beating.join()
        _worker.clear()


async def sweep(store: RunStore, worker: Worker) -> tuple[list[str], list[str]]:
    """Begins every open run, and takes over those whose worker says nothing any more. Returns both."""
    begun: list[str] = []
    taken: list[str] = []
    listed = await DBOS.list_workflows_async(status=["PENDING", "ENQUEUED"], load_input=False, load_output=False)
    held = {one.workflow_id: one.executor_id for one in listed}
    for record in await asyncio.to_thread(lambda: store.runs(limit=MAX_RUNS, open_only=True)):
        if record.id not in held:
            with SetWorkflowID(f"{record.id}"):
                await DBOS.start_workflow_async(drive_run, record.id)
            begun.append(record.id)
        elif held[record.id] != worker.name and await asyncio.to_thread(store.is_free, record.id, at=datetime.now(UTC)):
            await DBOS.resume_workflow_async(record.id)
            taken.append(record.id)
    return begun, taken


async def work(store: RunStore, worker: Worker, database: str, *, seconds: float | None = None) -> None:
    """Drives every open run until it is stopped, or for so many seconds."""
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(THREADS))
    with working(worker, database):
        ends = None if seconds is None else time.monotonic() + seconds
        last = 0
        while ends is None or time.monotonic() < ends:
            await sweep(store, worker)
            last, about = await asyncio.to_thread(store.decided_since, last)
            worker.driving.ring(about)
            await asyncio.sleep(worker.poll)


def _seconds(wait: Waiting, now: datetime) -> float:
    left = PATIENCE if wait.until is None else (wait.until - now).total_seconds()
    return min(max(left, 0.0), PATIENCE)


def make_name() -> str:
    return f"worker-{uuid.uuid4().hex[:12]}"


def _prepare(database: str) -> None:
    """A write-ahead log for SQLite: the engine itself does not set it, and a write takes twice as long without."""
    path = database.removeprefix("sqlite:///")
    if path == database:
        return
    Path(path).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        with sqlite3.connect(path) as connection:
            connection.execute("PRAGMA journal_mode=WAL")
        connection.close()
    except sqlite3.Error as error:
        raise PeriluneError(f"the engine's database cannot be opened: {error}", where=path) from error
