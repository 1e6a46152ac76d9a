"""Which findings are one case: those of one process tree, of one session, of one user close in time on one host, and
those that share something telling (a file, an address, a script, a command line) on any host."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

from perilune.model.findings import Finding

SAME_TREE = timedelta(hours=4)  # a tree that is silent for longer starts a new case
SAME_HOST = timedelta(minutes=15)  # different trees, same host and user
SAME_SESSION = timedelta(hours=2)  # different trees, same logon
SAME_MARK = timedelta(days=7)  # the same file, address, script or command, on any host

_NEVER = datetime(1, 1, 1, tzinfo=UTC)


def group(
    findings: Sequence[Finding], anchors: Mapping[str, str], links: Mapping[str, Sequence[str]] | None = None
) -> list[list[Finding]]:
    """Splits findings into cases.

    Args:
        findings: of any hosts, in any order.
        anchors: by finding id, the process that the finding's story starts at; absent where unknown.
        links: by finding id, the names of what it shares with findings of the same intrusion anywhere.

    Returns:
        One list per case, each oldest first, the cases in order of their first finding.
    """
    links = _with_members(findings, links or {})
    ordered = sorted(findings, key=_when)
    leader = list(range(len(ordered)))
    newest: dict[tuple[str, str, str], int] = {}
    for index, finding in enumerate(ordered):
        for neighbour, most in _neighbours(finding, anchors, links):
            before = newest.get(neighbour)
            if before is not None and _gap(ordered[before], finding) <= most:
                leader[_find(leader, index)] = _find(leader, before)
            newest[neighbour] = index
    groups: dict[int, list[Finding]] = defaultdict(list)
    for index, finding in enumerate(ordered):
        groups[_find(leader, index)].append(finding)
    return sorted(groups.values(), key=lambda case: _when(case[0]))


def _neighbours(
    finding: Finding, anchors: Mapping[str, str], links: Mapping[str, Sequence[str]]
) -> list[tuple[tuple[str, str, str], timedelta]]:
    """What a finding may share with an earlier one, and how long before that one may be."""
    host = finding.host.lower()
    shared = [((host, "user", finding.user.lower()), SAME_HOST)]
    if anchor := anchors.get(finding.id):
        shared.append(((host, "tree", anchor), SAME_TREE))
    if session := _session(finding):
        shared.append(((host, "session", session), SAME_SESSION))
    shared += [(("", "mark", name), SAME_MARK) for name in links.get(finding.id, ())]
    return shared


_SERVICES = frozenset(("0", "996", "997", "999", "4294967295"))  # logons that all services share, or none at all


def _session(finding: Finding) -> str:
    """The logon that a person opened, where the event names one; services share theirs with everything."""
    for column in ("LogonId", "InitiatingProcessLogonId", "XLogonGuid"):
        value = str(finding.row.get(column) or "")
        if value and value not in _SERVICES and not value.startswith("{00000000"):
            return value
    return ""


def _with_members(findings: Sequence[Finding], links: Mapping[str, Sequence[str]]) -> Mapping[str, Sequence[str]]:
    """The links with those of correlations: a finding on one of a correlation's events is part of the same story."""
    told = {member.event for finding in findings for member in finding.members}
    if not told:
        return links
    found = {id_: list(names) for id_, names in links.items()}
    for finding in findings:
        events = {finding.event, *(member.event for member in finding.members)} & told
        found.setdefault(finding.id, []).extend(f"event:{e.table}|{e.source}|{e.record}" for e in events)
    return found


def _find(leader: list[int], index: int) -> int:
    while leader[index] != index:
        leader[index] = leader[leader[index]]
        index = leader[index]
    return index


def _gap(earlier: Finding, later: Finding) -> timedelta:
    if earlier.time is None or later.time is None:
        return timedelta(0)
    return later.time - earlier.time


def _when(finding: Finding) -> tuple[datetime, str]:
    return finding.time or _NEVER, finding.id
