"""`perilune watch` as a process: killed at random moments, stopped in order, asked how it is doing."""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from tests.service.live.build import RULES, lines, pids

SCHEMA = json.loads((files("perilune") / "content" / "schemas" / "watch.schema.json").read_text())


@pytest.fixture
def rule(tmp_path: Path) -> Path:
    path = tmp_path / "rule.yml"
    path.write_text(RULES, encoding="utf-8")
    return path


def start(*arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "perilune", "watch", *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ)


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    watcher = start(*arguments)
    out, err = watcher.communicate(timeout=180)
    return subprocess.CompletedProcess(watcher.args, watcher.returncode, out, err)


def finding_ids(home: Path) -> list[str]:
    with sqlite3.connect(home / "cases.db") as connection:
        return [row[0] for row in connection.execute("select id from findings")]


def test_killed_at_random_moments_while_the_log_grows(tmp_path: Path, own_home: Path, rule: Path) -> None:
    log, lake, chance = tmp_path / "a.jsonl", own_home / "lake", random.Random(11)
    arguments = [log, "--lake", lake, "--no-pack", "--rules", rule, "--delay", 0.02, "--batch", 200, "--quiet"]
    written = 0
    for round_ in range(4):
        watcher = start(*arguments)
        deadline = time.monotonic() + 60
        while not (lake / "lake.db").exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        for _ in range(8):
            with log.open("ab") as stream:
                piece = lines(written, 100)
                cut = chance.randrange(len(piece))
                stream.write(piece[:cut])  # a line is torn while the watcher looks
                stream.flush()
                time.sleep(chance.random() * 0.1)
                stream.write(piece[cut:])
            written += 100
        if round_ == 2:
            log.rename(log.with_name("a.jsonl.1"))
        time.sleep(chance.random())
        watcher.kill()
        watcher.communicate()
    done = run(*arguments, "--once")
    assert done.returncode == 0, done.stderr
    assert pids(lake) == [1000 + n for n in range(written)], "every row once"
    found = finding_ids(own_home)
    assert len(found) == len(set(found)) == written // 10, "every finding once"


def test_json_lines_and_an_end_in_order(tmp_path: Path, own_home: Path, rule: Path) -> None:
    log = tmp_path / "a.jsonl"
    log.write_bytes(lines(0, 30))
    watcher = start(log, "--no-pack", "--rules", rule, "--json", "--quiet")
    assert watcher.stdout is not None
    first = json.loads(watcher.stdout.readline())
    assert (first["type"], first["outcome"], first["added"]) == ("case", "new", 3)
    assert first["case"]["host"] == "web-01"
    watcher.send_signal(signal.SIGTERM)
    rest, err = watcher.communicate(timeout=60)
    assert watcher.returncode == 0, err
    end = json.loads(rest.splitlines()[-1])
    assert (end["type"], end["state"], end["sources"][0]["rows"]) == ("end", "stopped", 30)
    told = json.loads(run("--status", "--json").stdout)
    assert {key: told[key] for key in ("state", "sources")} == {key: end[key] for key in ("state", "sources")}
    words = run("--status")
    assert words.returncode == 0
    for line in (first, end):
        jsonschema.validate(line, SCHEMA)
    jsonschema.validate(told, {**SCHEMA["$defs"]["status"], "$defs": SCHEMA["$defs"]})
    assert "30 rows" in words.stdout


def test_what_cannot_be_followed_is_said(tmp_path: Path, own_home: Path) -> None:
    assert run().returncode == 2
    assert "there is no kind of source" in run("gopher://x").stderr
    blank = tmp_path / "noise.bin"
    blank.write_bytes(bytes(range(256)) * 10)
    done = run(blank, "--once")
    assert done.returncode == 3
    assert "recognises" in done.stderr
    assert "no watcher" in run("--status", "--lake", tmp_path / "none").stdout


@pytest.mark.needs_root
def test_a_disk_that_is_full_and_then_is_not(tmp_path: Path, own_home: Path, rule: Path) -> None:
    """A small disk of its own: reading stops, the status says why, and everything comes once there is room."""
    disk, log = tmp_path / "disk", tmp_path / "a.jsonl"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", disk], capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"no disk can be mounted here: {mounted.stderr.strip()}")
    log.write_bytes(lines(0, 20))
    watcher = start(log, "--lake", disk / "lake", "--no-pack", "--rules", rule, "--quiet")
    try:
        wait_for(lambda: (disk / "lake" / "lake.db").exists() and told(disk)["sources"] and rows(disk) == 20)
        filler = disk / "filler"
        with filler.open("wb", buffering=0) as stream, pytest.raises(OSError, match="No space"):
            while True:
                stream.write(bytes(4096))
        with log.open("ab") as stream:
            stream.write(lines(20, 12_000))  # more than what was kept free for the status
        wait_for(lambda: "lake" in told(disk)["watcher"].get("problems", {}))
        assert run("--status", "--lake", disk / "lake").returncode == 3
        filler.unlink()
        wait_for(lambda: rows(disk) == 12_020 and not told(disk)["watcher"]["problems"])
        watcher.terminate()
        watcher.communicate(timeout=60)
        assert pids(disk / "lake") == [1000 + n for n in range(12_020)]
        assert len(finding_ids(own_home)) == 1_202
    finally:
        watcher.kill()
        watcher.communicate()
        subprocess.run(["umount", "-l", disk], check=False)


def told(disk: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(run("--status", "--json", "--lake", disk / "lake").stdout or "{}")
    return found


def rows(disk: Path) -> int:
    return int(told(disk)["sources"][0]["rows"])


def wait_for(holds: Callable[[], object]) -> None:
    deadline = time.monotonic() + 120
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.2)
