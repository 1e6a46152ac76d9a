"""The same tree as Spark SQL: the same rows where it can be rendered, and a refusal by name where it cannot."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import re2

from perilune.detection.kql.catalog import standard
from perilune.detection.kql.compiler import compile_query
from perilune.detection.kql.errors import KqlError
from perilune.detection.kql.java_regex import java_regex
from perilune.detection.kql.spark import Elsewhere, Rendered, render
from perilune.model.tables import TABLES, Table
from perilune.readers import Limits
from perilune.reading import read
from perilune.runners import spark, spark_tables
from perilune.store.pieces import complete
from tests.conftest import CHECKOUT
from tests.detection.kql.build import NOW, SEED_QUERY, as_set, hostile_processes, rows_of, session
from tests.runners.standalone import missing

PACKAGE = CHECKOUT / "src" / "perilune" / "content"
HUNTS = sorted((PACKAGE / "hunts").glob("*.kql"))
needs_spark = pytest.mark.skipif(bool(missing()), reason=missing() or "Spark is here")


def rendered(query: str) -> Rendered:
    return render(compile_query(query, standard(filled=True), NOW, lambda _: []))


@pytest.mark.parametrize("path", HUNTS, ids=lambda p: p.stem)
def test_every_hunt_of_the_pack_can_be_rendered(path: Path) -> None:
    plan = compile_query(path.read_text(encoding="utf-8"), standard(filled=True), NOW, lambda _: [], trace=True)
    sql = render(plan).sql
    assert sql.startswith("WITH q0 AS (SELECT") and "`$row`" in sql


def test_the_statement_is_sparks_and_quotes_what_comes_from_the_query() -> None:
    sql = rendered(
        r"""DeviceProcessEvents | where FileName contains @"a'b\c" and ProcessId in (1, 2) | project FileName"""
    ).sql
    assert r"`FileName` RLIKE '(?iu)a\\\'b\\\\c' AND" in sql
    assert "`ProcessId` IN (" in sql and '"' not in sql


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("DeviceProcessEvents | make-series c=count() on Timestamp from ago(1d) to now() step 1h", ""),
        ("DeviceProcessEvents | extend a = parse_json(AdditionalFields).x", "function"),
        ("DeviceProcessEvents | where FileName matches regex @'(?P<x>a)'", "named group"),
        ("DeviceProcessEvents | where FileName matches regex @'(?s)a.b'", r"\(\?s\)"),
        (r"DeviceProcessEvents | where FileName matches regex @'\p{Greek}'", "Greek"),
        (r"DeviceProcessEvents | where FileName matches regex @'(?i)straße'", "ß"),
        ("DeviceProcessEvents | summarize p = percentile(ProcessId, 95)", ""),
    ],
)
def test_what_has_no_counterpart_is_refused_by_name(query: str, named: str) -> None:
    with pytest.raises(KqlError, match=rf"{named}.*(cannot be rendered)"):
        rendered(query)


@pytest.mark.parametrize(
    ("pattern", "java"),
    [
        ("a$", r"a\z"),
        ("a.b", r"a[^\n]b"),
        ("(?i)x", "(?iu)x"),
        (r"\s[\s]\S", r"[\t\n\f\r ][\t\n\f\r ][^\t\n\f\r ]"),
        ("[a[b]", r"[a\[b]"),
        ("[]a]", r"[\]a]"),
        ("[^]a]", r"[^\]a]"),
        ("[a&&b]", r"[a\&\&b]"),
        (r"[^\pL\pN]\x{e9}\.", r"[^\pL\pN]\x{e9}\."),
        ("[(?i)]", "[(?i)]"),
    ],
)
def test_patterns_become_javas(pattern: str, java: str) -> None:
    assert java_regex(pattern) == java


@pytest.fixture(scope="module")
def cluster() -> Iterator[spark.Cluster]:
    with spark.open_cluster("local[1]") as found:
        yield found


def elsewhere(cluster: spark.Cluster, folder: Path, name: str, data: pa.Table, files: int = 3) -> Elsewhere:
    """The table in some files with names that have to be quoted."""
    size = -(-len(data) // files)
    written = []
    for n, first in enumerate(range(0, len(data), size) if size else ()):
        path = folder / f"day=2026 01%20-é{n}" / "part.parquet"
        path.parent.mkdir(parents=True)
        pq.write_table(complete(name, [data.slice(first, size)]), path, row_group_size=100)
        written.append((path, first))
    spark_tables.open_table(cluster, name, TABLES[name].arrow, written, "$row")
    return Elsewhere(standard(filled=True), partial(spark_tables.ask, cluster))


@needs_spark
def test_the_seed_query_gives_the_same_rows(cluster: spark.Cluster, tmp_path: Path) -> None:
    data = hostile_processes(4_000)
    with session(DeviceProcessEvents=data) as here:
        wanted = rows_of(here.run(SEED_QUERY, NOW))
    found = rows_of(elsewhere(cluster, tmp_path, "DeviceProcessEvents", data).run(SEED_QUERY, NOW))
    assert len(wanted) > 300
    assert as_set(found) == as_set(wanted)
    assert [row[0] for row in found] == [row[0] for row in wanted]


@needs_spark
def test_the_hunts_give_the_same_rows_and_places(cluster: spark.Cluster, tmp_path: Path) -> None:
    """Over the packaged samples, all tables of them, with the event that each row comes from."""
    from perilune.detection.kql.running import open_session

    tables: dict[str, list[pa.Table]] = {
        name: [] for name in ("DeviceProcessEvents", "DeviceNetworkEvents", "DeviceFileEvents")
    }
    for item in read([PACKAGE / "samples"], Limits()):
        if isinstance(item, Table) and item.name in tables:
            tables[item.name].append(item.data)
    whole = {name: complete(name, parts) for name, parts in tables.items()}
    there = [elsewhere(cluster, tmp_path / name, name, data) for name, data in whole.items()][-1]
    now = datetime(2026, 12, 1)
    total = 0
    with open_session(whole, traced=True) as here:
        for path in HUNTS:
            one, events = here.trace(path.read_text(encoding="utf-8"), now)
            other, places = there.trace(path.read_text(encoding="utf-8"), now)
            assert sorted(zip(map(str, rows_of(other)), places, strict=True)) == sorted(
                zip(map(str, rows_of(one)), events, strict=True)
            )
            total += len(events)
    assert total > 3


@needs_spark
def test_patterns_hold_on_the_same_texts(cluster: spark.Cluster) -> None:
    """RE2 here, Java there, on what they are known to differ in."""
    patterns = [r"a$", r"a.b", r"(?i)kfs", r"\bé\b", r"x\sy", r"[^\pL\pN]lua", r"(?i)ſ|é", r"^\w+$", r"\x1b", r"[[a]+$"]
    texts = ["a", "a\n", "a\r", "a\u2028b", "a\nb", "a\rb", "KFS", "\u212afſ", "é", " é ", "x\vy", "x y", "é lua",
             "élua", "s", "ẞ", "ab_1", "é1", "\x1b[0m", "[[a", ""]  # fmt: skip
    frame = cluster.session.createDataFrame([(n, text) for n, text in enumerate(texts)], "n int, t string")
    frame.createOrReplaceTempView("texts")
    for pattern in patterns:
        literal = java_regex(pattern).replace("\\", "\\\\").replace("'", "\\'")
        held, _ = spark_tables.ask(cluster, f"SELECT n FROM texts WHERE t RLIKE '{literal}' ORDER BY n", {}, 100)
        wanted = [n for n, text in enumerate(texts) if re2.search(pattern, text)]
        assert held.column(0).to_pylist() == wanted, pattern
