"""A case worked through on a busy host: trees, facts, answers, verdict, from findings and rows in memory.

    python bench/triage.py [--quick] [--rows N] [--rounds N]

The rows are the bundled Windows intrusion among N events of the same host and days (process starts, connections, file
and registry events, from a seed; 100,000 unless told). Reading and matching are done before the clock starts; what is
timed is everything after it: `casework.investigate`. The least CPU time of the rounds counts. The last line is one JSON
object: `seconds` should be under 2.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from importlib.resources import files
from pathlib import Path

import pyarrow as pa

from perilune import casework, pipeline
from perilune.model.case import Case
from perilune.model.findings import Judged
from perilune.model.tables import COLUMNS, Table
from perilune.store.spool import Spool

HOST = "FIN-PC-12.halvorsen.example"
LIMIT = 2.0
_PROGRAMS = ("svchost.exe", "conhost.exe", "chrome.exe", "msedge.exe", "taskhostw.exe", "dllhost.exe", "OUTLOOK.EXE")
_SHARES = (("DeviceProcessEvents", 0.4), ("DeviceNetworkEvents", 0.3), ("DeviceFileEvents", 0.2),
           ("DeviceRegistryEvents", 0.1))  # fmt: skip


@dataclass(frozen=True, slots=True)
class Ready:
    """A hunt's state just before its cases are made."""

    judged: Judged
    spool: Spool


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="one round")
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    ready = prepare(given.rows)
    times, cases = [], ()
    for _ in range(1 if given.quick else given.rounds):
        begun = time.process_time()
        cases, _ = casework.investigate(ready.judged, ready.spool, ())
        times.append(time.process_time() - begun)
    print(json.dumps(figures(given.rows, min(times), cases, ready)))


def figures(rows: int, seconds: float, cases: Sequence[Case], ready: Ready) -> dict[str, object]:
    answers = cases[0].answers
    return {
        "rows": sum(ready.spool.rows.values()),
        "wanted_rows": rows,
        "findings": len(ready.judged.findings),
        "cases": len(cases),
        "answers": len(answers),
        "unknown": sum(answer.said == "unknown" for answer in answers),
        "seconds": round(seconds, 3),
        "holds": seconds < LIMIT and cases[0].score >= 70,
    }


def prepare(rows: int) -> Ready:
    """The intrusion and the rows around it in a spool, and the findings of the pack on them."""
    sample = files("perilune") / "content" / "samples" / "windows-sysmon.jsonl"
    found = pipeline.hunt([Path(str(sample))])
    for name, share in _SHARES:
        found.spool.add(_made(name, int(rows * share)))
    return Ready(Judged(found.findings, found.explained, found.cut), found.spool)


def _made(name: str, count: int) -> Table:
    """Rows of one table: a month of an ordinary desk, half of it on the day of the intrusion."""
    rng = random.Random(f"{name}{count}")
    day = datetime.fromisoformat("2026-11-18T00:00:00+00:00")
    rows = []
    for number in range(count):
        at = day + timedelta(seconds=rng.uniform(0, 86_400), days=0 if number % 2 else -rng.randrange(30))
        program = rng.choice(_PROGRAMS)
        rows.append({
            "Timestamp": at, "DeviceName": HOST, "XPlatform": "windows", "InitiatingProcessFileName": program,
            "InitiatingProcessFolderPath": f"C:\\Windows\\System32\\{program}",
            "InitiatingProcessId": rng.randrange(4, 30_000),
            "XSourceFile": f"made-{name}", "XSourceRecord": number, **_own(name, rng, number),
        })  # fmt: skip
    rows.sort(key=lambda row: row["Timestamp"])
    names = list(rows[0])
    return Table(name, pa.Table.from_pylist(rows, schema=pa.schema([(n, COLUMNS[n]) for n in names])))


def _own(name: str, rng: random.Random, number: int) -> dict[str, object]:
    if name == "DeviceProcessEvents":
        program = rng.choice(_PROGRAMS)
        return {"ActionType": "ProcessCreated", "ProcessId": rng.randrange(4, 30_000), "FileName": program,
                "FolderPath": f"C:\\Windows\\System32\\{program}", "AccountName": "lea.brandt",
                "ProcessCommandLine": f"{program} -k netsvcs -p -s job{rng.randrange(4000)}"}  # fmt: skip
    if name == "DeviceNetworkEvents":
        return {"ActionType": "ConnectionSuccess", "RemoteIP": f"198.18.{rng.randrange(256)}.{rng.randrange(256)}",
                "RemotePort": 443, "XInitiated": True}  # fmt: skip
    if name == "DeviceFileEvents":
        path = f"C:\\Users\\lea.brandt\\AppData\\Local\\Cache\\f{number % 9000}.tmp"
        return {"ActionType": "FileCreated", "FolderPath": path, "FileName": path.rsplit("\\", 1)[1]}
    key = f"HKU\\S-1-5-21\\SOFTWARE\\App{number % 500}\\Window"
    return {
        "ActionType": "RegistryValueSet",
        "RegistryKey": key,
        "RegistryValueName": "Left",
        "RegistryValueData": str(number),
    }


if __name__ == "__main__":
    main()
