"""What learning a history costs, beside a bare read of the same columns.

    python bench/baseline.py [--quick] [--rows N] [--rounds N] [--jobs N]

The events are made from a seed (`events.py`); about a tenth of them are runs of interpreters. `read` reads the columns
that a build needs and does nothing with them; `build` learns a history from nothing; `again` builds from the same
events once more, all of which it knows by then. Each runs in a process of its own, and the least CPU time of its rounds
counts, that of its worker processes with it; `peak_mb` is the largest process. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

import events

OUT = Path(__file__).parent / "out"
PARTS = ("read", "build", "again")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="300,000 events, one round")
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--part", choices=(*PARTS, "write"), help=argparse.SUPPRESS)
    parser.add_argument("--data", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--history", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.part == "write":
        write(options.rows)
        return
    if options.part:
        print(json.dumps(measure(options.part, options.data, options.history, options.jobs)))
        return
    rows, rounds = (300_000, 1) if options.quick else (options.rows, options.rounds)
    # in a process of its own too: the kernel counts a parent's memory as its child's peak
    subprocess.run([sys.executable, __file__, "--part", "write", "--rows", str(rows)], check=True)
    data = OUT / f"baseline-{rows}.parquet"
    results = run(data, rounds, options.jobs)
    for name, figures in results.items():
        print(f"{name:>6}: " + "  ".join(f"{key} {value:,}" for key, value in figures.items()))
    over = round(results["build"]["cpu_s"] / max(results["read"]["cpu_s"], 1e-9), 2)
    print(json.dumps({"bench": "baseline", "rows": rows, "jobs": options.jobs, **results, "build_over_read": over}))


def write(rows: int) -> None:
    """The events as Perilune's own Parquet; kept when it is there."""
    from perilune.model.tables import COLUMNS
    from perilune.store.parquet import MARK

    path = OUT / f"baseline-{rows}.parquet"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        names = ("Timestamp", *events.TEXTS, *events.NUMBERS, "XSourceRecord")
        schema = pa.schema([(n, COLUMNS[n]) for n in names]).with_metadata({MARK: b"DeviceProcessEvents"})
        partial = path.with_suffix(".partial")
        with pq.ParquetWriter(partial, schema, compression="zstd", dictionary_pagesize_limit=16 << 20) as writer:
            for batch in events.batches(events.Recipe(rows), ()):
                writer.write_table(batch.cast(schema.remove_metadata()).replace_schema_metadata(schema.metadata))
        partial.rename(path)


def run(data: Path, rounds: int, jobs: int) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = {}
    for _ in range(rounds):
        folder = Path(tempfile.mkdtemp(prefix="perilune-bench-"))
        try:
            for part in PARTS:
                figures = one_round(part, data, folder, jobs)
                if part not in found or figures["cpu_s"] < found[part]["cpu_s"]:
                    found[part] = figures
        finally:
            shutil.rmtree(folder)
    return found


def one_round(part: str, data: Path, folder: Path, jobs: int) -> dict[str, float]:
    command = [sys.executable, __file__, "--part", part, "--data", data, "--history", folder, "--jobs", str(jobs)]
    done = subprocess.run([*map(str, command)], check=True, capture_output=True, text=True)
    figures: dict[str, float] = json.loads(done.stdout)
    return figures


def measure(part: str, data: Path, folder: Path, jobs: int) -> dict[str, float]:
    wall = time.perf_counter()
    count, runs = WORK[part](data, folder, jobs)
    wall = time.perf_counter() - wall
    both = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    cpu = sum(one.ru_utime + one.ru_stime for one in both)
    return {
        "events": count,
        "runs": runs,
        "cpu_s": round(cpu, 2),
        "wall_s": round(wall, 2),
        "events_per_cpu_s": round(count / max(cpu, 1e-9)),
        "peak_mb": round(max(one.ru_maxrss for one in both) * 1024 / 1e6, 1),
    }


def read_only(data: Path, folder: Path, jobs: int) -> tuple[int, int]:
    from perilune.investigation.observing import COLUMNS, TABLE
    from perilune.runners import rowgroups

    return sum(len(rowgroups.read(piece, TABLE, COLUMNS)) for piece in rowgroups.pieces(data, rows=1 << 19)), 0


def build(data: Path, folder: Path, jobs: int) -> tuple[int, int]:
    from perilune import learning

    done = learning.build([data], folder, workers=jobs)
    return done.events, done.runs


WORK: dict[str, Callable[[Path, Path, int], tuple[int, int]]] = {"read": read_only, "build": build, "again": build}

if __name__ == "__main__":
    main()
