"""What a hunt over Parquet costs on Spark workers, and that it finds what one process finds, row by row.

    python bench/spark.py [--rows 5000000] [--rules FOLDER] [--workers 1 2] [--out bench/out]

Starts a standalone master with so many workers of one core each on loopback, matches all events there, twice (the
first time everything begins), and compares each rule's rows with those of one process that reads the same file the
ordinary way. CPU is that of the driver, its JVM, the master, the workers and their Python. Needs `perilune[spark]`
and Java. Ends with one line of JSON.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import resource
import sys
import tempfile
import time
from functools import partial
from itertools import chain
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.runners.standalone import cpu_of, missing, standalone

import events
from perilune import pipeline, readers, reading, sweeping
from perilune.detection import cache, matching
from perilune.model.rules import RuleSet
from perilune.model.tables import Table
from perilune.runners import local, spark

Rows = dict[int, np.ndarray]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=5_000_000)
    parser.add_argument("--rules", type=Path, action="append", default=[], help="Sigma rules besides the pack")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "out")
    parser.add_argument("--local-only", action="store_true")
    parser.add_argument("--spark-only", action="store_true", help="compare with one process by shares alone")
    options = parser.parse_args()
    if not options.local_only and (why := missing()):
        sys.exit(why)
    loaded = pipeline.select(pipeline.load_rules(options.rules, cache=options.out / "cache"), pipeline.Choice())
    rules = RuleSet(tuple(r for r in loaded.rules if "kql" not in r.extra and r.scopes))
    path = events.write(options.out / f"events-{options.rows}.parquet", events.Recipe(options.rows), rules.rules)
    found = sweeping.find([path], readers.Limits())
    size = path.stat().st_size / 1e6
    print(f"{options.rows:,} events, {len(rules.rules):,} rules, {len(found.all)} shares, {size:,.0f} MB")
    figures = []
    if not options.spark_only:
        figures.append(measured("one process, read as ever", partial(whole, rules, path)))
    for number in (1,) if options.spark_only else (1, 2):
        run = partial(local.run, workers=number)
        figures.append(measured(f"{number} process{'es' * (number > 1)} by shares", partial(swept, rules, found, run)))
    for number in () if options.local_only else options.workers:
        figures += on_spark(number, rules, found)
    finish(options.rows, len(rules.rules), figures)


def on_spark(workers: int, rules: RuleSet, found: sweeping.Found) -> list[dict[str, object]]:
    with tempfile.TemporaryDirectory() as folder, standalone(Path(folder), workers) as cluster:
        before, begun = cpu_of(os.getpid()), time.perf_counter()
        with spark.open_cluster(cluster.master) as session:
            run = partial(spark.run, session)
            name = f"Spark, {workers} worker{'s' * (workers > 1)}"
            first = sweeping.Sweeping(cache.dumps(compiled(rules)[0]))
            list(run(first, found.all[:workers]))  # so that the workers have begun
            wall, cpu = time.perf_counter() - begun, cpu_of(os.getpid()) - before
            print(f"{name}: session and first job {wall:.1f} s, {cpu:.1f} s CPU")
            rounds = [measured(f"{name}, round {n}", partial(swept, rules, found, run)) for n in (1, 2)]
    return rounds


def measured(name: str, work: partial[Rows]) -> dict[str, object]:
    cpu, wall = cpu_of(os.getpid()), time.perf_counter()
    rows = work()
    wall, cpu = time.perf_counter() - wall, cpu_of(os.getpid()) - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    figures = {"name": name, "wall_s": round(wall, 1), "cpu_s": round(cpu, 1), "driver_peak_mb": round(peak)}
    count = sum(map(len, rows.values()))
    print(f"{name:>30}: wall {wall:6.1f} s, CPU {cpu:6.1f} s, {count:,} matches {digest(rows)}", flush=True)
    return {**figures, "rows": rows}


def digest(rows: Rows) -> str:
    """The same for the same rows of the same rules."""
    found = hashlib.blake2b(digest_size=8)
    for number in sorted(rows):
        found.update(number.to_bytes(4, "little") + rows[number].astype(np.int64).tobytes())
    return found.hexdigest()


def whole(rules: RuleSet, path: Path) -> Rows:
    """Each rule's rows as an ordinary hunt has them: read in small batches, gathered, matched."""
    parts: dict[int, list[np.ndarray]] = {}
    first = 0
    plain, numbers = compiled(rules)
    gathering = matching.Gathering()
    tables = (item for item in reading.read([path]) if isinstance(item, Table))
    for batch in chain((one for table in tables for one in gathering.add(table)), gathering.rest()):
        found, rows = matching.places(plain, batch)
        add(parts, numbers, found, rows + first)
        first += len(batch)
    return joined(parts)


def compiled(rules: RuleSet) -> tuple[RuleSet, list[int]]:
    """Those that are tried on rows, and their numbers among all."""
    numbers = [number for number, rule in enumerate(rules.rules) if rule.compiled is not None]
    return RuleSet(tuple(rules.rules[number] for number in numbers)), numbers


def add(parts: dict[int, list[np.ndarray]], numbers: list[int], found: np.ndarray, rows: np.ndarray) -> None:
    order = np.argsort(found, kind="stable")
    found, rows = found[order], rows[order]
    begins = np.flatnonzero(np.diff(found, prepend=-1))
    for begin, end in zip(begins, [*begins[1:], len(found)], strict=True):
        parts.setdefault(numbers[found[begin]], []).append(rows[begin:end])


def joined(parts: dict[int, list[np.ndarray]]) -> Rows:
    return {number: np.unique(np.concatenate(rows)) for number, rows in parts.items()}


def swept(rules: RuleSet, found: sweeping.Found, run: sweeping.Run) -> Rows:
    """Each rule's rows as workers give them, share by share."""
    parts: dict[int, list[np.ndarray]] = {}
    first = 0
    plain, numbers = compiled(rules)
    for item in sweeping.sweep(plain, found, run):
        if isinstance(item, sweeping.Swept):
            add(parts, numbers, item.rules, item.rows + first)
            first += item.share.rows
    return joined(parts)


def finish(rows: int, rules: int, figures: list[dict[str, object]]) -> None:
    wanted = figures[0].pop("rows")
    same = True
    for one in figures[1:]:
        found = one.pop("rows")
        assert isinstance(found, dict) and isinstance(wanted, dict)
        equal = found.keys() == wanted.keys() and all(np.array_equal(found[n], wanted[n]) for n in wanted)
        same = same and equal
        print(f"{one['name']!s:>30}: " + ("the same rows of every rule" if equal else "OTHER ROWS"))
    best = {
        str(one["name"]).split(", round")[0]: one for one in sorted(figures, key=lambda one: -float(str(one["wall_s"])))
    }
    one, two = best.get("Spark, 1 worker"), best.get("Spark, 2 workers")
    result: dict[str, object] = {"bench": "spark", "rows": rows, "rules": rules, "same": same, "runs": figures}
    if one and two:
        result["cpu_ratio"] = round(float(str(two["cpu_s"])) / float(str(one["cpu_s"])), 3)
        result["wall_ratio"] = round(float(str(one["wall_s"])) / float(str(two["wall_s"])), 2)
    print(json.dumps(result))
    if not same:
        sys.exit(1)


if __name__ == "__main__":
    main()
