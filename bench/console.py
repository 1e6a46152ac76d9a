"""The console with a full store: the queue's pages and the largest case, asked by several users at once.

    python bench/console.py [--cases N] [--users N] [--asks N]

A store in a temporary folder gets N lines in the queue (100,000 unless told) and the bundled intrusions as whole cases.
The server is processes of its own (--workers). Each user asks for the queue's first page, a search and the largest
case, over and over, with a pause of about a second between (--pause 0: none, and what is told is mostly the wait for
the others). `alone_ms` is one user's. The clock is the client's, which shares the cores with the server.
"""

from __future__ import annotations

import argparse
import http.client
import json
import random
import socket
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import sqlalchemy as sa

from perilune.model.roles import Role
from perilune.settings import Settings
from perilune.store import schema
from perilune.store.changes import search_text
from perilune.web.options import Options
from perilune.web.rooms import Rooms, open_rooms

QUEUE, SEARCH = "/cases", "/cases?q=web-7&severity=high"


def fill(rooms: Rooms, number: int) -> str:
    """Puts the demo's cases and `number` further lines into the store; the id of the case that weighs most."""
    from importlib.resources import as_file, files

    from perilune import pipeline

    now = datetime.now(UTC)
    with as_file(files("perilune.content") / "samples") as folder:
        found = [rooms.cases.save(case, at=now)[0] for case in pipeline.hunt([folder]).cases]
    rows = [
        {
            "key": f"line-{n}", "status": ("new", "open", "closed", "closed")[n % 4], "level": n % 5, "score": n % 101,
            "title": f"Shell started by a Lua interpreter {n}", "host": f"web-{n % 400}", "users": f"user-{n % 90}",
            "techniques": "T1059.011 T1059.004", "findings": n % 7, "first": now.isoformat(),
            "last": (now - timedelta(seconds=n)).isoformat(), "updated": now.isoformat(), "owner": "",
        }
        for n in range(number)
    ]  # fmt: skip
    for row in rows:
        row["search"] = search_text(row)
    with rooms.database.writing() as connection:
        connection.execute(sa.insert(schema.cases), rows)
    return max(found, key=lambda case: len(case.findings) + len(case.timeline)).id


def enter(rooms: Rooms, number: int) -> list[str]:
    """The cookies of users who have logged in."""
    now = datetime.now(UTC)
    names = [f"user{n}" for n in range(number)]
    rooms.users.create("admin", Role.ADMIN, "none", at=now, who="bench")
    for name in names:
        rooms.users.create(name, Role.ANALYST, "none", at=now, who="bench")
        rooms.users.set_password(name, "none", must_change=False, at=now, who="bench")
    return [rooms.sessions.open(name, at=now) for name in names]


def ask(address: str, cookie: str, paths: list[str], rounds: int, pause: float) -> list[tuple[str, float, int]]:
    """One user: a page, a pause (not all users in step), the next page."""
    taken = []
    host, _, port = address.rpartition(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=60)
    for path in paths * rounds:
        time.sleep(pause * random.uniform(0.5, 1.5))
        begun = time.perf_counter()
        connection.request("GET", path, headers={"Cookie": f"perilune={cookie}"})
        answer = connection.getresponse()
        size = len(answer.read())
        if answer.status != 200:
            raise SystemExit(f"{path}: {answer.status}")
        taken.append((path, time.perf_counter() - begun, size))
    return taken


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=100_000)
    parser.add_argument("--users", type=int, default=20)
    parser.add_argument("--asks", type=int, default=10, help="of each page, by each user")
    parser.add_argument("--pause", type=float, default=1.0, help="seconds between a user's pages, on average")
    parser.add_argument("--workers", type=int, default=2, help="processes that serve")
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve:
        serve(given.serve, given.workers)
        return
    with tempfile.TemporaryDirectory() as folder:
        rooms = open_rooms(Settings(Path(folder)), Options())
        largest = fill(rooms, given.cases)
        cookies = enter(rooms, given.users)
        measure(folder, cookies, [QUEUE, SEARCH, f"/cases/{largest}"], given)


def measure(folder: str, cookies: list[str], paths: list[str], given: argparse.Namespace) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen(
        [sys.executable, __file__, "--serve", f"{folder}:{port}", "--workers", str(given.workers)]
    )
    address = f"127.0.0.1:{port}"
    try:
        _wait(address)
        one = ask(address, cookies[0], paths, 4, 0)[len(paths) * 3 :]
        with ThreadPoolExecutor(len(cookies)) as pool:
            asked = pool.map(lambda cookie: ask(address, cookie, paths, given.asks, given.pause), cookies)
            taken = [one for found in asked for one in found]
    finally:
        server.terminate()
        server.wait()
    told = {}
    for (path, alone, size), name in zip(one, ("queue", "search", "case"), strict=True):
        times = sorted(t for p, t, _ in taken if p == path)
        p95 = times[int(len(times) * 0.95)]
        median = times[len(times) // 2]
        told[name] = {"alone_ms": round(alone * 1000), "median_ms": round(median * 1000), "p95_ms": round(p95 * 1000)}
        told[name]["bytes"] = size
    print(json.dumps(told))


def _wait(address: str) -> None:
    for _ in range(100):
        try:
            ask(address, "", ["/ready"], 1, 0)
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise SystemExit("the server did not start")


def serve(where: str, workers: int) -> None:
    from perilune.web import serving

    folder, _, port = where.rpartition(":")
    serving.serve(Settings(Path(folder)), Options(port=int(port)), workers)


if __name__ == "__main__":
    main()
