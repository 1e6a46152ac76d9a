"""What a hunt costs: CPU seconds, events per CPU second, peak memory; the baseline is the reading alone.

    python bench/hunt.py [--quick] [PATH...]

Without paths it hunts over the bundled samples, `--quick` once and else five times. Ends with one line of JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("paths", nargs="*", type=Path)
    parser.add_argument("--quick", action="store_true", help="one round")
    parser.add_argument("--part", choices=["read", "hunt"], help=argparse.SUPPRESS)
    options = parser.parse_args()
    paths = options.paths or [Path(str(files("perilune") / "content" / "samples"))]
    if options.part:
        print(json.dumps(measure(options.part, paths)))
        return
    rounds = 1 if options.quick else 5
    results = {part: best(part, paths, rounds) for part in ("read", "hunt")}
    for part, figures in results.items():
        print(f"{part:>5}: " + "  ".join(f"{name} {value:,}" for name, value in figures.items()))
    start_up = min(help_seconds() for _ in range(1 if options.quick else 5))
    print(f" help: wall_s {start_up:.3f}")
    ratio = results["hunt"]["cpu_s"] / max(results["read"]["cpu_s"], 1e-9)
    print(
        json.dumps(
            {"bench": "hunt", "rounds": rounds, **results, "hunt_over_read": round(ratio, 2), "help_s": start_up}
        )
    )


def help_seconds() -> float:
    """The wall time of `perilune --help` as a user waits for it."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-m", "perilune", "--help"], check=True, capture_output=True)
    return round(time.perf_counter() - start, 3)


def best(part: str, paths: list[Path], rounds: int) -> dict[str, float]:
    """The round with the least CPU; each in a process of its own, so that memory is the part's own."""
    return min((one_round(part, paths) for _ in range(rounds)), key=lambda figures: figures["cpu_s"])


def one_round(part: str, paths: list[Path]) -> dict[str, float]:
    command = [sys.executable, __file__, "--part", part, *map(str, paths)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=os.environ)
    figures: dict[str, float] = json.loads(done.stdout)
    return figures


def measure(part: str, paths: list[Path]) -> dict[str, float]:
    wall, cpu = time.perf_counter(), time.process_time()
    records, findings = PARTS[part](paths)
    cpu = time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {
        "records": records,
        "findings": findings,
        "cpu_s": round(cpu, 3),
        "wall_s": round(time.perf_counter() - wall, 3),
        "records_per_cpu_s": round(records / max(cpu, 1e-9)),
        "peak_mb": round(peak / 1e6, 1),
    }


def read_only(paths: list[Path]) -> tuple[int, int]:
    from perilune import readers
    from perilune.model.sources import SourceReport

    records = 0
    for item in readers.read(paths, readers.Limits()):
        if isinstance(item, SourceReport):
            records += item.records
    return records, 0


def whole_hunt(paths: list[Path]) -> tuple[int, int]:
    import perilune

    found = perilune.hunt(paths)
    return sum(source.records for source in found.sources), len(found.findings)


PARTS: dict[str, Callable[[list[Path]], tuple[int, int]]] = {"read": read_only, "hunt": whole_hunt}

if __name__ == "__main__":
    main()
