"""What changed on the host before and during a case: software, and the interpreter's own files."""

# ruff: noqa: E501 - a pattern broken in two is harder to read than a long one

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime, timedelta

import pyarrow as pa

from perilune.investigation.persistence import SHOWN
from perilune.investigation.scope import COLUMNS, Hit, Scope, compute, fact, find
from perilune.model.facts import Fact, Kind
from perilune.model.tables import TIME, EventRef, Table

RECENT = timedelta(days=7)  # how long before a case a change of software may explain or accuse it
MAX_CHANGES = 200

INSTALLERS = r"(?i)\b(apt(-get)?|dnf|yum|zypper|pacman|apk|brew|port|snap|flatpak)\s+(\S+\s+)*(install|add|upgrade|-S)\b|\b(dpkg|rpm)\s+(-\S*[iU]\S*|--install|--upgrade)\b|\b(pip\d?|npm|yarn|gem|cargo|luarocks|go)\s+(\S+\s+)*(install|add|make)\b|\b(choco|scoop|winget)(\.exe)?\s+(install|upgrade)\b|msiexec(\.exe)?\"?\s.*/(i|package|update)\b|add-appxpackage|install-(module|package|script)"
_SETTINGS = r"(?i)set-mppreference|add-mppreference|\bnetsh\s+(adv)?firewall|set-executionpolicy|\bsetenforce\s|\bufw\s|iptables\s|nft\s+(add|flush|delete)|auditctl\s|systemctl\s+(stop|disable|mask)|sc(\.exe)?\s+(stop|delete)|wevtutil\s+cl|clear-eventlog|bcdedit|vssadmin\s+delete|esxcli\s+system|logging\s+off|no\s+logging"
_GUARD = r"(?i)\\windows defender\\|\\policies\\microsoft\\windows\\(powershell|safer)|\\firewallpolicy\\|\\currentversion\\policies\\system"


_INSTALLER_PROGRAMS = r"(?i)(dpkg|apt(-get)?|rpm|dnf|yum|zypper|pacman|apk|snapd|flatpak|brew|msiexec|trustedinstaller|tiworker|winget|choco|packagekitd)(\.exe)?$"


def find_changes(scope: Scope) -> Iterator[Fact]:
    """Packages, programs and settings that changed in the week before the case or during it."""
    yield from _installed(scope)
    for hit in find(scope, "DeviceProcessEvents", ("ProcessCommandLine",), INSTALLERS):
        said = f"{hit.text('FileName') or 'a process'} is started with {hit.text('ProcessCommandLine')[:SHOWN]}"
        yield fact(
            scope,
            Kind.CHANGE,
            "Software installed by command",
            said,
            hit,
            hit.text("ProcessCommandLine")[:200],
            "software",
        )
    for hit in find(scope, "DeviceProcessEvents", ("ProcessCommandLine",), _SETTINGS):
        said = f"{hit.text('FileName') or 'a process'} is started with {hit.text('ProcessCommandLine')[:SHOWN]}"
        yield fact(
            scope,
            Kind.CHANGE,
            "Protection or service changed",
            said,
            hit,
            hit.text("ProcessCommandLine")[:200],
            "protection",
        )
    for hit in find(scope, "XScriptEvents", ("XScriptText",), _SETTINGS):
        said = f"a script holds {' '.join(hit.text('XScriptText').split())[:SHOWN]}"
        yield fact(
            scope, Kind.CHANGE, "Protection or service changed", said, hit, hit.text("XScriptText")[:200], "protection"
        )
    for hit in find(scope, "DeviceRegistryEvents", ("RegistryKey",), _GUARD):
        said = f"{hit.text('InitiatingProcessFileName') or 'a process'} sets {hit.text('RegistryKey')[:SHOWN]}"
        yield fact(
            scope, Kind.CHANGE, "Protection or service changed", said, hit, hit.text("RegistryKey"), "protection"
        )
    yield from _own_program(scope)


def _installed(scope: Scope) -> Iterator[Fact]:
    table = scope.whole("XInventoryEvents")
    if table is None:
        return
    for hit in _recent(scope, table):
        name, version = hit.text("SoftwareName"), hit.text("SoftwareVersion")
        verb = hit.text("ActionType").lower() or "changed"
        said = f"{hit.text('XPackageManager') or 'the package manager'} says {name} {version} {verb}".replace("  ", " ")
        yield fact(scope, Kind.CHANGE, "Software changed", said, hit, name, "software", "inventory")


def _recent(scope: Scope, table: Table) -> list[Hit]:
    """The newest changes before the case's end, within a week of its begin."""
    mask = compute.is_valid(table.column("SoftwareName"))
    if scope.begin is not None and scope.end is not None:
        times = table.column("Timestamp")
        low, high = (pa.scalar(moment, TIME) for moment in (scope.begin - RECENT, scope.end + timedelta(hours=1)))
        inside = compute.and_(compute.greater_equal(times, low), compute.less_equal(times, high))
        mask = compute.and_(mask, compute.fill_null(inside, False))
    names = [c for c in (*COLUMNS, "XSourceFile", "XSourceRecord") if table.has(c)]
    data = table.data.select(list(dict.fromkeys(names))).filter(mask)
    return [_hit(table.name, row) for row in data.slice(max(0, data.num_rows - MAX_CHANGES)).to_pylist()]


def _hit(name: str, values: dict[str, object]) -> Hit:
    row = {column: value for column, value in values.items() if value is not None}
    return Hit(row, EventRef(name, str(row.get("XSourceFile") or ""), int(str(row.get("XSourceRecord") or 0))), None)


def _own_program(scope: Scope) -> Iterator[Fact]:
    """A program of the case whose file was itself written near the case: it was not installed here before."""
    table = scope.near.get("DeviceFileEvents")
    if table is None or not table.has("FolderPath"):
        return
    for hit in find(
        scope, "DeviceFileEvents", ("FolderPath",), r"(?i)\.(exe|dll|so|com|scr)$|/bin/|^/(tmp|dev/shm|var/tmp|home)/"
    ):
        path = hit.text("FolderPath").lower()
        first = _first_run(scope, path)
        if (
            hit.text("ActionType") in ("FileCreated", "FileRenamed")
            and first is not None
            and (hit.time is None or hit.time <= first)
        ):
            by = hit.text("InitiatingProcessFileName") or "a process"
            sort = "installed" if re.match(_INSTALLER_PROGRAMS, by) else "program"
            yield fact(
                scope,
                Kind.CHANGE,
                "Program brought in",
                f"{by} writes the program {path[:SHOWN]} before it is run",
                hit,
                path,
                sort,
            )


def _first_run(scope: Scope, path: str) -> datetime | None:
    times = [node.time for node in scope.processes if node.path.lower() == path and node.time is not None]
    return min(times, default=None)
