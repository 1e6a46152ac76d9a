"""The same work on a real Spark cluster of two workers, and what is said where there is none."""

from __future__ import annotations

import os
import socket
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pytest

from perilune import pipeline
from perilune.errors import PeriluneError, UsageError
from perilune.runners import spark
from tests.conftest import CHECKOUT
from tests.runners.standalone import Standalone, missing, standalone
from tests.test_sweeping import same, write

needs_spark = pytest.mark.skipif(bool(missing()), reason=missing() or "Spark is here")


@dataclass(frozen=True, slots=True)
class Squares:
    """A task whose items say who did them."""

    fails_at: int = -1

    def prepare(self) -> int:
        return os.getpid()

    def do(self, state: int, item: int) -> tuple[pa.Table, ...]:
        if item == self.fails_at:
            raise ValueError(f"item {item} cannot be done")
        return pa.table({"square": [item * item], "pid": [state]}), pa.table({"more": list(range(item))})


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Standalone]:
    with standalone(tmp_path_factory.mktemp("spark"), workers=2) as found:
        yield found


@needs_spark
def test_two_workers_do_the_items_in_order(cluster: Standalone) -> None:
    here = {"spark.executorEnv.PYTHONPATH": str(CHECKOUT)}  # where the workers find the task above
    with spark.open_cluster(cluster.master, here) as open_one:
        assert open_one.cores == 2
        done: list[int] = []
        found = list(spark.run(open_one, Squares(), range(20), progress=done.append))
        assert [one.column("square")[0].as_py() for one, _ in found] == [n * n for n in range(20)]
        assert [len(more) for _, more in found] == list(range(20))
        assert len({one.column("pid")[0].as_py() for one, _ in found}) >= 2, "one worker did everything"
        assert done == [8, 16, 20]
        with pytest.raises(PeriluneError, match="item 3 cannot be done"):
            list(spark.run(open_one, Squares(fails_at=3), range(5)))


@needs_spark
def test_a_hunt_on_the_cluster_finds_what_one_process_finds(
    cluster: Standalone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rule by rule and row by row, with shares small enough that both workers have some."""
    monkeypatch.setattr("perilune.sweeping.ROWS", 1_000)
    monkeypatch.setattr("perilune.judging.MAX_PER_RULE", 30)
    path = write(tmp_path / "a.parquet", 4_000, groups=1_000)
    here, there = pipeline.hunt([path]), pipeline.hunt([path], runner=cluster.master)
    same(here, there)
    rows = Counter((f.rule_id, f.event.record) for f in here.findings)
    assert rows == Counter((f.rule_id, f.event.record) for f in there.findings) and len(rows) > 60
    assert here.cut == there.cut and here.cut


def test_a_master_that_is_not_there_is_said_at_once() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with (
        pytest.raises(PeriluneError, match=r"does not answer|pyspark is not installed"),
        spark.open_cluster(f"spark://127.0.0.1:{port}"),
    ):
        pass


@pytest.mark.parametrize("master", ["yarn", "spark://", "local[x]", "http://a:1", "spark://a b:1", ""])
def test_what_is_no_master_is_refused(master: str) -> None:
    assert not spark.is_master(master)
    with pytest.raises(UsageError), spark.open_cluster(master):
        pass
