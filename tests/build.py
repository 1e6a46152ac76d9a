"""Small builders, so that a test names only what it is about."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa

from perilune.model.case import Case
from perilune.model.findings import Finding, Reason
from perilune.model.rules import Level
from perilune.model.tables import COLUMNS, EventRef, Table

START = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def table(name: str, *rows: Mapping[str, object], source: str = "test.log") -> Table:
    """A batch of rows; each gets its place in `source`."""
    filled = [{"XSourceFile": source, "XSourceRecord": n + 1, **row} for n, row in enumerate(rows)]
    names = list(dict.fromkeys(column for row in filled for column in row))
    schema = pa.schema([(column, COLUMNS[column]) for column in names])
    return Table(name, pa.Table.from_pylist(filled, schema=schema))


def process(
    pid: int, parent: int, path: str, seconds: float = 0, command: str = "", **more: object
) -> dict[str, object]:
    """One process start, as a sensor without process ids of its own (auditd, 4688) tells it."""
    return {
        "Timestamp": at(seconds),
        "ProcessId": pid,
        "InitiatingProcessId": parent,
        "FolderPath": path,
        "FileName": path.replace("\\", "/").rsplit("/", 1)[-1],
        "ProcessCommandLine": command or path,
        "XPlatform": "linux",
    } | more


def finding(id: str = "f1", *, seconds: float | None = 0, **more: Any) -> Finding:
    values: dict[str, Any] = {
        "id": id,
        "rule_id": f"rule-{id}",
        "rule_title": f"Rule {id}",
        "rule_author": "Ana Lyst",
        "level": Level.HIGH,
        "techniques": ("T1059.011",),
        "event": EventRef("DeviceProcessEvents", "test.log", 1),
        "host": "web-01",
        "user": "www-data",
        "time": None if seconds is None else at(seconds),
        "row": {"DeviceName": "web-01"},
        "evidence": (),
        "score": 72,
        "reasons": (Reason(72, "high rule"),),
    }
    return Finding(**(values | more))


def case(*findings: Finding, **more: Any) -> Case:
    found = findings or (finding(),)
    values: dict[str, Any] = {
        "key": "web-01|100@start",
        "title": found[0].rule_title,
        "host": "web-01",
        "users": ("www-data",),
        "level": Level.HIGH,
        "score": 72,
        "reasons": (Reason(72, "high rule"),),
        "techniques": ("T1059.011",),
        "findings": found,
        "tree": (),
        "timeline": (),
        "first": at(0),
        "last": at(60),
    }
    return Case(**(values | more))
