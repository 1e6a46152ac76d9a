"""Findings become cases: which belong together, with the process tree and the timeline around them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from perilune.investigation import timeline, tree
from perilune.model.case import Case, ProcessNode, TimelineEntry
from perilune.model.findings import Explained, Finding, Judged
from perilune.model.sources import Reading, SourceReport
from perilune.model.tables import EventRef, Table
from perilune.store.spool import Spool
from perilune.triage import grouping, verdict

MAX_TREE = 200
MAX_TIMELINE = 300
MAX_SOURCES = 100  # kept with a case; the hunt itself names all
MAX_EXPLAINED = 100
AROUND = timedelta(hours=1)  # how far around its findings a case's timeline looks


def investigate(
    judged: Judged, spool: Spool, sources: Sequence[SourceReport]
) -> tuple[tuple[Case, ...], tuple[Finding, ...]]:
    """Grows each host's process trees, finds which findings belong together, and makes cases of them."""
    cases: list[Case] = []
    placed: list[Finding] = []
    for group in _by_host(judged.findings):
        host = _know(group, spool)
        placed += host.findings
        cases += [
            with_input(_case(found, host, judged.cut), judged.explained, sources)
            for found in grouping.group(host.findings, host.anchors)
        ]
    cases.sort(key=lambda case: (-case.score, -len(case.findings), case.key))
    return tuple(cases), tuple(sorted(placed, key=lambda f: (-f.score, f.id)))


@dataclass(frozen=True, slots=True)
class _Host:
    """What is known of one host: its findings, each at its process, the trees, and the rows of every table.

    `anchors`: by finding id, the process that the finding's story starts at.
    """

    findings: list[Finding]
    forest: tree.Forest
    anchors: dict[str, str]
    rows: tuple[timeline.HostRows, ...]


def _know(findings: Sequence[Finding], spool: Spool) -> _Host:
    tables = [_rows_of(spool, name, findings[0], timeline.COLUMNS) for name in sorted(spool.rows)]
    forest = tree.grow(_rows_of(spool, "DeviceProcessEvents", findings[0], tree.COLUMNS), _acting(findings))
    placed = [replace(finding, process=forest.actor(_timed(finding))) for finding in findings]
    anchors = {f.id: tree.anchor(forest, f.process) for f in placed if f.process is not None}
    return _Host(placed, forest, anchors, timeline.prepare(tables))


def with_input(case: Case, explained: Sequence[Explained], sources: Sequence[SourceReport]) -> Case:
    """The case with what was read for it: its own files, then the faulty ones, then the rest, up to a limit."""
    own = {finding.event.source for finding in case.findings}
    ordered = sorted(sources, key=lambda s: (s.path not in own, s.reading is Reading.COMPLETE, s.path))
    here = [one for one in explained if one.host == case.host]
    return replace(case, sources=tuple(ordered[:MAX_SOURCES]), explained=tuple(here[:MAX_EXPLAINED]))


def _case(group: Sequence[Finding], known: _Host, cut: Mapping[str, int]) -> Case:
    """One case of findings that belong together, with the tree and the timeline around them."""
    score, level, reasons = verdict.weigh_case(group)
    top = max(group, key=lambda finding: finding.score)
    wanted = dict.fromkeys(f.process for f in group if f.process is not None)
    nodes, tree_cut = tree.prune(known.forest, list(wanted), MAX_TREE)
    by_process: dict[str, list[str]] = defaultdict(list)
    for finding in group:
        if finding.process is not None:
            by_process[finding.process].append(finding.id)
    nodes = tuple(tree.marked(node, by_process.get(node.key, ())) for node in nodes)
    story = _below(nodes, {known.anchors[f.id] for f in group if f.id in known.anchors})
    entries, timeline_cut = _timeline(group, story, known)
    times = [finding.time for finding in group if finding.time is not None]
    return Case(
        key=f"{group[0].host.lower()}|{known.anchors.get(group[0].id) or group[0].id}",
        title=top.rule_title,
        host=top.host,
        users=tuple(dict.fromkeys(f.user for f in group if f.user)),
        level=level,
        score=score,
        reasons=reasons,
        techniques=tuple(dict.fromkeys(t for f in group for t in f.techniques)),
        findings=tuple(sorted(group, key=lambda f: (-f.score, f.time is None, f.time, f.id))),
        tree=nodes,
        timeline=entries,
        first=min(times, default=None),
        last=max(times, default=None),
        tree_cut=tree_cut,
        timeline_cut=timeline_cut,
        repeats={f.rule_id: cut[f.rule_id] for f in group if f.rule_id in cut},
    )


def _timeline(
    group: Sequence[Finding], story: Sequence[ProcessNode], known: _Host
) -> tuple[tuple[TimelineEntry, ...], int]:
    marks: dict[EventRef, tuple[str, ...]] = {}
    for finding in group:
        marks[finding.event] = (*marks.get(finding.event, ()), finding.id)
    times = [f.time for f in group if f.time is not None]
    return timeline.build(
        known.rows,
        unique={node.key for node in story if node.key.startswith("{") or "@" not in node.key},
        pids={node.pid for node in story if node.pid is not None and "@" in node.key},
        findings=marks,
        between=(min(times) - AROUND, max(times) + AROUND) if times else None,
        limit=MAX_TIMELINE,
    )


def _below(nodes: Sequence[ProcessNode], anchors: set[str]) -> list[ProcessNode]:
    """The nodes of a depth-first tree that are an anchor or below one; all, where there is no anchor."""
    if not anchors:
        return list(nodes)
    inside: set[str] = set()
    for node in nodes:
        if node.key in anchors or node.parent in inside:
            inside.add(node.key)
    return [node for node in nodes if node.key in inside]


def _by_host(findings: Sequence[Finding]) -> list[list[Finding]]:
    groups: dict[str, list[Finding]] = defaultdict(list)
    for finding in findings:
        groups[finding.host].append(finding)
    return list(groups.values())


def _rows_of(spool: Spool, table: str, finding: Finding, columns: Sequence[str]) -> Table:
    host = finding.row.get("DeviceName")
    return spool.of_host(table, str(host) if host is not None else None, finding.event.source, columns)


def _acting(findings: Sequence[Finding]) -> list[Mapping[str, object]]:
    """The rows of findings on other tables, whose acting process no start may describe."""
    return [_timed(f) for f in findings if f.event.table != "DeviceProcessEvents"]


def _timed(finding: Finding) -> dict[str, object]:
    """The finding's row with its times as times again."""
    row = dict(finding.row)
    for name in ("Timestamp", "ProcessCreationTime", "InitiatingProcessCreationTime"):
        value = row.get(name)
        if isinstance(value, str):
            row[name] = datetime.fromisoformat(value)
    return row
