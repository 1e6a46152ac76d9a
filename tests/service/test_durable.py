"""Chaos: workers killed and stopped at random points; no action lost, none doubled, none after its approval ended."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

pytest.importorskip("dbos", reason="needs the extra: pip install 'perilune[durable]'")

from perilune.connectors.simulated import Simulated
from perilune.model.actions import Kind, Outcome
from perilune.service.durable import Worker, make_name, work
from perilune.service.runs import Runner
from perilune.store import audit
from perilune.store.database import Database
from perilune.store.runs import RunStore
from tests.conftest import CHECKOUT
from tests.response.build import ADDRESS, subject
from tests.response.test_plan import RICH, plan

RUNS = int(os.environ.get("PERILUNE_CHAOS_RUNS", "6"))
SECONDS = 150 + 3 * RUNS
SHARED = {Kind.ISOLATE_HOST.value, Kind.COLLECT_EVIDENCE.value}  # all runs have the one host in common


@pytest.fixture(params=["sqlite", "postgresql"])
def urls(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, str]:
    """The store's and the engine's databases. PostgreSQL: databases of their own on the server of PERILUNE_POSTGRES."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'cases.db'}", f"sqlite:///{tmp_path / 'engine.db'}"
    server = os.environ.get("PERILUNE_POSTGRES")
    if not server:
        pytest.skip("needs PERILUNE_POSTGRES, the URL of a PostgreSQL server that may make databases")
    names = [f"perilune_{uuid.uuid4().hex[:8]}_{word}" for word in ("store", "engine")]
    engine = sa.create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        for name in names:
            connection.exec_driver_sql(f"CREATE DATABASE {name}")
    engine.dispose()
    made = [sa.make_url(server).set(database=name).render_as_string(hide_password=False) for name in names]
    return made[0], made[1]


@pytest.fixture
def runner(tmp_path: Path, urls: tuple[str, str]) -> Runner:
    return Runner(RunStore(Database(urls[0])), Simulated(tmp_path / "fleet.json"))


def begin(runner: Runner, number: int) -> str:
    """A run on hosts and things of its own, so that each effect is counted."""
    things = {name: tuple(replace(t, value=f"{t.value}-{number}") for t in found) for name, found in RICH.items()}
    things["addresses"] = (replace(ADDRESS, value=f"45.77.1.{number + 1}"),)
    return runner.start(plan(subject(**things)), "T1059", who="ana").id


def finished(runner: Runner, runs: list[str]) -> bool:
    return all(runner.store.load(one).status == "finished" for one in runs)


def test_a_worker_waits_for_an_approval_and_drives_the_run_to_its_end(runner: Runner, urls: tuple[str, str]) -> None:
    run = begin(runner, 0)
    worker = Worker(runner.store, lambda name: runner.connector, make_name(), poll=0.1)

    async def approve() -> None:
        while not runner.store.load(run).waiting:
            await asyncio.sleep(0.1)
        runner.decide(run, who="ana", granted=True, reason="x")

    async def both() -> None:
        driving = asyncio.create_task(work(runner.store, worker, urls[1], seconds=40))
        await approve()
        while not finished(runner, [run]):
            await asyncio.sleep(0.1)
        driving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await driving

    asyncio.run(both())
    assert {one.outcome for one in runner.store.results(run).values()} == {Outcome.DONE}


class Workers:
    """Two worker processes; one that dies is begun again."""

    def __init__(self, home: Path, urls: tuple[str, str]) -> None:
        self._home, self._urls = home, urls
        self.log = (home / "workers.log").open("ab")
        self.alive = [self._begin(), self._begin()]

    def _begin(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-m", "tests.service.chaos", str(self._home), *self._urls],
            cwd=CHECKOUT, stdout=self.log, stderr=self.log, start_new_session=True,
        )  # fmt: skip

    def kill(self, number: int) -> None:
        self.alive[number].kill()
        self.alive[number].wait()
        self.alive[number] = self._begin()

    def freeze(self, number: int, seconds: float) -> None:
        """Longer than the lease: somebody else takes its runs, and then it wakes."""
        self.alive[number].send_signal(signal.SIGSTOP)
        time.sleep(seconds)
        self.alive[number].send_signal(signal.SIGCONT)

    def end(self) -> None:
        for one in self.alive:
            one.kill()
            one.wait()
        self.log.close()


@pytest.fixture
def workers(tmp_path: Path, runner: Runner, urls: tuple[str, str]) -> Iterator[Workers]:
    made = Workers(tmp_path, urls)
    yield made
    made.end()


def under_way(folder: Path) -> bool:
    """Whether something was done, and so a run is held by a worker."""
    path = folder / "fleet.json"
    if not path.exists():
        return False
    with Simulated(path)._open() as fleet:
        return bool(fleet.calls)


def test_no_action_is_lost_doubled_or_late(
    runner: Runner, workers: Workers, tmp_path: Path, urls: tuple[str, str]
) -> None:
    dice = random.Random(7059)
    runs = [begin(runner, number) for number in range(RUNS)]
    late = runs[-1]
    for one in runs[:-1]:
        runner.decide(one, who="ana", granted=True, reason="x")
    runner.decide(late, who="ana", granted=True, reason="x", holds=timedelta(seconds=-1))
    ends = time.monotonic() + SECONDS
    turn = 0
    while not under_way(tmp_path) and time.monotonic() < ends:
        time.sleep(0.05)
    workers.kill(0)  # whoever held a run lets it go in the middle
    workers.kill(1)
    while not finished(runner, runs) and time.monotonic() < ends:
        time.sleep(dice.uniform(2.5, 5))
        if turn % 3 == 2:
            workers.freeze(dice.randrange(2), 3)
        elif turn < max(6, RUNS):
            workers.kill(dice.randrange(2))
        turn += 1
    log = [line for line in (tmp_path / "workers.log").read_text().splitlines() if "Error" in line][-20:]
    assert finished(runner, runs), (log, [(r.id, r.status, r.waiting) for r in runner.store.runs(open_only=True)])
    with Simulated(tmp_path / "fleet.json")._open() as fleet:
        done = Counter((key.split(":")[0], kind) for kind, _, key in fleet.calls)
        targets = Counter((kind, target) for kind, target, _ in fleet.calls if kind not in SHARED)
    assert set(done.values()) == {1}
    wanted = {action.kind.value for action in plan().actions}
    for one in runs[:-1]:
        sent = {kind for run, kind in done if run == one}
        results = runner.store.results(one)
        assert all(result.held for result in results.values()), (one, results)
        assert wanted - sent <= SHARED, one
    assert set(targets.values()) == {1}
    assert {kind for run, kind in done if run == late} <= {"collect-evidence"}
    database = Database(urls[0])
    assert audit.verify(database)[2] == []
    assert any(line.kind == "taken" for line in audit.lines(database)), "no run was ever taken over: nothing was tried"
