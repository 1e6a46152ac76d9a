"""Measures the matcher: all Windows process rules over events that are made here, from a seed.

    python bench/match.py --rules SIGMAHQ [--quick] [--workers N] [--only NAME...]

Prints what was measured as it goes, and one line of JSON at the end. Nothing here is quoted without its command.
The events are kept in bench/out for the next run. CPU seconds are of all processes together.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import resource
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa

sys.path.insert(0, str(Path(__file__).parent))

import events
import sql
from perilune.detection import cache, matcher
from perilune.detection.plan import Plan, join
from perilune.detection.shape import shape
from perilune.model.rules import And, Expr, Not, Or, Rule, Text, Wildcard
from perilune.model.tables import Table
from perilune.runners import local, rowgroups

OUT = Path(__file__).parent / "out"
TABLE = "DeviceProcessEvents"
COLUMNS = tuple(name for name in (*events.TEXTS, *events.NUMBERS) if name not in ("DeviceName", "FileName"))
SCALE = {
    False: {"one": 1_000_000, "ten": 10_000_000, "sample": 100_000, "sampled": 40, "witness": 20_000},
    True: {"one": 100_000, "ten": 200_000, "sample": 20_000, "sampled": 15, "witness": 2_000},
}


@dataclass(frozen=True, slots=True)
class MatchPieces:
    """Matches the rules over pieces of a file; gives per rule how many rows it holds on."""

    rules: tuple[Path, ...]

    def prepare(self) -> Plan:
        return join([rule.compiled for rule in process_rules(self.rules)])

    def do(self, plan: Plan, piece: rowgroups.Piece) -> np.ndarray:
        found, _ = matcher.match(plan, rowgroups.read(piece, TABLE, COLUMNS))
        return np.bincount(found, minlength=1)


def process_rules(folders: Sequence[Path]) -> list[Rule]:
    loaded = cache.load(folders, OUT / "cache")
    return [rule for rule in loaded.rules if rule.extra["logsource"] == "windows/process_creation"]


def main() -> None:
    given = arguments()
    pa.set_cpu_count(1)
    folders = tuple(sorted(found for found in given.rules.glob("rules*") if found.is_dir())) or (given.rules,)
    scale = SCALE[given.quick]
    result: dict[str, object] = {"quick": given.quick, "cores": local.usable_cores(), "python": sys.version.split()[0]}
    started = time.perf_counter()
    rules = process_rules(folders)
    say(f"{len(rules):,} Windows process rules in {time.perf_counter() - started:.2f} s")
    plan = join([rule.compiled for rule in rules])
    result |= {"rules": len(rules)}
    files = {name: events.write(OUT / f"{name}-{rows}.parquet", recipe, rules) for name, rows, recipe in recipes(scale)}
    for name, measure in {
        "one": lambda: one_core(plan, files["one"], rules),
        "distinct": lambda: one_core(plan, files["distinct"], rules),
        "many_rules": lambda: many_rules(plan, rules, files["one"]),
        "micro": lambda: micro_batches(plan, files["one"]),
        "duckdb": lambda: against_duckdb(plan, rules, files["one"], scale),
        "sqlite": lambda: against_sqlite(plan, rules, files["witness"]),
        "ten": lambda: several_cores(folders, files["ten"], given.workers),
    }.items():
        if not given.only or name in given.only:
            result[name] = measure()
    print(json.dumps(result))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rules", type=Path, required=True, help="SigmaHQ, or any folder of Sigma rules")
    parser.add_argument("--quick", action="store_true", help="a tenth of the rows, to see that it runs")
    parser.add_argument("--workers", type=int, default=local.usable_cores())
    parser.add_argument("--only", nargs="*", default=[], help="one distinct many_rules micro duckdb sqlite ten")
    return parser.parse_args()


def recipes(scale: dict[str, int]) -> Iterator[tuple[str, int, events.Recipe]]:
    yield "one", scale["one"], events.Recipe(scale["one"])
    yield "distinct", scale["one"], events.Recipe(scale["one"], unique=1.0)
    yield "ten", scale["ten"], events.Recipe(scale["ten"])
    yield "witness", scale["witness"], events.Recipe(scale["witness"], from_rules=0.5)


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def timed(action: Callable[[], object], times: int = 5) -> tuple[float, float]:
    """CPU and wall seconds of an action, the least of several: what else the machine does only adds."""
    cpu, wall = [], []
    for _ in range(times):
        gc.collect()
        began, clock = time.process_time(), time.perf_counter()
        action()
        cpu.append(time.process_time() - began)
        wall.append(time.perf_counter() - clock)
    return min(cpu), min(wall)


def cold(plan: Plan, table: Table) -> None:
    """Matches without what is remembered of the last time."""
    plan.forget()
    matcher.match(plan, table)


def peak_mb(who: int = resource.RUSAGE_SELF) -> int:
    return resource.getrusage(who).ru_maxrss // 1024


def pieces(path: Path) -> list[rowgroups.Piece]:
    return list(rowgroups.pieces(path))


def one_core(plan: Plan, path: Path, rules: Sequence[Rule]) -> dict[str, object]:
    """Reading and matching on one core, and how it compares with only reading the same columns."""
    rows = sum(piece.rows for piece in pieces(path))
    read, _ = timed(lambda: [rowgroups.read(piece, TABLE, COLUMNS) for piece in pieces(path)])
    table = rowgroups.read(pieces(path)[0], TABLE, COLUMNS)
    evaluate, _ = timed(lambda: cold(plan, table))
    hits = len(matcher.match(plan, table)[0])
    whole = read + evaluate * rows / len(table)
    say(f"{path.stem}: read {read:.2f} s, match {evaluate:.2f} s, {rows / whole:,.0f} events/CPU s, {hits:,} hits")
    return {
        "rows": rows, "read_s": round(read, 3), "match_s": round(evaluate, 3), "hits": hits,
        "events_per_cpu_s": round(rows / whole), "event_rules_per_cpu_s": round(rows * len(rules) / whole),
        "times_the_read": round(whole / read, 2), "peak_mb": peak_mb(),
    }  # fmt: skip


def several_cores(folders: tuple[Path, ...], path: Path, workers: int) -> dict[str, object]:
    """The large set by one process and by several."""
    found: dict[str, object] = {}
    counts: list[list[int]] = []
    for number in dict.fromkeys((1, workers)):
        began, clock = os.times(), time.perf_counter()
        total = np.zeros(1, np.int64)
        for part in local.run(MatchPieces(folders), pieces(path), workers=number):
            longest = np.zeros(max(len(total), len(part)), np.int64)
            longest[: len(total)] += total
            longest[: len(part)] += part
            total = longest
        wall, ended = time.perf_counter() - clock, os.times()
        cpu = sum(after - before for after, before in zip(ended[:4], began[:4], strict=True))
        rows = sum(piece.rows for piece in pieces(path))
        memory = peak_mb(resource.RUSAGE_CHILDREN) if number > 1 else peak_mb()  # of the largest process
        say(f"{path.stem} on {number}: {wall:.1f} s, {cpu:.1f} CPU s, {rows / wall:,.0f} events/s, {memory} MB")
        found[f"workers_{number}"] = {"wall_s": round(wall, 2), "cpu_s": round(cpu, 2), "peak_mb": memory,
                                      "events_per_s": round(rows / wall), "hits": int(total.sum())}  # fmt: skip
        counts.append(total.tolist())
    assert all(each == counts[0] for each in counts), "the number of workers changed the hits"
    return found


def many_rules(plan: Plan, rules: Sequence[Rule], path: Path) -> dict[str, object]:
    """Eight times the rules: each again with other words, on the same programs."""
    table = rowgroups.read(pieces(path)[0], TABLE, COLUMNS)
    once, _ = timed(lambda: cold(plan, table))
    more = [*rules, *(_rotated(rule, turn) for turn in range(1, 8) for rule in rules)]
    large = join([shape(rule) for rule in more])
    matcher.match(large, table)  # makes the plan
    eight, _ = timed(lambda: cold(large, table))
    say(f"{len(more):,} rules: {eight:.2f} s, {eight / once:.2f} times {len(rules):,} rules")
    return {"rules": len(more), "match_s": round(eight, 3), "times": round(eight / once, 2)}


def _rotated(rule: Rule, turn: int) -> Rule:
    scopes = tuple(replace(scope, expr=_turned(scope.expr, turn)) for scope in rule.scopes)
    return replace(rule, scopes=scopes, digest=f"{rule.digest}/{turn}", compiled=None)


def _turned(expr: Expr, turn: int) -> Expr:
    match expr:
        case And(of=parts):
            return And(tuple(_turned(part, turn) for part in parts))
        case Or(of=parts):
            return Or(tuple(_turned(part, turn) for part in parts))
        case Not(of=inner):
            return Not(_turned(inner, turn))
        case Text(field=field, parts=parts) if "CommandLine" in field.column:
            return replace(expr, parts=tuple(p if isinstance(p, Wildcard) else _turn(p, turn) for p in parts))
        case _:
            return expr


def _turn(text: str, turn: int) -> str:
    """Another word of the same length and letters."""
    at = turn % len(text) if text else 0
    return text[at:] + text[:at] if len(text) > turn else text + str(turn)


def micro_batches(plan: Plan, path: Path, size: int = 1000, count: int = 200) -> dict[str, object]:
    """Batches of a thousand events, as a live source gives them: plain columns, nothing kept between them."""
    names = list(COLUMNS)
    whole = rowgroups.read(pieces(path)[0], TABLE, names).data
    plain = pa.table({n: whole[n].cast(pa.string()) if n in events.TEXTS else whole[n] for n in names})
    took, cpu = [], []
    for at in range(min(count, len(plain) // size)):
        batch = Table(TABLE, plain.slice(at * size, size))
        began, clock = time.process_time(), time.perf_counter()
        matcher.match(plan, batch)
        took.append((time.perf_counter() - clock) * 1000)
        cpu.append((time.process_time() - began) * 1000)
    (p50, p99), (cpu50, cpu99) = np.percentile(took[5:], [50, 99]), np.percentile(cpu[5:], [50, 99])
    say(f"batches of {size:,}: median {p50:.1f} ms ({cpu50:.1f} CPU), 99th percentile {p99:.1f} ms ({cpu99:.1f} CPU)")
    return {"rows": size, "p50_ms": round(float(p50), 1), "p99_ms": round(float(p99), 1),
            "cpu_p50_ms": round(float(cpu50), 1), "cpu_p99_ms": round(float(cpu99), 1)}  # fmt: skip


def against_duckdb(plan: Plan, rules: Sequence[Rule], path: Path, scale: dict[str, int]) -> dict[str, object]:
    """One SQL query per rule, over a sample of rows and of rules, in the same run; the hits must be the same."""
    table = Table(TABLE, rowgroups.read(pieces(path)[0], TABLE, COLUMNS).data.slice(0, scale["sample"]))
    found, where = matcher.match(plan, table)
    chosen = [(at, rule) for at, rule in enumerate(rules) if sql.is_expressible(rule)]
    chosen = chosen[:: max(1, len(chosen) // scale["sampled"])]
    database = sql.Database(table)
    different, began = [], time.process_time()
    for at, rule in chosen:
        if database.rows(rule) != where[found == at].tolist():
            different.append(rule.title)
    per_rule = (time.process_time() - began) / len(chosen)
    ours, _ = timed(lambda: matcher.match(plan, table))
    factor = per_rule * len(rules) / ours
    say(f"DuckDB: {per_rule * 1000:.1f} ms per rule and {len(table):,} rows, {factor:.0f} times ours; {different=}")
    assert not different, different
    return {"rows": len(table), "rules": len(chosen), "ms_per_rule": round(per_rule * 1000, 2),
            "times_ours": round(factor), "different": different}  # fmt: skip


def against_sqlite(plan: Plan, rules: Sequence[Rule], path: Path) -> dict[str, object]:
    """The hits of every rule beside those of pySigma's own SQLite backend; half of the rows are made from the rules."""
    import sqlite

    table = sqlite.comparable(rowgroups.read(pieces(path)[0], TABLE, COLUMNS))
    found, where = matcher.match(plan, table)
    database = sqlite.Database(table)
    theirs = [(at, rule, database.rows(rule)) for at, rule in enumerate(rules)]
    compared = [(rule, hits, where[found == at].tolist()) for at, rule, hits in theirs if hits is not None]
    different = [rule.title for rule, hits, ours in compared if hits != ours]
    hit = sum(bool(ours) for *_, ours in compared)
    say(f"SQLite: {len(compared):,} of {len(rules):,} rules on {len(table):,} rows, {hit:,} with hits; {different=}")
    return {"rows": len(table), "rules": len(compared), "different": different}


if __name__ == "__main__":
    main()
