"""A worker for the chaos test: drives runs on a slow product until it is killed. Not a test."""

from __future__ import annotations

import asyncio
import random
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

from perilune.connectors.simulated import Fleet, Simulated
from perilune.model.actions import Action, Observation, Receipt, Request
from perilune.ports import Endpoint
from perilune.service import runs
from perilune.service.durable import Worker, make_name, work
from perilune.store.database import Database
from perilune.store.runs import RunStore

LEASE = timedelta(seconds=2)


@dataclass(slots=True)
class Slow:
    """The simulated fleet, knowing no keys, as most products do; slow before and after each act.

    So a kill falls between intent, act and effect, and what is sent twice is done twice.
    """

    fleet: Simulated
    name: str = "simulated"

    @property
    def handles(self) -> frozenset[object]:
        return frozenset(self.fleet.handles)

    def endpoints(self, host: str) -> Sequence[Endpoint]:
        return self.fleet.endpoints(host)

    def describe(self, action: Action) -> Sequence[Request]:
        return self.fleet.describe(action)

    def check(self, action: Action) -> Observation:
        return self.fleet.check(action)

    def act(self, action: Action, key: str) -> Receipt:
        time.sleep(random.random() * 0.2)
        receipt = self.fleet.act(action, key)
        time.sleep(random.random() * 0.2)
        return receipt


def product(home: Path) -> Simulated:
    return Simulated(home / "fleet.json", remembers=False)


def look_at(home: Path) -> Fleet:
    """What the product was sent and holds."""
    with product(home)._open() as fleet:
        return fleet


def without_caps() -> None:
    """More runs than an hour may hold: the caps would refuse what this is about."""
    runs.KINDS = {kind: replace(row, hourly=10**6) for kind, row in runs.KINDS.items()}  # type: ignore[misc]


def main(home: Path, store_url: str, engine_url: str) -> None:
    without_caps()
    store = RunStore(Database(store_url))
    slow = Slow(product(home))
    worker = Worker(store, lambda name: slow, make_name(), lease=LEASE, poll=0.2)  # type: ignore[arg-type,return-value]
    asyncio.run(work(store, worker, engine_url))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3])
