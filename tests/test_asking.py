"""Hunts over all that was read: here and on a cluster they find the same rows at the same places."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import pytest

from perilune import asking, pipeline
from perilune.detection.kql import hunts
from perilune.runners import spark, spark_tables
from tests.runners.standalone import missing
from tests.test_sweeping import write

needs_spark = pytest.mark.skipif(bool(missing()), reason=missing() or "Spark is here")
RULES = hunts.load([Path(str(files("perilune") / "content" / "hunts"))]).rules


def test_nothing_read_is_nothing_found() -> None:
    from perilune.store.spool import Spool

    assert asking.ask(RULES, Spool(), None) == ([], [])


@needs_spark
def test_the_cluster_is_asked_and_answers_as_this_process_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "a.parquet", 4_000, groups=1_000)
    asked: list[str] = []
    ask = spark_tables.ask

    def seen(cluster: spark.Cluster, sql: str, *rest: object) -> object:
        asked.append(sql)
        return ask(cluster, sql, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(spark_tables, "ask", seen)
    here, there = pipeline.hunt([path]), pipeline.hunt([path], runner="local[1]")
    assert asked, "the cluster was not asked"
    ids = {rule.id for rule in RULES}
    places = [sorted((f.rule_id, f.event.record) for f in one.findings if f.rule_id in ids) for one in (here, there)]
    assert places[0] == places[1] and places[0]
