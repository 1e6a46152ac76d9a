"""A case's events in order, each in one line of words."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import reduce
from typing import Any, cast

import pyarrow as pa
import pyarrow.compute as pc

from perilune.model.case import TimelineEntry
from perilune.model.tables import TIME, EventRef, Table

Row = Mapping[str, object]

compute: Any = pc  # whose stubs ask for arrays where Arrow takes plain values

# What an event's place, time and words are made of; the rest of a row is not needed for a timeline.
COLUMNS = """
    Timestamp ActionType XSourceFile XSourceRecord ProcessId ProcessUniqueId InitiatingProcessId
    InitiatingProcessUniqueId InitiatingProcessFileName InitiatingProcessFolderPath FileName FolderPath
    ProcessCommandLine RemoteUrl RemoteIP RemotePort XInitiated XSigned RegistryKey RegistryValueData
    XScriptLanguage XScriptText XQueryName XProvider XEventId
""".split()

_NEVER = datetime(1, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class HostRows:
    """One table of one host, with what its events are looked up by: prepared once, asked for each case."""

    table: Table
    times: pa.ChunkedArray[Any]
    uniques: tuple[pa.ChunkedArray[Any], ...]
    pids: tuple[pa.ChunkedArray[Any], ...]

    def chosen(
        self, unique: pa.Array[Any], pids: pa.Array[Any], between: tuple[datetime, datetime] | None
    ) -> list[int]:
        """The places of the rows that one of these processes did, within the time."""
        masks = [compute.is_in(column, value_set=unique) for column in self.uniques]
        masks += [compute.is_in(column, value_set=pids) for column in self.pids]
        if not masks:
            return []
        held = reduce(compute.or_, masks)
        if between is not None:
            low, high = (pa.scalar(moment, TIME) for moment in between)
            inside = compute.and_(compute.greater_equal(self.times, low), compute.less_equal(self.times, high))
            held = compute.and_(held, compute.fill_null(inside, True))
        return cast("list[int]", compute.indices_nonzero(held).to_pylist())


def prepare(tables: Iterable[Table]) -> tuple[HostRows, ...]:
    """The rows of one host, ready to be asked for many cases."""
    return tuple(
        HostRows(
            table,
            table.column("Timestamp"),
            tuple(pc.utf8_lower(table.column(c)) for c in _UNIQUE if table.has(c)),
            tuple(table.column(c) for c in _PIDS if table.has(c)),
        )
        for table in tables
        if len(table)
    )


_UNIQUE = ("ProcessUniqueId", "InitiatingProcessUniqueId")
_PIDS = ("ProcessId", "InitiatingProcessId")


def build(
    tables: Iterable[HostRows],
    *,
    unique: Collection[str],
    pids: Collection[int],
    findings: Mapping[EventRef, tuple[str, ...]],
    between: tuple[datetime, datetime] | None,
    limit: int,
) -> tuple[tuple[TimelineEntry, ...], int]:
    """The events that these processes did, oldest first, and how many were left out.

    Args:
        tables: the host's rows.
        unique: the sensor's ids of the case's processes, in lower case.
        pids: the PIDs of the case's processes that have no such id.
        findings: the ids of the findings on an event. Those events are kept first when the limit is short.
        between: leave out events before and after these, since PIDs are used again.
        limit: most entries returned.
    """
    ids, numbers = pa.array(sorted(unique), pa.string()), pa.array(sorted(pids), pa.int64())
    found: list[_Place] = []
    for rows in tables:
        places = rows.chosen(ids, numbers, between)
        found += _places(rows.table.take(places), findings) if places else []
    found.sort(key=lambda place: (not place.marked, place.time, place.ref.source, place.ref.record))
    shown = sorted(found[:limit], key=lambda place: (place.time, place.ref.source, place.ref.record))
    entries = tuple(_entry(place, findings) for place in shown)
    return entries, len(found) - len(entries)


@dataclass(frozen=True, slots=True)
class _Place:
    """A chosen row, not yet put into words."""

    time: datetime
    marked: bool
    ref: EventRef
    table: Table
    index: int


def _places(table: Table, findings: Mapping[EventRef, tuple[str, ...]]) -> list[_Place]:
    times, sources, records = (table.values(c) for c in ("Timestamp", "XSourceFile", "XSourceRecord"))
    refs = [EventRef(table.name, str(s or ""), int(r or 0)) for s, r in zip(sources, records, strict=True)]  # type: ignore[call-overload]
    return [
        _Place(time if isinstance(time, datetime) else _NEVER, ref in findings, ref, table, index)
        for index, (time, ref) in enumerate(zip(times, refs, strict=True))
    ]


def _entry(place: _Place, findings: Mapping[EventRef, tuple[str, ...]]) -> TimelineEntry:
    row = place.table.row(place.index)
    return TimelineEntry(
        time=None if place.time is _NEVER else place.time,
        table=place.table.name,
        action=str(row.get("ActionType") or ""),
        summary=summary(place.table.name, row),
        event=place.ref,
        findings=findings.get(place.ref, ()),
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
