"""What the KQL tests share: a clock, tables made from a seed, and rows that compare well."""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa

from perilune.detection.kql.running import Limits, Result, Session, open_session
from perilune.model.tables import TABLES
from perilune.querying import plain_rows

NOW = datetime(2026, 1, 5, 12)
LIMITS = Limits(seconds=20, memory_mb=1024, threads=1)

SEED_QUERY = Path(__file__).with_name("lua_hunt.kql").read_text(encoding="utf-8")

_PIECES = (
    "lua", "lua5", "lua54", "LUA.EXE", "luajit", "luac", "xlua", ".lua", "a.lua", "b.luac", "dofile(", "DoFile(",
    "loadfile(", "loadstring(", "reload(", "require(", "xrequire(", "os.execute(", "macos.execute(", "io.popen(",
    "os.remove(", "io.open(", "socket.tcp", "websocket.tcp", "socket.connect", "http.request", "http.requests",
    "ltn12.pump", "\\Temp\\", "\\MyTemp\\", "/tmp/", "/var/tmp/x", "AppData", "xAppData", "_", "-", "é", "日本", "\t",
    "'", '"', "(", ")", "%", "x", "9", " ",
)  # fmt: skip


def hostile_processes(rows: int = 10_000, seed: int = 1059) -> pa.Table:
    """Process starts whose texts are built from the query's own words, near misses and odd characters."""
    chance = random.Random(seed)

    def text() -> str | None:
        if chance.random() < 0.02:
            return chance.choice((None, ""))
        glue = chance.choice(("", "", " ", "_", ".", "é"))
        return glue.join(chance.choice(_PIECES) for _ in range(chance.randrange(1, 7)))

    found = {
        "Timestamp": [NOW.replace(tzinfo=UTC) - timedelta(minutes=chance.randrange(3000)) for _ in range(rows)],
        "DeviceName": [f"pc{chance.randrange(40)}" for _ in range(rows)],
        "AccountName": [chance.choice((None, "ana", "bo")) for _ in range(rows)],
    }
    for name in ("FileName", "ProcessCommandLine", "InitiatingProcessFileName", "InitiatingProcessCommandLine"):
        found[name] = [text() for _ in range(rows)]
    schema = TABLES["DeviceProcessEvents"].arrow
    return pa.table({name: pa.array(values, schema.field(name).type) for name, values in found.items()})


def session(**tables: pa.Table) -> Session:
    return open_session(tables, LIMITS)


def rows_of(result: Result) -> list[list[object]]:
    return [list(row.values()) for row in plain_rows(result)]


def ask(query: str, **tables: pa.Table) -> list[list[object]]:
    """The rows of one query."""
    with session(**tables) as one:
        return rows_of(one.run(query, NOW))


def as_set(rows: list[list[object]]) -> list[str]:
    return sorted(json.dumps(row, ensure_ascii=False, default=str) for row in rows)
