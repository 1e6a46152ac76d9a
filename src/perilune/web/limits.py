"""How often somebody may ask: one bucket of tokens for each, in memory, for a bounded number of askers."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

ASKERS_MOST = 10_000


@dataclass(slots=True)
class Limit:
    """`burst` at once, refilled at `rate` a second."""

    burst: float
    rate: float
    clock: Callable[[], float] = time.monotonic
    _buckets: OrderedDict[str, tuple[float, float]] = field(default_factory=OrderedDict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def wait(self, asker: str) -> float:
        """Takes one token; the seconds to wait when there is none, else 0."""
        now = self.clock()
        with self._lock:
            held, then = self._buckets.pop(asker, (self.burst, now))
            held = min(self.burst, held + (now - then) * self.rate)
            granted = held >= 1
            self._buckets[asker] = (held - 1 if granted else held, now)
            if len(self._buckets) > ASKERS_MOST:
                self._buckets.popitem(last=False)
        return 0.0 if granted else (1 - held) / self.rate
