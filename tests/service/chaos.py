"""Chaos: two workers, killed and stopped at random, over runs that are approved, denied, expire and are undone.

    python -m tests.service.chaos --runs 200 --database postgresql

The product knows no keys, so whatever is sent twice is done twice. Afterwards everything that it was sent is held
against what people decided. Exits with 1 where an action was lost, doubled, or sent after its approval or a release.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from perilune.model.actions import Endpoint, Outcome, Plan, Role, Subject, Target
from perilune.response.guards import SafeList, Surroundings
from perilune.response.plan import fill_inputs, make_plan
from perilune.service.playbooks import load_shelf
from perilune.service.runs import Runner
from perilune.store.database import Database
from perilune.store.runs import RunStore
from tests.conftest import CHECKOUT
from tests.response.build import ACCOUNT, ADDRESS, CASE, FILE, HOST, PROCESS
from tests.service import postgres
from tests.service.verdicts import Fate, judge
from tests.service.worker import LEASE, look_at, product


@dataclass
class Tally:
    """What chaos did, and what it found wrong."""

    kills: int = 0
    freezes: int = 0
    wrong: list[str] = field(default_factory=list)


FATES = ("approved", "expired", "expiring", "undone", "late", "denied", "approved", "approved", "undone", "approved")


def make_one(number: int) -> Plan:
    """The whole T1059 playbook on a host and things that no other run has."""
    shelf = load_shelf(None)
    book = shelf.find("T1059")
    host = f"host-{number}"

    def own(one: Target, value: str) -> tuple[Target, ...]:
        return (replace(one, value=value, host=host if one.host else ""),)

    targets = {
        "hosts": own(HOST, host), "case": (CASE,), "processes": own(PROCESS, PROCESS.value),
        "files": own(FILE, f"/tmp/{number}.lua"), "accounts": own(ACCOUNT, f"user-{number}"),
        "addresses": own(ADDRESS, f"45.77.{number // 250}.{number % 250 + 1}"),
    }  # fmt: skip
    subject = Subject("C-1", targets, {"command-line": {"__verdict__": "malicious", "__score__": "90"}, "related": {}})
    around = Surroundings({host: (Endpoint(host, host, Role.WORKSTATION),)}, SafeList())
    fleet = product(Path())
    return make_plan(
        shelf.playbooks, shelf.pinned(book), fill_inputs(book, {}), subject, around, "simulated", fleet.handles, {}
    )


class Workers:
    """Two worker processes; one that dies is begun again."""

    def __init__(self, home: Path, urls: tuple[str, str]) -> None:
        self._home, self._urls = home, urls
        self.log = (home / "workers.log").open("ab")
        self.alive = [self._begin(), self._begin()]

    def _begin(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-m", "tests.service.worker", str(self._home), *self._urls],
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


@dataclass
class Chaos:
    """One trial. `seconds` is when it is given up."""

    home: Path
    urls: tuple[str, str]
    runs: int
    seconds: float
    dice: random.Random
    tally: Tally = field(default_factory=Tally)

    def __post_init__(self) -> None:
        self.database = Database(self.urls[0])
        self.runner = Runner(RunStore(self.database), product(self.home))
        self.fates = [Fate(FATES[number % len(FATES)]) for number in range(self.runs)]

    def begin(self) -> None:
        for number, fate in enumerate(self.fates):
            fate.run = self.runner.start(make_one(number), "T1059", who="ana").id
            if fate.what == "late":
                continue
            if fate.what == "denied":
                self.runner.decide(fate.run, who="bo", granted=False, reason="not that host", actions=[1])
            seconds = {"expired": -1.0, "expiring": self.dice.uniform(4, 10 + self.runs / 2)}.get(fate.what, 3600.0)
            self._approve(fate, seconds)

    def _approve(self, fate: Fate, seconds: float) -> None:
        fate.expires = datetime.now(UTC) + timedelta(seconds=seconds)
        self.runner.decide(fate.run, who="ana", granted=True, reason="x", holds=timedelta(seconds=seconds))

    def play(self) -> None:
        workers = Workers(self.home, self.urls)
        ends = time.monotonic() + self.seconds
        try:
            while not look_at(self.home).calls and time.monotonic() < ends:
                time.sleep(0.05)
            while time.monotonic() < ends and not self._over():
                self._people()
                self._disturb(workers)
        finally:
            workers.end()
        if not self._over():
            self.tally.wrong += [f"{one.id} is not finished: {one.waiting}" for one in self._open()]

    def _disturb(self, workers: Workers) -> None:
        time.sleep(self.dice.uniform(0.2, 6))
        number, throw = self.dice.randrange(2), self.dice.random()
        if throw < 0.4:
            self.tally.freezes += 1
            workers.freeze(number, LEASE.total_seconds() + self.dice.uniform(0.5, 2))
        elif throw < 0.9:
            self.tally.kills += 1
            workers.kill(number)
        else:
            self.tally.kills += 2
            workers.kill(0)
            workers.kill(1)

    def _people(self) -> None:
        """Some approve late; some undo a run while it is going on."""
        for fate in self.fates:
            if fate.what == "late" and fate.expires is None and self.dice.random() < 0.3:
                self._approve(fate, 3600)
            done = [one for one in self.runner.store.results(fate.run).values() if one.outcome is Outcome.DONE]
            if fate.what == "undone" and not fate.undone and len(done) >= 2:
                fate.undone = self.runner.undo(fate.run, who="ana", reason="a mistake").id

    def _open(self) -> list[object]:
        return list(self.runner.store.runs(limit=10_000, open_only=True))

    def _over(self) -> bool:
        settled = all(fate.expires is not None for fate in self.fates)
        return settled and all(fate.undone or fate.what != "undone" for fate in self.fates) and not self._open()


def trial(
    home: Path, urls: tuple[str, str], runs: int, *, seed: int, seconds: float
) -> tuple[Tally, dict[str, object]]:
    """Everything that went wrong, and figures that say how hard it was tried."""
    chaos = Chaos(home, urls, runs, seconds, random.Random(seed))
    began = time.monotonic()
    chaos.begin()
    chaos.play()
    wrong, figures = judge(look_at(home), chaos.runner.store, chaos.database, chaos.fates)
    chaos.tally.wrong += wrong
    figures |= {"kills": chaos.tally.kills, "freezes": chaos.tally.freezes, "seed": seed}
    chaos.database.close()
    return chaos.tally, figures | {"seconds": round(time.monotonic() - began)}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--seed", type=int, default=7059)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        home = Path(folder)
        urls = [f"sqlite:///{home / name}" for name in ("cases.db", "engine.db")]
        if given.database == "postgresql":
            urls = postgres.make_databases(stack.enter_context(postgres.served()), "store", "engine")
        seconds = 300 + 12 * given.runs
        tally, figures = trial(home, (urls[0], urls[1]), given.runs, seed=given.seed, seconds=seconds)
        if tally.wrong:
            print((home / "workers.log").read_text()[-4000:], file=sys.stderr)
    print(given.database, *(f"{name}: {value}" for name, value in figures.items()), sep="\n  ")
    print(
        "\n".join(tally.wrong) or "no action lost, none doubled, none after its approval ended or its target's release"
    )
    return 1 if tally.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
