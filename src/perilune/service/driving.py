"""Drives runs of playbooks in threads of this process: at once when somebody decided something, and when time has come.

What safety hangs on is in the store, so several processes may do this over one store, `perilune runs work` among them:
a run that another drives is left alone, one whose driver died is taken over when its lease is over.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta

from perilune.errors import PeriluneError
from perilune.service.office import Office
from perilune.service.sweeper import Swept, undo_overdue

TICK = 5.0  # seconds between looks at what has become due
OVERDUE_EVERY = 12  # ticks between looks at effects whose time is over
MAX_RUNS = 1000
_LOOK_AGAIN = timedelta(minutes=1)  # a run that waits for a person is looked at this often though nobody rang
_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Driver:
    """One for each process. `problems` holds, by run, why it could not be driven the last time."""

    office: Office
    threads: int = 4
    problems: dict[str, str] = field(default_factory=dict)
    _pool: ThreadPoolExecutor | None = None
    _ticker: threading.Thread | None = None
    _stop: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _driven: dict[str, bool] = field(default_factory=dict)  # the run, and whether somebody rang meanwhile
    _idle: threading.Condition = field(default_factory=threading.Condition)

    def start(self) -> None:
        """Begins to look for what has become due."""
        self._stop.clear()
        self._ticker = threading.Thread(target=self._tick, name="runs", daemon=True)
        self._ticker.start()

    def stop(self) -> None:
        """Ends; a step under way is finished, the rest of its run waits in the store."""
        self._stop.set()
        if self._ticker is not None:
            self._ticker.join(TICK)
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
            self._pool = None

    def ring(self, run_id: str) -> None:
        """Somebody decided or answered something: go on with the run now."""
        with self._lock:
            if run_id in self._driven:
                self._driven[run_id] = True
                return
            self._driven[run_id] = False
            if self._pool is None:
                self._pool = ThreadPoolExecutor(self.threads, thread_name_prefix="run")
            self._pool.submit(self._drive, run_id)

    def rest(self, seconds: float) -> bool:
        """Waits until nothing is driven any more; false when that takes longer."""
        with self._idle:
            return self._idle.wait_for(lambda: not self._driven, seconds)

    def _drive(self, run_id: str) -> None:
        again = True
        while again:
            self._told(run_id, lambda: self._advance(run_id))
            with self._lock:
                again = self._driven[run_id] and not self._stop.is_set()
                self._driven[run_id] = False
                if not again:
                    del self._driven[run_id]
        with self._idle:
            self._idle.notify_all()

    def _advance(self, run_id: str) -> None:
        record = self.office.runs.load(run_id)
        self.office.runner(record.connector).advance(run_id)

    def _told(self, run_id: str, drive: Callable[[], None]) -> None:
        """A run that cannot be driven stays open, says why, and stops nothing else."""
        try:
            drive()
        except PeriluneError as error:
            self.problems[run_id] = str(error)
            _log.warning("%s cannot be driven: %s", run_id, error)
        else:
            self.problems.pop(run_id, None)

    def _tick(self) -> None:
        ticks = 0
        while not self._stop.wait(TICK):
            ticks += 1
            self._told("what is due", self.ring_due)
            if ticks % OVERDUE_EVERY == 0:
                self._told("what is overdue", lambda: undo_overdue(self.office, Swept()))

    def ring_due(self) -> None:
        """Goes on with every open run that nobody drives and whose time has come."""
        now = self.office.now()
        for record in self.office.runs.runs(limit=MAX_RUNS, open_only=True):
            due = record.until <= now if record.until else now - record.updated > _LOOK_AGAIN
            if (due or record.status == "running") and self.office.runs.is_free(record.id, at=now):
                self.ring(record.id)
