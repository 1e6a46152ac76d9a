"""A worker for the chaos test: drives runs on a slow simulated fleet until it is killed. Not a test."""

from __future__ import annotations

import asyncio
import random
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from perilune.connectors.simulated import Simulated
from perilune.model.actions import Action, Endpoint, Observation, Receipt
from perilune.service import runs
from perilune.service.durable import Worker, make_name, work
from perilune.store.database import Database
from perilune.store.runs import RunStore

LEASE = timedelta(seconds=2)


class Slow:
    """The simulated fleet, slow before and after each act, so that a kill falls between intent, act and effect."""

    def __init__(self, path: Path) -> None:
        self._fleet = Simulated(path)
        self.name = "simulated"
        self.handles = self._fleet.handles

    def endpoints(self, host: str) -> Sequence[Endpoint]:
        return self._fleet.endpoints(host)

    def describe(self, action: Action) -> Sequence[object]:
        return self._fleet.describe(action)

    def check(self, action: Action) -> Observation:
        return self._fleet.check(action)

    def act(self, action: Action, key: str) -> Receipt:
        time.sleep(random.random() * 0.1)
        receipt = self._fleet.act(action, key)
        time.sleep(random.random() * 0.1)
        return receipt


def without_caps() -> None:
    """More runs than an hour may hold: the caps would refuse what this is about."""
    runs.KINDS = {kind: replace(row, hourly=10**6) for kind, row in runs.KINDS.items()}  # type: ignore[misc]


def main(home: Path, store_url: str, engine_url: str) -> None:
    without_caps()
    store = RunStore(Database(store_url))
    fleet = Slow(home / "fleet.json")
    worker = Worker(store, lambda name: fleet, make_name(), lease=LEASE, poll=0.2)  # type: ignore[arg-type,return-value]
    asyncio.run(work(store, worker, engine_url))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3])
