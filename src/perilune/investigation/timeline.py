"""A case's events in order, each in one line of words."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.compute as pc

from perilune.model.case import TimelineEntry
from perilune.model.tables import TIME, EventRef, Table

Row = Mapping[str, object]

_NEVER = datetime(1, 1, 1, tzinfo=UTC)


def build(
    tables: Iterable[Table],
    *,
    unique: Collection[str],
    pids: Collection[int],
    findings: Mapping[EventRef, tuple[str, ...]],
    between: tuple[datetime, datetime] | None,
    limit: int,
) -> tuple[tuple[TimelineEntry, ...], int]:
    """The events that these processes did, oldest first, and how many were left out.

    Args:
        tables: the host's rows, one batch per table.
        unique: the sensor's ids of the case's processes, in lower case.
        pids: the PIDs of the case's processes that have no such id.
        findings: the ids of the findings on an event. Those events are kept first when the limit is short.
        between: leave out events before and after these, since PIDs are used again.
        limit: most entries returned.
    """
    entries: list[TimelineEntry] = []
    for table in tables:
        chosen = _of_processes(_within(table, between), unique, pids)
        entries.extend(_entry(chosen, index, findings) for index in range(len(chosen)))
    entries.sort(key=_when)
    if len(entries) <= limit:
        return tuple(entries), 0
    marked = [entry for entry in entries if entry.findings][:limit]
    plain = [entry for entry in entries if not entry.findings][: limit - len(marked)]
    return tuple(sorted(marked + plain, key=_when)), len(entries) - len(marked) - len(plain)


def _when(entry: TimelineEntry) -> tuple[datetime, str, int]:
    return entry.time or _NEVER, entry.event.source, entry.event.record


def _within(table: Table, between: tuple[datetime, datetime] | None) -> Table:
    if between is None or not table.has("Timestamp"):
        return table
    time = pc.field("Timestamp")
    inside = (time >= pa.scalar(between[0], TIME)) & (time <= pa.scalar(between[1], TIME))
    return Table(table.name, table.data.filter(inside))


def _of_processes(table: Table, unique: Collection[str], pids: Collection[int]) -> Table:
    ids, numbers = pa.array(sorted(unique), pa.string()), pa.array(sorted(pids), pa.int64())
    held = pc.scalar(False)
    for column in ("ProcessUniqueId", "InitiatingProcessUniqueId"):
        if table.has(column):
            held = held | pc.utf8_lower(pc.field(column)).isin(ids)
    for column in ("ProcessId", "InitiatingProcessId"):
        if table.has(column):
            held = held | pc.field(column).isin(numbers)
    return Table(table.name, table.data.filter(held))


def _entry(table: Table, index: int, findings: Mapping[EventRef, tuple[str, ...]]) -> TimelineEntry:
    row = table.row(index)
    ref = table.ref(index)
    time = row.get("Timestamp")
    return TimelineEntry(
        time=time if isinstance(time, datetime) else None,
        table=table.name,
        action=str(row.get("ActionType") or ""),
        summary=summary(table.name, row),
        event=ref,
        findings=findings.get(ref, ()),
    )


def summary(table: str, row: Row) -> str:
    """What an event says, in one line without its time and host."""
    words = _WORDS.get(table, _words_other)
    return words(row)


def _actor(row: Row) -> str:
    name = row.get("InitiatingProcessFileName") or row.get("InitiatingProcessFolderPath") or "a process"
    pid = row.get("InitiatingProcessId")
    return f"{name} {pid}" if pid is not None else str(name)


def _words_process(row: Row) -> str:
    name = row.get("FileName") or row.get("FolderPath") or "a process"
    command = row.get("ProcessCommandLine")
    return f"{_actor(row)} starts {name} {row.get('ProcessId', '')}".rstrip() + (f": {command}" if command else "")


def _words_network(row: Row) -> str:
    remote = row.get("RemoteUrl") or row.get("RemoteIP") or "an unknown address"
    port = row.get("RemotePort")
    verb = "accepts a connection from" if row.get("XInitiated") is False else "connects to"
    if row.get("ActionType") == "ConnectionFailed":
        verb = "fails to connect to"
    return f"{_actor(row)} {verb} {remote}" + (f" port {port}" if port is not None else "")


_FILE_VERBS = {"FileCreated": "creates", "FileModified": "changes", "FileRenamed": "renames a file to",
               "FileDeleted": "deletes"}  # fmt: skip


def _words_file(row: Row) -> str:
    verb = _FILE_VERBS.get(str(row.get("ActionType")), "touches")
    return f"{_actor(row)} {verb} {row.get('FolderPath') or row.get('FileName') or 'a file'}"


def _words_image(row: Row) -> str:
    signed = {True: " (signed)", False: " (not signed)"}.get(row.get("XSigned"), "")  # type: ignore[call-overload]
    return f"{_actor(row)} loads {row.get('FolderPath') or row.get('FileName')}{signed}"


def _words_registry(row: Row) -> str:
    data = row.get("RegistryValueData")
    return f"{_actor(row)} {_registry_verb(row)} {row.get('RegistryKey')}" + (f" = {data}" if data else "")


def _registry_verb(row: Row) -> str:
    action = str(row.get("ActionType") or "")
    if "Delete" in action:
        return "deletes"
    return "creates" if "Create" in action else "sets"


def _words_script(row: Row) -> str:
    language = row.get("XScriptLanguage") or "script"
    text = str(row.get("XScriptText") or "")
    return f"{_actor(row)} runs a {language} block of {len(text)} characters: {text[:200]}"


def _words_other(row: Row) -> str:
    if row.get("XQueryName"):
        return f"{_actor(row)} asks for the name {row['XQueryName']}"
    what = row.get("ActionType") or " ".join(str(row[c]) for c in ("XProvider", "XEventId") if row.get(c) is not None)
    return f"{_actor(row)}: {what}" if row.get("InitiatingProcessId") is not None else str(what)


_WORDS = {
    "DeviceProcessEvents": _words_process,
    "DeviceNetworkEvents": _words_network,
    "DeviceFileEvents": _words_file,
    "DeviceImageLoadEvents": _words_image,
    "DeviceRegistryEvents": _words_registry,
    "XScriptEvents": _words_script,
}
