"""A value that is looked up at most every few seconds, by one asker; the others get the last one meanwhile."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Lately(Generic[T]):
    """Without it, everybody who asks in the moment that a value grew old would look it up at once."""

    def __init__(self, look: Callable[[], T], seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._look = look
        self._seconds = seconds
        self._clock = clock
        self._lock = threading.Lock()
        self._held: tuple[float, T] | None = None

    def get(self) -> T:
        held = self._held
        if held is not None and self._clock() - held[0] <= self._seconds:
            return held[1]
        if self._lock.acquire(blocking=held is None):
            try:
                if self._held is held or self._held is None:  # nobody looked it up while this one waited
                    self._held = (self._clock(), self._look())
                held = self._held
            finally:
                self._lock.release()
        assert held is not None  # who did not wait had a value
        return held[1]

    def forget(self) -> None:
        """The next asker looks it up."""
        self._held = None
