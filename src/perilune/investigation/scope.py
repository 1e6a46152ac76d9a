"""The rows of one host near one case, and which of them the case's own processes did.

A host's tables are prepared once; each case cuts its time out of them. Whatever looks for facts asks a column with a
pattern (RE2, whole columns at once) and gets a bounded number of rows back, the case's own first.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, cast

import pyarrow as pa
import pyarrow.compute as pc
import re2  # type: ignore[import-untyped]

from perilune.investigation.timeline import COLUMNS as OF_TIMELINE
from perilune.investigation.timeline import HostRows, prepare
from perilune.model.case import ProcessNode
from perilune.model.facts import Coverage, Fact, Kind, Source
from perilune.model.findings import Finding
from perilune.model.tables import TIME, EventRef, Table

compute: Any = pc  # whose stubs ask for arrays where Arrow takes plain values

Row = Mapping[str, object]

BEFORE = timedelta(hours=1)
AFTER = timedelta(hours=4)
_MANY = 5_000  # rows from which on Arrow is faster with a pattern
MAX_ROWS = 400  # looked at for one kind of fact in one table
MAX_FACTS = 40  # of one kind kept with a case

COLUMNS = tuple(dict.fromkeys((*OF_TIMELINE, *"""
    DeviceName AdditionalFields SHA256 AccountName XUser XInitiatingProcessUser LogonId ProcessIntegrityLevel
    InitiatingProcessIntegrityLevel InitiatingProcessCommandLine InitiatingProcessSHA256 InitiatingProcessAccountName
    IsProcessRemoteSession ProcessRemoteSessionIP ProcessRemoteSessionDeviceName RegistryValueName FileOriginUrl
    FileOriginReferrerUrl FileOriginIP LocalIP RemoteIPType XBytesOut XBytesIn XSignature XSeverity XPlatform
    XApplication XMessage XLevel XDynamicCode XChunkName SoftwareName SoftwareVendor SoftwareVersion
    XPreviousVersion XPackageManager XHttpUri XHttpHost XTlsServerName PreviousFileName ProcessCreationTime XScriptId
""".split())))  # fmt: skip

_SOURCES: Mapping[Source, tuple[str, ...]] = {
    Source.PROCESSES: ("DeviceProcessEvents",),
    Source.NETWORK: ("DeviceNetworkEvents",),
    Source.FILES: ("DeviceFileEvents",),
    Source.REGISTRY: ("DeviceRegistryEvents",),
    Source.SCRIPTS: ("XScriptEvents",),
    Source.APPLICATION: ("XAppLogEvents",),
    Source.INVENTORY: ("XInventoryEvents", "DeviceTvmSoftwareInventory"),
}
DECODED = "ScriptDecoded"  # rows that the analysis made: they say nothing of what was logged
LOGON = r"(?i)^(USER_(AUTH|LOGIN|ACCT|START|CMD|ERR|MGMT)|CRED_ACQ|LOGIN|ADD_USER|ADD_GROUP)$"
LOGON_IDS = (4624, 4625, 4648, 4672, 4720, 4728, 4732, 4740, 4756)


@dataclass(frozen=True, slots=True)
class Scope:
    """One case on one host.

    near       by table, the rows near the case
    own        by table, the places in `near` of what the case's processes did
    processes  of the case's trees
    begin      the case's first finding; None where no time is known
    """

    host: str
    rows: tuple[HostRows, ...]
    near: Mapping[str, Table]
    own: Mapping[str, frozenset[int]]
    processes: tuple[ProcessNode, ...]
    findings: tuple[Finding, ...]
    begin: datetime | None
    end: datetime | None

    def whole(self, name: str) -> Table | None:
        """All the host's rows of a table."""
        return next((rows.table for rows in self.rows if rows.table.name == name), None)

    @property
    def programs(self) -> frozenset[str]:
        """The paths and names of the case's processes, in lower case."""
        return frozenset(text.lower() for node in self.processes for text in (node.path, node.name) if text)


@dataclass(frozen=True, slots=True)
class Hit:
    """A row that a pattern found; `own` as in a fact."""

    row: Row
    ref: EventRef
    own: bool | None

    @property
    def time(self) -> datetime | None:
        value = self.row.get("Timestamp")
        return value if isinstance(value, datetime) else None

    def text(self, column: str) -> str:
        value = self.row.get(column)
        return value if isinstance(value, str) else "" if value is None else str(value)


def cut_out(
    host: str,
    rows: Sequence[HostRows],
    processes: Sequence[ProcessNode],
    findings: Sequence[Finding],
) -> Scope:
    """The scope of one case out of the host's prepared rows."""
    times = [f.time for f in findings if f.time is not None]
    begin, end = min(times, default=None), max(times, default=None)
    between = None if begin is None or end is None else (begin - BEFORE, end + AFTER)
    keys = sorted(node.key for node in processes if node.key.startswith("{") or "@" not in node.key)
    pids = sorted({node.pid for node in processes if node.pid is not None and "@" in node.key})
    near: dict[str, Table] = {}
    own: dict[str, frozenset[int]] = {}
    for held in rows:
        table = _within(held.table, between)
        near[held.table.name] = table
        cut = prepare([table])
        places = cut[0].chosen(pa.array(keys, pa.string()), pa.array(pids, pa.int64()), None) if cut else []
        own[held.table.name] = frozenset(places)
    return Scope(host, tuple(rows), near, own, tuple(processes), tuple(findings), begin, end)


def _within(table: Table, between: tuple[datetime, datetime] | None) -> Table:
    if between is None or not table.has("Timestamp"):
        return table
    low, high = (pa.scalar(moment, TIME) for moment in between)
    times = table.column("Timestamp")
    inside = compute.and_(compute.greater_equal(times, low), compute.less_equal(times, high))
    return Table(table.name, table.data.filter(compute.fill_null(inside, True)))


def find(scope: Scope, name: str, columns: Iterable[str], pattern: str) -> list[Hit]:
    """The rows near the case in which one of the columns fits the pattern, the case's own first, bounded."""
    table = scope.near.get(name)
    if table is None:
        return []
    mask = None
    for column in columns:
        if table.has(column):
            held = fitting(table, column, pattern)
            mask = held if mask is None else compute.or_(mask, held)
    return [] if mask is None else taken(scope, name, mask)


def fitting(table: Table, column: str, pattern: str) -> Any:
    """On which rows a column fits an RE2 pattern, as a mask without nulls.

    Arrow compiles the pattern at each call, which for a few hundred rows takes longer than looking at them.
    """
    texts = table.column(column)
    if len(texts) > _MANY:
        return compute.fill_null(compute.match_substring_regex(texts, pattern), False)
    search, tried = _compiled(pattern).search, {None: False}
    for text in texts.to_pylist():
        if text not in tried:
            tried[text] = search(text) is not None
    return pa.array([tried[text] for text in texts.to_pylist()], pa.bool_())


@lru_cache(maxsize=256)
def _compiled(pattern: str) -> Any:
    return re2.compile(pattern)


def taken(scope: Scope, name: str, mask: Any) -> list[Hit]:
    """The rows of a mask over a table near the case, the case's own first, bounded."""
    places = cast("list[int]", compute.indices_nonzero(mask).to_pylist())
    return rows_at(scope, name, places)


def with_ids(scope: Scope, ids: Iterable[int], provider: str) -> list[Hit]:
    """The records near the case with one of these event ids, of a provider whose name fits."""
    table = scope.near.get("XLogEvents")
    if table is None:
        return []
    held = compute.is_in(table.column("XEventId"), value_set=pa.array(sorted(ids), pa.int64()))
    return taken(scope, table.name, compute.and_(held, _fits(table, "XProvider", provider)))


def owned(scope: Scope, name: str) -> list[Hit]:
    """What the case's processes did in one table, bounded."""
    return rows_at(scope, name, sorted(scope.own[name])) if name in scope.own else []


def rows_at(scope: Scope, name: str, places: Sequence[int]) -> list[Hit]:
    if not places:
        return []
    own = scope.own[name]
    chosen = sorted(places, key=lambda place: (place not in own, place))[:MAX_ROWS]
    table = scope.near[name]
    names = [c for c in dict.fromkeys((*COLUMNS, "XSourceFile", "XSourceRecord")) if table.has(c)]
    rows = table.data.select(names).take(pa.array(chosen, pa.int64())).to_pylist()
    return [_hit(name, row, place in own) for place, row in zip(chosen, rows, strict=True)]


def _hit(name: str, values: Mapping[str, object], own: bool) -> Hit:
    row = {column: value for column, value in values.items() if value is not None}
    ref = EventRef(name, str(row.get("XSourceFile") or ""), int(str(row.get("XSourceRecord") or 0)))
    attributed = own or any(row.get(c) is not None for c in ("InitiatingProcessId", "InitiatingProcessUniqueId"))
    return Hit(row, ref, own if attributed else None)


def fact(scope: Scope, kind: Kind, name: str, text: str, hit: Hit, value: str = "", *tags: str) -> Fact:
    """A fact that a row shows."""
    return Fact(kind, name, text, value, hit.ref, hit.time, scope.host, hit.own, tuple(tags))


def bounded(facts: Iterable[Fact], most: int = MAX_FACTS) -> tuple[tuple[Fact, ...], int]:
    """Each fact once, the case's own first, then in order of time; and how many were left out."""
    unique: dict[tuple[str, str, bool | None], Fact] = {}
    for one in facts:
        unique.setdefault((one.name, one.value or one.text, one.own), one)
    ordered = sorted(unique.values(), key=lambda one: (one.own is not True, one.time is None, one.time))
    kept = sorted(ordered[:most], key=lambda one: (one.time is None, one.time))
    return tuple(kept), len(ordered) - len(kept)


def coverage(scope: Scope) -> dict[Source, Coverage]:
    """What was read for this host, near the case and at all."""
    found = {source: _covered(scope, tables) for source, tables in _SOURCES.items()}
    found[Source.INVENTORY] = replace(found[Source.INVENTORY], near=found[Source.INVENTORY].host)
    found[Source.LOGONS] = _logons(scope)
    return {source: held for source, held in found.items() if held.host}


def _covered(scope: Scope, tables: Collection[str]) -> Coverage:
    near = sum(_logged(scope.near[name]) for name in tables if name in scope.near)
    whole = [table for name in tables if (table := scope.whole(name)) is not None]
    times = [compute.min_max(table.column("Timestamp")) for table in whole if table.has("Timestamp")]
    begin = min((t for pair in times if (t := pair["min"].as_py()) is not None), default=None)
    end = max((t for pair in times if (t := pair["max"].as_py()) is not None), default=None)
    return Coverage(near, sum(_logged(table) for table in whole), begin, end)


def _logged(table: Table) -> int:
    """How many rows a sensor logged: not those that decoding made of another table's."""
    if table.name != "XScriptEvents" or not table.has("ActionType"):
        return len(table)
    made = compute.sum(compute.equal(table.column("ActionType"), DECODED)).as_py()
    return len(table) - int(made or 0)


def _logons(scope: Scope) -> Coverage:
    near = sum(int(compute.sum(mask).as_py() or 0) for _, mask in logon_masks(scope.near.values()))
    whole = [rows.table for rows in scope.rows]
    return Coverage(near, sum(int(compute.sum(mask).as_py() or 0) for _, mask in logon_masks(whole)))


def logon_masks(tables: Iterable[Table]) -> Iterable[tuple[Table, Any]]:
    """The rows that speak of logons and accounts."""
    for table in tables:
        if table.name not in ("XLogEvents", "DeviceEvents"):
            continue
        if table.name == "DeviceEvents":
            yield table, _fits(table, "ActionType", r"(?i)(logon|useraccount|securitygroup)")
            continue
        ids = compute.is_in(table.column("XEventId"), value_set=pa.array(LOGON_IDS, pa.int64()))
        words = _fits(table, "ActionType", LOGON)
        yield table, compute.or_(compute.and_(ids, _fits(table, "XProvider", "(?i)security-auditing")), words)


def _fits(table: Table, column: str, pattern: str) -> Any:
    return fitting(table, column, pattern)
