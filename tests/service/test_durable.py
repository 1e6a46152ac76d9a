"""Chaos: workers killed and stopped at random points; no action lost, none doubled, none after its approval ended."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("dbos", reason="needs the extra: pip install 'perilune[durable]'")

from perilune.connectors.simulated import Simulated
from perilune.model.actions import Outcome
from perilune.service.durable import Worker, make_name, work
from perilune.service.runs import Runner
from perilune.store.database import Database
from perilune.store.runs import RunStore
from tests.response.test_plan import plan
from tests.service import postgres
from tests.service.chaos import trial

RUNS = int(os.environ.get("PERILUNE_CHAOS_RUNS", "10"))  # all of it: python -m tests.service.chaos
Urls = tuple[str, str]


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    if reason := postgres.why_not():
        pytest.skip(reason)
    with postgres.served() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def urls(request: pytest.FixtureRequest, tmp_path: Path) -> Urls:
    """The store's and the engine's databases."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'cases.db'}", f"sqlite:///{tmp_path / 'engine.db'}"
    made = postgres.make_databases(request.getfixturevalue("server"), "store", "engine")
    return made[0], made[1]


def test_a_worker_waits_for_an_approval_and_drives_the_run_to_its_end(tmp_path: Path, urls: Urls) -> None:
    database = Database(urls[0])
    runner = Runner(RunStore(database), Simulated(tmp_path / "fleet.json"))
    run = runner.start(plan(), "T1059", who="ana").id
    worker = Worker(runner.store, lambda name: runner.connector, make_name(), poll=0.1)
    asked = 0.0

    async def approve() -> None:
        nonlocal asked
        while not runner.store.load(run).waiting:
            await asyncio.sleep(0.1)
        runner.decide(run, who="ana", granted=True, reason="x")
        asked = time.monotonic()

    async def both() -> None:
        driving = asyncio.create_task(work(runner.store, worker, urls[1], seconds=40))
        await approve()
        while runner.store.load(run).status != "finished":
            await asyncio.sleep(0.1)
        driving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await driving

    asyncio.run(both())
    assert {one.outcome for one in runner.store.results(run).values()} == {Outcome.DONE}
    assert time.monotonic() - asked < 20, "the bell was not heard: it waited for its patience to end"
    database.close()


def test_no_action_is_lost_doubled_or_late(tmp_path: Path, urls: Urls) -> None:
    tally, figures = trial(tmp_path, urls, RUNS, seed=7059, seconds=150 + 6 * RUNS)
    assert tally.wrong == [], (tally.wrong, figures, (tmp_path / "workers.log").read_text()[-3000:])
    assert tally.kills, "nobody was killed: nothing was tried"
