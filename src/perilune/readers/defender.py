"""Defender XDR rows: which advanced-hunting table a row belongs to, and the envelopes that rows come in.

Rows come bare, as `results` of a query, as `records` of the streaming API, and as exports with or without a
table name. Where nothing names the table, its action and its columns tell.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from perilune.model.tables import COLUMNS, TABLES

_CANDIDATES = tuple(name for name in TABLES if name.startswith("Device"))
_KNOWN = frozenset(name for name in COLUMNS if not name.startswith("X"))
TIMES = ("Timestamp", "TimeGenerated")
# What Log Analytics and the streaming API put beside the columns; nothing of it describes the event
BESIDE = frozenset(
    "TimeGenerated TenantId SourceSystem Type $table TableName _BilledSize _IsBillable _ResourceId _ItemId "
    "_SubscriptionId _TimeReceived _Internal_WorkspaceResourceId MG ManagementGroupName Computer RawData "
    "SourceComputerId Tenant".split()
)
CATEGORY = "AdvancedHunting-"
_ROWS = ("records", "results", "Results", "value")

_ACTIONS = (
    ("ProcessCreated", "DeviceProcessEvents"),
    ("Connection", "DeviceNetworkEvents"),
    ("InboundConnection", "DeviceNetworkEvents"),
    ("ListeningConnection", "DeviceNetworkEvents"),
    ("NetworkSignature", "DeviceNetworkEvents"),
    ("DnsConnectionInspected", "DeviceNetworkEvents"),
    ("FileCreated", "DeviceFileEvents"),
    ("FileModified", "DeviceFileEvents"),
    ("FileRenamed", "DeviceFileEvents"),
    ("FileDeleted", "DeviceFileEvents"),
    ("Registry", "DeviceRegistryEvents"),
    ("ImageLoaded", "DeviceImageLoadEvents"),
)


def clean_name(name: str) -> str:
    """A column's name without what an export adds to it: `TimeGenerated [UTC]`."""
    return name.strip().removesuffix(" [UTC]").removesuffix(" [Local Time]").strip()


def is_row(names: Collection[str]) -> bool:
    """Whether a record with these names is a row of an advanced-hunting table."""
    if not any(time in names for time in TIMES):
        return False
    known = sum(name in _KNOWN for name in names)
    return known >= 3 and 2 * (known + sum(name in BESIDE for name in names)) >= len(names)


def find_table(names: Collection[str], named: object, action: object) -> str | None:
    """The row's table: the one it names, else the one that its action and its columns fit best."""
    if isinstance(named, str) and named in TABLES:
        return named
    if isinstance(named, str) and named.startswith(("Device", "Email", "Identity", "Cloud", "Alert", "Url", "AAD")):
        return None  # a table of Defender's that has no place here
    fit = {table: sum(name in TABLES[table].columns for name in names) for table in _CANDIDATES}
    best = max(fit.values())
    by_action = _table_of_action(action)
    if by_action and 4 * fit[by_action] >= 3 * best:
        return by_action
    if isinstance(action, str) and action and not by_action and fit["DeviceEvents"] == best:
        return "DeviceEvents"
    return next(table for table in _CANDIDATES if fit[table] == best)


def _table_of_action(action: object) -> str | None:
    if not isinstance(action, str):
        return None
    return next((table for begin, table in _ACTIONS if action.startswith(begin)), None)


def named_table(record: Mapping[str, object]) -> object:
    """What the record itself says of its table, if it does."""
    return record.get("Type") or record.get("$table") or record.get("TableName")


def is_envelope(record: Mapping[str, object]) -> bool:
    """Whether the record holds rows instead of being one."""
    if isinstance(record.get("properties"), dict) and ("category" in record or "Category" in record):
        return True
    if isinstance(record.get("tables"), list):
        return True
    return any(isinstance(record.get(name), list) for name in _ROWS) and not is_row(record)


def open_envelope(record: Mapping[str, object]) -> Iterator[tuple[object, str | None]]:
    """What an envelope holds, each with the table that the envelope names."""
    category = record.get("category") or record.get("Category")
    if isinstance(record.get("properties"), dict):
        yield record["properties"], category.removeprefix(CATEGORY) if isinstance(category, str) else None
        return
    tables = record.get("tables")
    if isinstance(tables, list):
        for table in tables:
            yield from _columnar(table)
        return
    for name in _ROWS:
        rows = record.get(name)
        if isinstance(rows, list):
            for row in rows:
                yield row, None


def _columnar(table: object) -> Iterator[tuple[object, str | None]]:
    """Log Analytics' answer to a query: the columns' names once, then the rows as lists."""
    if not isinstance(table, dict):
        return
    columns, rows = table.get("columns"), table.get("rows")
    if not isinstance(columns, list) or not isinstance(rows, list):
        return
    names = [str(column.get("name", "")) if isinstance(column, dict) else str(column) for column in columns]
    for row in rows:
        yield dict(zip(names, row, strict=False)) if isinstance(row, list) else row, None
