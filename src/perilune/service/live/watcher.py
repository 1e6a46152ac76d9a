"""The loop: a turn takes what is new into the lake, looks at it, and makes cases; now and then it tidies up.

What fails is tried again: a full disk or a lost case store stops what needs it, is told, and nothing is forgotten.
"""

from __future__ import annotations

import math
import sqlite3
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from threading import Event

from perilune import learning
from perilune.errors import PeriluneError, StoreError
from perilune.model.tables import Table
from perilune.service.live import status
from perilune.service.live.casing import Saved
from perilune.service.live.detecting import Detector
from perilune.service.live.taking import Taken, Taker
from perilune.store.events import EventLake

AGAIN = 1.0  # seconds after which what failed is tried again
ENDING = 5.0  # seconds that the end may take for what is still there; the rest is there at the next start
REFILL_ROWS = 20_000  # of what was looked at before, that a new watcher looks at again to know what was around
_MOST_PENDING = 5_000  # findings that wait for the case store; beyond it rows wait in the lake
_HELD = 16  # batches kept in memory until they are looked at


@dataclass(frozen=True, slots=True)
class Options:
    """How a watcher works.

    batch       rows of one turn, at most, roughly
    delay       seconds between turns that found nothing more to do
    once        ends when the sources have nothing more
    keep_days   days of rows that the lake keeps; 0 for all
    flush       seconds after which rows become Parquet
    learn       seconds after which the history learns from them; the folder is `baseline`
    """

    batch: int = 5_000
    delay: float = 0.25
    once: bool = False
    keep_days: int = 0
    flush: float = 60.0
    learn: float = 600.0
    baseline: Path | None = None
    content: Path | None = None


@dataclass(slots=True)
class Watcher:
    """One watcher of one lake."""

    lake: EventLake
    taker: Taker
    detector: Detector
    options: Options
    tell: Callable[[Saved], None] = lambda saved: None
    delays: deque[float] = field(default_factory=lambda: deque(maxlen=2_000))
    problems: dict[str, str] = field(default_factory=dict)
    cases: int = 0
    began: float = field(default_factory=time.time)
    _looked: int = 0
    _held: dict[int, Sequence[Table]] = field(default_factory=dict)
    _at: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        status.resume(self.taker, self.lake)

    def run(self, stop: Event) -> None:
        """Turns until it is stopped, or until there is nothing more."""
        self._at = dict.fromkeys(("flush", "learn", "retain", "status"), time.monotonic())
        self.refill()
        try:
            while not stop.is_set():
                busy = self.turn()
                if self.options.once and not busy and not self.problems and self._is_drained():
                    break
                if not busy:
                    stop.wait(AGAIN if self.problems else self.options.delay)
        finally:
            self.finish()

    def turn(self) -> bool:
        """One turn; whether there was anything to do."""
        taken = self._take()
        looked = self._look()
        self._settle(last=False)
        self._tidy()
        self._tell_status()
        return taken.more or looked or (self.detector.pending > 0 and not self.problems)

    def _is_drained(self) -> bool:
        waiting = any(source.state.waiting for source in self.taker.sources if source.state.doing != "gone")
        if waiting and self._since_busy() < 2.0:
            return False
        return not self.lake.manifest.batches(self._looked, 1)

    def _since_busy(self) -> float:
        now = time.monotonic()
        last = self._at.setdefault("busy", now)
        return now - last

    def _take(self) -> Taken:
        nothing = Taken(0, (), 0, False)
        with self._trying("lake"):
            taken = self.taker.take(self.options.batch)
            if taken.seq:
                self._held[taken.seq] = taken.tables
                while len(self._held) > _HELD:
                    self._held.pop(next(iter(self._held)))
            if taken.rows:
                self._at["busy"] = time.monotonic()
            return taken
        return nothing

    def _look(self) -> bool:
        """Matches the next batches of the lake; those of this turn are still in memory."""
        if self.detector.pending > _MOST_PENDING:
            return False
        before = self._looked
        with self._trying("lake log"):
            for batch in self.lake.manifest.batches(self._looked, 4):
                tables = self._held.pop(batch.seq, None)
                if tables is None:
                    tables = next(iter(self.lake.batches(batch.seq - 1, 1)))[1]
                self.detector.look(tables)
                self._looked = batch.seq
        return self._looked > before

    def _settle(self, *, last: bool) -> None:
        with self._trying("cases"):
            for saved in self.detector.settle(self.taker.reports(), last=last):
                self.cases += saved.outcome == "new"
                self.tell(saved)
            self.delays.extend(self.detector.casing.delays)
            self.detector.casing.delays.clear()
            if not self.detector.pending and (together := self.detector.to_recall()):
                self.lake.manifest.note("together", together)
            if self.detector.is_settled and self._looked > self.lake.manifest.detected:
                self.lake.manifest.set_detected(self._looked)

    def refill(self) -> None:
        """Looks again at the newest rows that were looked at before: a new finding is seen with what was around."""
        detected = self.lake.manifest.detected
        self.detector.recall(self.lake.manifest.notes("together"))
        known = [batch for batch in self.lake.manifest.batches() if batch.seq <= detected]
        while sum(batch.rows for batch in known) > REFILL_ROWS:
            known.pop(0)
        with self._trying("lake"):
            left = REFILL_ROWS - sum(batch.rows for batch in known)
            older = self.lake.newest(left) if left > 0 else []
            if older:
                self.detector.look(older)
            for batch in known:
                self.detector.look(next(iter(self.lake.batches(batch.seq - 1, 1)))[1])
            while self.detector.pending and "cases" not in self.problems:
                self._settle(last=False)
        self._looked = detected

    # --- tidying

    def _tidy(self) -> None:
        if self._due("flush", self.options.flush):
            with self._trying("lake"):
                self.lake.flush(datetime.now(UTC))
                self.lake.compact()
                self.lake.sweep()
        if self.options.keep_days and self._due("retain", 3600.0):
            with self._trying("lake"):
                self.lake.retain(self.options.keep_days)
        if self.options.baseline is not None and self._due("learn", self.options.learn):
            self._learn()

    def _learn(self) -> None:
        """The history learns from the process events that became Parquet since; each event once."""
        assert self.options.baseline is not None
        files = self.lake.manifest.files("tbl = 'DeviceProcessEvents' AND learned = 0")
        if not files:
            return
        with self._trying("history"):
            self.options.baseline.mkdir(parents=True, exist_ok=True)
            paths = [self.lake.folder / file.path for file in files]
            learning.build(paths, self.options.baseline, workers=1, content=self.options.content)
            self.lake.manifest.learned(files)

    def finish(self) -> None:
        """The last of what came: into the lake, into cases, into Parquet; and what is told."""
        for source in self.taker.sources:
            source.stop()
        deadline = time.monotonic() + (math.inf if self.options.once else ENDING)
        while self._take().more and time.monotonic() < deadline and "lake" not in self.problems:
            self._look()
        while self._look() and time.monotonic() < deadline:
            pass
        self._settle(last=True)
        while self.detector.pending and not self.problems and time.monotonic() < deadline:
            self._settle(last=False)
        with self._trying("lake"):
            self.lake.flush(datetime.now(UTC))
            self.lake.sweep()
        if self.options.baseline is not None:
            self._learn()
        with suppress(StoreError, OSError, sqlite3.Error):
            status.write(self, state="stopped")

    # --- what is told

    def _tell_status(self) -> None:
        if self._due("status", 2.0):
            try:
                status.write(self, state="watching")
            except (StoreError, OSError, sqlite3.Error) as error:
                self.problems.setdefault("status", str(error))
            else:
                self.problems.pop("status", None)

    def _due(self, what: str, seconds: float) -> bool:
        now = time.monotonic()
        if now - self._at.get(what, now) < seconds:
            return False
        self._at[what] = now
        return True

    def _trying(self, what: str) -> _Trying:
        return _Trying(self, what)

    def note(self, what: str, problem: str) -> None:
        self.problems[what] = problem

    def counts(self) -> Mapping[str, int]:
        casing = self.detector.casing
        return {"findings": casing.findings, "cases": self.cases, "suppressed": casing.suppressed}


@dataclass(slots=True)
class _Trying:
    """What fails inside is noted under a name, and tried again later; what succeeds takes the note away."""

    watcher: Watcher
    what: str

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, _: object) -> bool:
        if error is None:
            self.watcher.problems.pop(self.what, None)
            return False
        if isinstance(error, PeriluneError | OSError | sqlite3.Error):
            self.watcher.note(self.what, str(error))
            return True
        return False
