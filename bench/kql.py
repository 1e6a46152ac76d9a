"""The first hunt of this project, the Lua query, as KQL by our engine, as SQL by hand, and by `duckdb-kql`.

    python bench/kql.py [--quick] [--rows N] [--rounds N]

All three read the same process events in memory (Arrow, made from a seed) and must find the same rows. Each part runs
in a process of its own, and the least CPU time of its rounds counts; reading the file is not in it. The last line is
one JSON object: `over_hand_sql` should be at most 1.2 and `under_duckdb_kql` at least 6.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

OUT = Path(__file__).parent / "out"
START = datetime(2026, 1, 5, tzinfo=UTC)
SPAN = timedelta(hours=48)  # half of the events are within the query's 24 hours
NOW = datetime(2026, 1, 7)
ROW_GROUP = 500_000

QUERY = (Path(__file__).parents[1] / "tests" / "detection" / "kql" / "lua_hunt.kql").read_text(encoding="utf-8")
EDGE = r"[^\pL\pN]"
HAND = rf"""
SELECT "Timestamp", "DeviceName", "AccountName", "FileName", "ProcessCommandLine", "InitiatingProcessFileName",
  "InitiatingProcessCommandLine",
  regexp_matches("ProcessCommandLine", '(?i)(?:^|{EDGE})(?:os\.execute\(|io\.popen\()') AS "OsExec",
  regexp_matches("ProcessCommandLine",
    '(?i)(?:^|{EDGE})(?:socket\.tcp|socket\.connect|http\.request)(?:{EDGE}|$)') AS "NetworkActivity",
  regexp_matches("ProcessCommandLine", '(?i)(?:^|{EDGE})(?:loadstring\(|loadfile\(|dofile\()') AS "DynamicLoad",
  regexp_matches("ProcessCommandLine", '(?i)\\Temp\\|/tmp/|(?:^|{EDGE})AppData(?:{EDGE}|$)') AS "ScriptFromTemp"
FROM "DeviceProcessEvents"
WHERE "Timestamp" > TIMESTAMP '2026-01-06 00:00:00'
  AND (regexp_matches("FileName", '(?i)(?:^|{EDGE})(?:lua|luajit|luac)(?:{EDGE}|$)')
    OR regexp_matches("ProcessCommandLine", '(?i)(?:^|{EDGE})(?:(?:lua\.exe|lua5|luajit|luac|socket\.tcp|'
      || 'socket\.connect|http\.request|ltn12\.pump)(?:{EDGE}|$)|dofile\(|loadfile\(|loadstring\(|require\(|'
      || 'os\.execute\(|io\.popen\(|os\.remove\(|os\.rename\(|io\.open\()|\.lua(?:{EDGE}|$)'))
ORDER BY "Timestamp" DESC
"""

_PROGRAMS = (
    ("svchost.exe", "C:\\Windows\\System32\\svchost.exe -k netsvcs -p -s {word}{n}"),
    (
        "chrome.exe",
        '"C:\\Program Files\\Google\\Chrome\\Application\\chrome.exe" --type=renderer --client={n} --x={hex}',
    ),
    ("powershell.exe", 'powershell.exe -NoProfile -File "C:\\Scripts\\{word}{n}.ps1" -Id {hex}'),
    ("cmd.exe", 'C:\\Windows\\system32\\cmd.exe /c "C:\\Users\\u{n}\\AppData\\Local\\{word}\\{word}.bat" {n}'),
    ("msiexec.exe", "C:\\Windows\\system32\\msiexec.exe /V"),
    ("python.exe", "python.exe C:\\tools\\{word}\\{word}{n}.py --config {hex}.ini"),
    ("git.exe", "git.exe fetch origin {hex} --depth {n}"),
    ("bash", "/bin/bash -c 'cd /tmp/{word}{n} && make -j4 {word}'"),
)
_LUA = (
    ("lua.exe", "C:\\tools\\lua.exe C:\\Temp\\{word}{n}.lua"),
    ("lua5.4", "lua5.4 -e \"os.execute('id {n}')\""),
    ("luajit", "luajit -e 'require(\"socket\") local s = socket.tcp() --{n}'"),
    ("svchost32.exe", "svchost32.exe readme{n}.txt"),
    ("node.exe", "node.exe -e \"require('fs')\" {n}"),
)
_WORDS = "inventory report update agent backup sync monitor printer billing cache index audit health".split()


def make(path: Path, rows: int) -> None:
    """The events, written once. A quarter of the command lines are distinct; three in a thousand are Lua's."""
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    chance, rng = random.Random(1059), np.random.default_rng(1059)
    pool = [_filled(chance, _LUA if chance.random() < 0.003 else _PROGRAMS) for _ in range(max(rows // 4, 100))]
    names = pa.array([name for name, _ in pool])
    commands = pa.array([command for _, command in pool])
    partial = path.with_suffix(".partial")
    schema = pa.schema([("Timestamp", pa.timestamp("us", "UTC")), *[(n, pa.string()) for n in (
        "DeviceName", "AccountName", "FileName", "ProcessCommandLine", "InitiatingProcessFileName",
        "InitiatingProcessCommandLine")]])  # fmt: skip
    with pq.ParquetWriter(partial, schema, compression="zstd") as writer:
        for start in range(0, rows, ROW_GROUP):
            count = min(ROW_GROUP, rows - start)
            own, parent = (pa.array(rng.integers(0, len(pool), count)) for _ in range(2))
            step = SPAN.total_seconds() * 1e6 / rows
            micros = (START.timestamp() * 1e6 + (np.arange(start, start + count) + 1) * step).astype(np.int64)
            host = rng.integers(0, 400, count)
            arrays = [
                pa.array(micros).cast(pa.timestamp("us", "UTC")),
                pa.array([f"pc{n:04}.example.org" for n in range(400)]).take(pa.array(host)),
                pa.array([f"user{n}" for n in range(300)]).take(pa.array(host % 300)),
                names.take(own), commands.take(own), names.take(parent), commands.take(parent),
            ]  # fmt: skip
            writer.write_table(pa.table(arrays, schema=schema))
    partial.rename(path)


def _filled(chance: random.Random, programs: tuple[tuple[str, str], ...]) -> tuple[str, str]:
    name, command = chance.choice(programs)
    holes = {"word": chance.choice(_WORDS), "n": chance.randrange(30_000), "hex": f"{chance.getrandbits(64):x}"}
    return name, command.format(**holes)


def ours(data: pa.Table) -> tuple[int, float]:
    from perilune.detection.kql.running import Limits, open_session

    with open_session({"DeviceProcessEvents": data}, Limits(seconds=600, rows=10_000_000)) as session:
        return _timed(lambda: session.run(QUERY, NOW).data)


def hand(data: pa.Table) -> tuple[int, float]:
    connection = _duckdb(data)
    return _timed(lambda: connection.execute(HAND).to_arrow_table())


def duckdb_kql(data: pa.Table) -> tuple[int, float]:
    import duckdb_kql as other

    connection = _duckdb(data)
    schema = {"DeviceProcessEvents": list(data.column_names)}
    query = QUERY.replace("ago(24h)", "datetime(2026-01-06)")  # it has no clock that can be set
    return _timed(lambda: connection.execute(other.to_sql(query, schema=schema)).to_arrow_table())


def _duckdb(data: pa.Table):
    import duckdb

    connection = duckdb.connect(":memory:")
    connection.execute("SET TimeZone = 'UTC'")
    fields = [pa.field(f.name, pa.timestamp("us")) if pa.types.is_timestamp(f.type) else f for f in data.schema]
    connection.register("DeviceProcessEvents", data.cast(pa.schema(fields)))
    return connection


def _timed(run: Callable[[], pa.Table]) -> tuple[int, float]:
    start = time.process_time()
    found = run()
    return found.num_rows, time.process_time() - start


PARTS = {"ours": ours, "hand": hand, "duckdb_kql": duckdb_kql}


def part(name: str, path: Path) -> None:
    rows, cpu = PARTS[name](pq.read_table(path))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(json.dumps({"rows": rows, "cpu": cpu, "peak_mb": peak}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="300,000 events instead of 10 million")
    parser.add_argument("--rows", type=int)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--part", choices=PARTS)
    parser.add_argument("--data", type=Path)
    given = parser.parse_args()
    if given.part:
        part(given.part, given.data)
        return
    rows = given.rows or (300_000 if given.quick else 10_000_000)
    path = OUT / f"kql-{rows}.parquet"
    make(path, rows)
    best: dict[str, float] = {}
    found: dict[str, int] = {}
    for _ in range(given.rounds):
        for name in PARTS:
            command = [sys.executable, __file__, "--part", name, "--data", str(path)]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            result = json.loads(done.stdout)
            best[name] = min(result["cpu"], best.get(name, 1e9))
            found[name] = result["rows"]
            print(f"{name:12} {result['cpu']:8.2f} CPU s  {result['rows']:,} rows  {result['peak_mb']:,} MB")
    assert len(set(found.values())) == 1, f"the engines disagree: {found}"
    figures = {f"{name}_cpu_s": round(cpu, 3) for name, cpu in best.items()}
    ratios = {
        "over_hand_sql": round(best["ours"] / best["hand"], 2),
        "under_duckdb_kql": round(best["duckdb_kql"] / best["ours"], 1),
    }
    print(json.dumps({"bench": "kql", "events": rows, "found": found["ours"], **figures, **ratios}))


if __name__ == "__main__":
    main()
