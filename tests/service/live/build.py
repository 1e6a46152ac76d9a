"""Logs, lakes and watchers, so that a test names only what it is about."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event

import orjson
import pyarrow.parquet as pq

from perilune import pipeline, readers
from perilune.model.rules import RuleSet
from perilune.service.live.addresses import Address, open_source
from perilune.service.live.detecting import Detector
from perilune.service.live.taking import Taker
from perilune.service.live.watcher import Options, Watcher
from perilune.store.events import EventLake, reading

RULES = """
title: Lua asks for a command
id: 5b1b2a52-6c1b-4d6f-9a6a-6d5c0f3f0001
author: Ana Lyst
level: high
logsource: {category: process_creation, product: linux}
detection:
  selection: {Image|endswith: /lua5.4, CommandLine|contains: os.execute}
  condition: selection
tags: [attack.t1059.011]
"""
MARK = "os.execute"


def rules(folder: Path) -> RuleSet:
    """One rule: what a test is about is not what the pack finds."""
    path = folder / "rule.yml"
    path.write_text(RULES, encoding="utf-8")
    return pipeline.select(pipeline.load_rules([path], pack=False), pipeline.Choice())


def event(number: int, *, bad: bool = False, host: str = "web-01", when: datetime | None = None) -> bytes:
    """A line of Defender's JSON; each number is an event of its own."""
    time = (when or datetime.now(UTC)) + timedelta(microseconds=number)
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    properties = {
        "Timestamp": stamp, "DeviceName": host, "ActionType": "ProcessCreated", "ProcessId": 1000 + number,
        "FileName": "lua5.4" if bad else "sh", "FolderPath": "/usr/bin/lua5.4" if bad else "/bin/sh",
        "ProcessCommandLine": f"lua5.4 -e 'os.execute(\"id {number}\")'" if bad else f"/bin/sh -c 'ls {number}'",
        "InitiatingProcessId": 1, "InitiatingProcessFolderPath": "/sbin/init", "AccountName": "root",
    }  # fmt: skip
    line = {"time": stamp, "category": "AdvancedHunting-DeviceProcessEvents", "properties": properties}
    return orjson.dumps(line) + b"\n"


def lines(first: int, count: int, *, bad_every: int = 10) -> bytes:
    return b"".join(event(n, bad=n % bad_every == 0) for n in range(first, first + count))


def watch(lake: Path, store: str, *sources: str, ruleset: RuleSet, once: bool = True, **options: object) -> Watcher:
    """A watcher that has ended, or one to take turns with."""
    event_lake = EventLake(lake)
    found = [open_source(Address(name, lake, once)) for name in sources]
    mappings, packaged = readers.tools(None)
    taker = Taker(event_lake, found, packaged, mappings, patience=0)
    made = Watcher(event_lake, taker, Detector(ruleset, store), Options(once=once, **options))  # type: ignore[arg-type]
    if once:
        for source in found:
            source.start()
        with closing(event_lake), closing(made.detector):
            made.run(Event())
        for source in found:
            source.stop()
    return made


def pids(lake: Path) -> list[int]:
    """The process ids of all rows in the lake."""
    found: list[int] = []
    with reading(lake) as held:
        for path in held.paths("DeviceProcessEvents"):
            found += pq.read_table(path, partitioning=None).column("ProcessId").to_pylist()
        for one in held.tables:
            if one.name == "DeviceProcessEvents":
                found += [int(str(value)) for value in one.values("ProcessId")]
    return sorted(found)
