"""Kills a watcher again and again while programs start at full speed: nothing is lost, nothing is there twice.

    python -m tests.service.live.chaos [--executions 20000] [--kills 20] [--seed 1]

The kernel's audit is read a second time beside the watcher: what that reader saw must be in the lake, each event once,
and each of its marked programs must be one finding. A file of JSON lines grows at the same time. As root.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq

from perilune import readers
from perilune.model.tables import Table
from perilune.service.netlink import executions, record
from perilune.store.events import reading
from tests.service.live.build import RULES, lines

EVERY = 10  # of so many executions one is marked
NAME = "DeviceProcessEvents"
Event = tuple[object, object, object]


class Witness(threading.Thread):
    """Reads the kernel's records beside the watcher and writes them down."""

    def __init__(self, path: Path) -> None:
        super().__init__(daemon=True)
        self.path = path
        self.ready, self.enough = threading.Event(), threading.Event()
        self.losses = ""

    def run(self) -> None:
        with record(executions()) as recording, self.path.open("w", encoding="utf-8") as out:
            self.ready.set()
            while not self.enough.is_set():
                out.writelines(f"{line}\n" for line in recording.read(0.2))
            while more := recording.read(0.5):
                out.writelines(f"{line}\n" for line in more)
            self.losses = str(recording.losses())


def lua() -> str | None:
    return shutil.which("lua5.4") or shutil.which("lua5.3") or shutil.which("lua5.1")


def execute(first: int, count: int) -> None:
    """Starts programs as fast as this machine can, each marked one with a number of its own."""
    interpreter = lua()
    assert interpreter, "no Lua interpreter"
    running: list[int] = []
    for number in range(first, first + count):
        if number % EVERY == 0:
            arguments = [interpreter, "-e", f"local mark = 'os.execute {number}'"]
        elif number % 2:
            arguments = [interpreter, "-e", f"local number = {number}"]
        else:
            arguments = ["/bin/sh", "-c", f"true local number {number}"]
        running.append(os.posix_spawn(arguments[0], arguments, {}))
        while len(running) >= 4:
            os.waitpid(running.pop(0), 0)
    for one in running:
        os.waitpid(one, 0)


def start(home: Path, log: Path, rule: Path, *more: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "perilune", "watch", "audit:?records=executions", str(log), "--no-pack",
               "--rules", str(rule), "--quiet", *more]  # fmt: skip
    return subprocess.Popen(command, env={**os.environ, "PERILUNE_HOME": str(home)}, stdout=subprocess.DEVNULL)


def run(folder: Path, count: int, kills: int, seed: int) -> dict[str, object]:
    """One trial; what was expected and what was found."""
    chance = random.Random(seed)
    home, log, rule = folder / "home", folder / "app.jsonl", folder / "rule.yml"
    ours = RULES.replace("Image|endswith: /lua5.4", "Image|contains: lua5")
    rule.write_text(ours.replace("contains: os.execute", "contains: ['local mark', 'execute(\"id ']"), encoding="utf-8")
    log.touch()
    watcher = start(home, log, rule)
    _until(lambda: (home / "lake" / "spool" / "audit" / "recorder.json").exists(), watcher)
    witness = Witness(folder / "witness.log")
    witness.start()
    assert witness.ready.wait(30)
    began, killed = time.monotonic(), 0
    each = count // max(1, kills)
    for number in range(kills):
        killer = threading.Timer(chance.uniform(0.2, 6.0), watcher.kill)
        killer.start()
        execute(number * each, each)
        with log.open("ab") as stream:
            stream.write(lines(number * each, each, bad_every=EVERY))
        watcher.wait()  # for the killer
        killed += 1
        watcher = start(home, log, rule)
    seconds = time.monotonic() - began
    witness.enough.set()
    witness.join()
    watcher.terminate()
    watcher.wait()
    last = start(home, log, rule, "--once")
    last.wait()
    return compare(folder, each * kills) | {"kills": killed, "seconds": round(seconds, 1), "witness": witness.losses}


def compare(folder: Path, count: int) -> dict[str, object]:
    lake = folder / "home" / "lake"
    seen = [event for event in _of_log(folder / "witness.log") if _is_ours(event)]
    kept = [event for event in _of_lake(lake, "audit:?records=executions") if _is_ours(event)]
    tailed = Counter(event[1] for event in _of_lake(lake, f"{folder / 'app.jsonl'}"))
    marked = sum("os.execute" in str(event[2]) for event in seen)
    with sqlite3.connect(folder / "home" / "cases.db") as connection:
        ids = [row[0] for row in connection.execute("select id from findings")]
    told = json.loads(
        subprocess.run(
            [sys.executable, "-m", "perilune", "watch", "--status", "--json"], capture_output=True,
            env={**os.environ, "PERILUNE_HOME": str(folder / "home")}, check=False,
        ).stdout
    )  # fmt: skip
    return {
        "executions": count,
        "reported": len(seen),
        "kept": len(kept),
        "missing": sum((Counter(seen) - Counter(kept)).values()),
        "twice": sum((Counter(kept) - Counter(seen)).values()),
        "lines": count,
        "lines_kept": sum(tailed.values()),
        "lines_twice": sum(tailed.values()) - len(tailed),
        "expected_findings": marked + count // EVERY,
        "findings": len(ids),
        "lost": {name: source["lost"] for one in [told] for source in one["sources"] for name in [source["name"]]},
    }


def _is_ours(event: Event) -> bool:
    command = str(event[2])
    return "local number" in command or "local mark" in command


def _of_log(path: Path) -> list[Event]:
    found: list[Event] = []
    for item in readers.read([path], readers.Limits()):
        if isinstance(item, Table) and item.name == NAME:
            found += _events(item)
    return found


def _of_lake(lake: Path, source: str) -> list[Event]:
    found: list[Event] = []
    with reading(lake) as held:
        tables = [
            Table("DeviceProcessEvents", pq.read_table(p, partitioning=None)) for p in held.paths("DeviceProcessEvents")
        ]
        for table in (*tables, *(one for one in held.tables if one.name == "DeviceProcessEvents")):
            files = table.values("XSourceFile")
            found += [event for event, file in zip(_events(table), files, strict=True) if file == source]
    return found


def _events(table: Table) -> list[Event]:
    names = ("Timestamp", "ProcessId", "ProcessCommandLine")
    return list(zip(*(table.values(name) for name in names), strict=True))  # type: ignore[arg-type]


def _until(holds: object, watcher: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while not holds() and time.monotonic() < deadline:  # type: ignore[operator]
        assert watcher.poll() is None, "the watcher ended"
        time.sleep(0.05)


def is_whole(found: dict[str, object]) -> bool:
    return (
        (found["missing"], found["twice"], found["lines_twice"]) == (0, 0, 0)
        and found["reported"] == found["executions"]
        and found["lines_kept"] == found["lines"]
        and found["findings"] == found["expected_findings"]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--executions", type=int, default=20_000)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="perilune-chaos-") as folder:
        found = run(Path(folder), options.executions, options.kills, options.seed)
    print(json.dumps(found))
    sys.exit(not is_whole(found))


if __name__ == "__main__":
    main()
