"""What belongs to a case beyond its own tree: child programs, the user's other doings, the same signs elsewhere."""

# ruff: noqa: E501 - a pattern broken in two is harder to read than a long one

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

import pyarrow as pa

from perilune.investigation.network import Lookup, listed, reach_of
from perilune.investigation.persistence import SHOWN
from perilune.investigation.scope import AFTER, BEFORE, Hit, Scope, compute, fact, taken
from perilune.model.analysis import Indicator, IndicatorKind
from perilune.model.analysis import Scope as Reach
from perilune.model.facts import Fact, Kind
from perilune.model.findings import Finding
from perilune.model.tables import EventRef, Table

MAX_MARKS = 60  # of one case
MAX_HITS = 2_000  # rows looked at in one table
LEAST_COMMAND = 24  # characters: a shorter command line is typed by anyone

# Programs that an interpreter starts for an attacker: shells, fetchers, tools of the system, other interpreters.
ODD_CHILDREN = r"(?i)^((ba|da|z|k|c|tc)?sh|cmd|powershell|pwsh|wscript|cscript|mshta|rundll32|regsvr32|certutil|bitsadmin|schtasks|reg|sc|net1?|whoami|wmic|nltest|vssadmin|bcdedit|curl|wget|nc|ncat|netcat|socat|telnet|ssh|scp|python[\d.]*|perl|ruby|php|osascript|lua[\d.]*|luajit|node|crontab|at|systemctl|useradd|usermod|chmod|chown|chattr|base64|openssl|id|uname|hostname|ifconfig|ip|ss|netstat|ps|cat|dd|tar|zip|xmrig\S*|dash|busybox|nohup|setsid|sudo|su|kill|pkill)(\.exe)?$"

_SYSTEM = r"(?i)^([a-z]:)?[\\/]+(windows|program files( \(x86\))?|usr/(bin|sbin|lib|libexec|share)|bin|sbin|opt|lib|system|applications)[\\/]"


@dataclass(frozen=True, slots=True)
class Mark:
    """Something of a case that would tell it on another host: a hash, an address, a command."""

    kind: str
    value: str

    @property
    def name(self) -> str:
        return f"{self.kind}:{self.value}"


_COLUMNS: Mapping[str, tuple[str, ...]] = {
    "hash": ("SHA256", "InitiatingProcessSHA256"),
    "address": ("RemoteIP", "RemoteUrl", "XQueryName", "FileOriginUrl"),
    "command": ("ProcessCommandLine",),
    "script": ("XScriptText",),
}
_WORDS = {
    "hash": "the same file",
    "address": "the same address",
    "command": "the same command line",
    "script": "the same script",
}


def marks(finding: Finding, lookup: Lookup | None = None) -> tuple[Mark, ...]:
    """What of a finding is telling enough to be looked for on other hosts and to link two findings."""
    found = [*_hashes(finding), *_addresses(finding, lookup), *_texts(finding)]
    return tuple(dict.fromkeys(found))


def _hashes(finding: Finding) -> Iterator[Mark]:
    row = finding.row
    for path, value in (("FolderPath", "SHA256"), ("InitiatingProcessFolderPath", "InitiatingProcessSHA256")):
        where, digest = str(row.get(path) or ""), str(row.get(value) or "").lower()
        if digest and where and not re.match(_SYSTEM, where):
            yield Mark("hash", digest)


def _addresses(finding: Finding, lookup: Lookup | None) -> Iterator[Mark]:
    for one in finding.analysis.indicators if finding.analysis else ():
        if one.scope not in (Reach.PUBLIC, Reach.RESERVED) or _is_shared(one, lookup):
            continue
        if one.kind in (
            IndicatorKind.URL,
            IndicatorKind.DOMAIN,
            IndicatorKind.IPV4,
            IndicatorKind.IPV6,
            IndicatorKind.ONION,
        ):
            yield Mark("address", one.value.lower())
    address = str(finding.row.get("RemoteIP") or "")
    if address and reach_of(address) == "public":
        one = Indicator(IndicatorKind.IPV6 if ":" in address else IndicatorKind.IPV4, address.lower(), 0, 0, 0)
        if not _is_shared(one, lookup):
            yield Mark("address", address.lower())


def _is_shared(one: Indicator, lookup: Lookup | None) -> bool:
    """Whether a warning list says that many use it: an address of a page there still tells."""
    if one.kind is IndicatorKind.URL and one.value.count("/") > 3:
        return False
    return any(listing.benign for listing in (*one.listings, *(lookup(one) if lookup else ())))


def _texts(finding: Finding) -> Iterator[Mark]:
    command = str(finding.row.get("ProcessCommandLine") or "") if finding.event.table == "DeviceProcessEvents" else ""
    if len(command) >= LEAST_COMMAND:
        yield Mark("command", command)
    script = str(finding.row.get("XScriptText") or "")
    if len(script) >= LEAST_COMMAND:
        yield Mark("script", script)


def find_elsewhere(tables: Iterable[Table], wanted: Iterable[Mark]) -> dict[Mark, list[Hit]]:
    """By mark, the events of any host or sensor that hold it, at most one for each host and mark."""
    by_column: dict[str, dict[str, Mark]] = defaultdict(dict)
    for mark in wanted:
        for column in _COLUMNS[mark.kind]:
            by_column[column][mark.value] = mark
    found: dict[Mark, dict[tuple[str, str], Hit]] = defaultdict(dict)
    for table in tables:
        for mark, hit in _in_table(table, by_column):
            found[mark].setdefault((hit.text("DeviceName").lower(), hit.text("LocalIP")), hit)
    return {mark: list(hits.values()) for mark, hits in found.items()}


def _in_table(table: Table, by_column: Mapping[str, Mapping[str, Mark]]) -> Iterator[tuple[Mark, Hit]]:
    for column, marks_of in by_column.items():
        if not table.has(column):
            continue
        held = compute.is_in(table.column(column), value_set=pa.array(list(marks_of), pa.string()))
        places = _one_of_each(table, column, cast("list[int]", compute.indices_nonzero(held).to_pylist()))
        names = [c for c in (*_WHERE, column) if table.has(c)]
        for row in table.data.select(list(dict.fromkeys(names))).take(pa.array(places, pa.int64())).to_pylist():
            ref = EventRef(table.name, str(row.get("XSourceFile") or ""), int(row.get("XSourceRecord") or 0))
            yield marks_of[row[column]], Hit({k: v for k, v in row.items() if v is not None}, ref, False)


def _one_of_each(table: Table, column: str, places: list[int]) -> list[int]:
    """Of the places, the first for each host, address and value; one busy host must not use the whole limit up."""
    taken = pa.array(places, pa.int64())
    columns = [table.column(c).take(taken).to_pylist() for c in ("DeviceName", column)]
    columns.append(table.column("LocalIP").take(taken).to_pylist() if table.has("LocalIP") else [None] * len(places))
    first: dict[tuple[Any, ...], int] = {}
    for place, *values in zip(places, *columns, strict=True):
        first.setdefault(tuple(values), place)
    return list(first.values())[:MAX_HITS]


def elsewhere(
    scope_host: str,
    between: tuple[datetime, datetime] | None,
    wanted: Sequence[Mark],
    found: Mapping[Mark, Sequence[Hit]],
    lookup: Lookup | None = None,
) -> Iterator[Fact]:
    """A case's facts from the search over all hosts: other hosts with the same signs, and what sensors saw."""
    for mark in wanted[:MAX_MARKS]:
        for hit in found.get(mark, ()):
            other = hit.text("DeviceName")
            if _is_sensor(hit):
                if between is None or hit.time is None or between[0] - BEFORE <= hit.time <= between[1] + AFTER:
                    yield listed(_seen(scope_host, mark, hit), lookup)
            elif other and other.lower() != scope_host.lower():
                said = f"{_WORDS[mark.kind]} on {other}: {mark.value[:SHOWN]}"
                yield Fact(
                    Kind.ELSEWHERE, _WORDS[mark.kind], said, other, hit.ref, hit.time, other, False, (mark.kind,)
                )


def _is_sensor(hit: Hit) -> bool:
    """Whether the record is of the network's: it names addresses and no process."""
    named = any(hit.row.get(c) is not None for c in ("InitiatingProcessId", "InitiatingProcessFileName"))
    return hit.ref.table == "DeviceNetworkEvents" and not named


def _seen(host: str, mark: Mark, hit: Hit) -> Fact:
    """A connection that a firewall or a network sensor saw to an address of the case; whose it was, it cannot say."""
    who, sensor = hit.text("LocalIP") or "a host", hit.text("DeviceName") or hit.text("XSourceFormat") or "a sensor"
    said = f"{who} reached {mark.value[:SHOWN]}, as {sensor} saw"
    return Fact(
        Kind.CONNECTION, "Seen by a sensor", said, mark.value, hit.ref, hit.time, host, None, ("public", "sensor")
    )


def find_children(scope: Scope, programs: re.Pattern[str]) -> Iterator[Fact]:
    """The programs that the case's interpreters started."""
    nodes = {node.key: node for node in scope.processes}
    for node in scope.processes:
        parent = nodes.get(node.parent or "")
        if parent is None or node.event is None or not programs.search(base_name(parent.path or parent.name)):
            continue
        if (parent.event and node.pid == parent.pid and parent.name == node.name) or base_name(
            node.path or node.name
        ) == base_name(parent.path or parent.name):
            continue
        odd = ("odd",) if re.search(ODD_CHILDREN, base_name(node.path or node.name)) else ()
        said = f"{parent.name} starts {node.name}: {node.command_line[:SHOWN]}"
        yield Fact(
            Kind.CHILD,
            "Child of the interpreter",
            said,
            node.command_line[:200] or node.name,
            node.event,
            node.time,
            scope.host,
            True,
            odd,
        )


def base_name(path: str) -> str:
    """The program's name without folder and `.exe`, lower-case."""
    return re.sub(r"\.exe$", "", path.replace("\\", "/").rsplit("/", 1)[-1].lower())


def find_related(scope: Scope, users: Iterable[str]) -> Iterator[Fact]:
    """Remote sessions, and what the case's users did outside its tree."""
    yield from _sessions(scope)
    table = scope.near.get("DeviceProcessEvents")
    if table is None:
        return
    for user in users:
        held = [
            compute.equal(compute.utf8_lower(table.column(c)), user.lower())
            for c in ("XUser", "AccountName")
            if table.has(c)
        ]
        mask = held[0] if len(held) == 1 else compute.or_kleene(*held) if held else None
        if mask is None:
            continue
        hits = [hit for hit in taken(scope, table.name, compute.fill_null(mask, False)) if not hit.own]
        if hits:
            total = int(compute.sum(compute.fill_null(mask, False)).as_py() or 0) - len(scope.own.get(table.name, ()))
            said = f"{user} started {max(total, len(hits)):,} more programs at the time, the first {hits[0].text('FileName')}"
            yield fact(scope, Kind.RELATED, "The same user", said, hits[0], user)


_REMOTE = frozenset(
    (
        "sshd",
        "sshd-session",
        "in.telnetd",
        "rdpclip",
        "wsmprovhost",
        "winrshost",
        "psexesvc",
        "wmiprvse",
        "mstsc",
        "teamviewer_service",
        "anydesk",
    )
)


def _sessions(scope: Scope) -> Iterator[Fact]:
    for node in scope.processes:
        if (name := base_name(node.path or node.name)) in _REMOTE:
            yield Fact(
                Kind.RELATED,
                "Remote session",
                f"the case runs under {name}, which serves remote sessions",
                name,
                node.event,
                node.time,
                scope.host,
                True,
                ("remote",),
            )
    table = scope.near.get("DeviceProcessEvents")
    if table is None or not table.has("IsProcessRemoteSession"):
        return
    mask = compute.fill_null(table.column("IsProcessRemoteSession"), False)
    for hit in taken(scope, table.name, mask):
        if hit.own:
            whence = (
                hit.text("ProcessRemoteSessionDeviceName") or hit.text("ProcessRemoteSessionIP") or "an unknown place"
            )
            yield fact(
                scope,
                Kind.RELATED,
                "Remote session",
                f"{hit.text('FileName')} runs in a session from {whence}",
                hit,
                whence,
                "remote",
            )


def distinct(table: Table, column: str) -> list[str]:
    """The different values of a column."""
    if not table.has(column):
        return []
    return [value for value in compute.unique(table.column(column)).to_pylist() if value]


_WHERE = ("DeviceName", "Timestamp", "LocalIP", "InitiatingProcessId", "InitiatingProcessFileName", "XSourceFormat",
          "XSourceFile", "XSourceRecord")  # fmt: skip
# What a search over all hosts needs of their rows.
SEARCHED = tuple(dict.fromkeys((*_WHERE, *(column for columns in _COLUMNS.values() for column in columns))))
