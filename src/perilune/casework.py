"""Findings become cases: which belong together, the tree and the timeline around them, facts, answers, a verdict."""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from perilune.investigation import gathering, joining, related, scope, timeline, tree
from perilune.investigation.gathering import Around
from perilune.investigation.related import Mark
from perilune.model.case import Case, ProcessNode, TimelineEntry
from perilune.model.facts import Fact, Facts
from perilune.model.findings import Explained, Finding, Judged
from perilune.model.sources import Reading, SourceReport
from perilune.model.tables import EventRef, Table
from perilune.store.merge import merge
from perilune.store.spool import Spool
from perilune.triage import escalation, grouping, questions, telling, verdict

MAX_TREE = 200
MAX_TIMELINE = 300
MAX_SOURCES = 100  # kept with a case; the hunt itself names all
MAX_EXPLAINED = 100
MAX_HOSTS = 8  # of one case whose trees, timelines and facts are gathered
MAX_INVESTIGATED = 400  # cases of one hunt that are worked through, heaviest first
MAX_OF_HOST = 30  # and of one host: each asks its rows some forty times
KEPT_ROWS = 30_000  # of hosts, stay in memory, at 2 kB each with their trees; a host that is let go is read again
AROUND = timedelta(hours=1)  # how far around its findings a case's timeline looks


def investigate(
    judged: Judged,
    spool: Spool,
    sources: Sequence[SourceReport],
    around: Around | None = None,
    feedback: verdict.Feedback | None = None,
) -> tuple[tuple[Case, ...], tuple[Finding, ...]]:
    """Places each finding in its host's process trees, finds which belong together, and makes answered cases of them.

    around: lists, schedules and assets; what the logs themselves say is filled in here.
    feedback: by rule id, how often people called it true and false.
    """
    hosts = _Hosts(judged.findings, spool)
    placed = [finding for host in hosts.names for finding in hosts.of(host).findings]
    beside = _beside(around or Around(), placed, judged, spool)
    marks = {f.id: related.marks(f, beside.lookup) for f in placed if f.score >= verdict.MEDIUM}
    links = {id_: [mark.name for mark in found] for id_, found in marks.items()}
    groups = grouping.group(placed, hosts.anchors, links)
    groups.sort(key=lambda group: -verdict.weigh_case(group)[0])
    chosen = _worked_through(groups)
    wanted = {number: _marks_of(groups[number], marks) for number in chosen}
    seen = related.find_elsewhere(_all_rows(spool), {mark for found in wanted.values() for mark in found})
    cases = []
    for number, group in sorted(enumerate(groups), key=lambda each: each[1][0].host):  # each host is read once
        case = _case(group, hosts, judged.cut)
        if number in wanted:
            around_it = related.elsewhere(case.host, _span(case), wanted[number], seen, beside.lookup)
            case = _answered(case, hosts, beside, around_it, feedback or {})
        cases.append(with_input(case, judged.explained, sources))
    cases.sort(key=lambda case: (-case.score, -len(case.findings), case.key))
    return tuple(cases), tuple(sorted(placed, key=lambda f: (-f.score, f.id)))


@dataclass(frozen=True, slots=True)
class _Host:
    """What is known of one host: its findings, each at its process, the trees, and the rows of every table."""

    findings: list[Finding]
    forest: tree.Forest
    rows: tuple[timeline.HostRows, ...]

    @property
    def size(self) -> int:
        return sum(len(rows.table) for rows in self.rows)


class _Hosts:
    """The hosts of a run that have findings; the rows and trees of a few stay in memory.

    `anchors`: by finding id, the process that the finding's story starts at.
    """

    def __init__(self, findings: Sequence[Finding], spool: Spool) -> None:
        self._groups: dict[str, list[Finding]] = defaultdict(list)
        for finding in findings:
            self._groups[finding.host].append(finding)
        self._spool = spool
        self._known: OrderedDict[str, _Host] = OrderedDict()
        self._rows = 0  # of the known hosts
        self.anchors: dict[str, str] = {}

    @property
    def names(self) -> list[str]:
        return list(self._groups)

    def of(self, host: str) -> _Host:
        """The host, grown anew where it was let go."""
        if host not in self._known:
            grown = self._known[host] = self._grow(self._groups[host])
            self._rows += grown.size
            while len(self._known) > 1 and self._rows > KEPT_ROWS:
                self._rows -= self._known.popitem(last=False)[1].size
        self._known.move_to_end(host)
        return self._known[host]

    def _grow(self, findings: Sequence[Finding]) -> _Host:
        spool = self._spool
        columns = tuple(dict.fromkeys((*timeline.COLUMNS, *scope.COLUMNS)))
        tables = [_rows_of(spool, name, findings[0], columns) for name in sorted(spool.rows)]
        forest = tree.grow(_rows_of(spool, "DeviceProcessEvents", findings[0], tree.COLUMNS), _acting(findings))
        placed = [replace(finding, process=forest.actor(_timed(finding))) for finding in findings]
        self.anchors |= {f.id: tree.anchor(forest, f.process) for f in placed if f.process is not None}
        return _Host(placed, forest, timeline.prepare(tables))


def _beside(around: Around, placed: Sequence[Finding], judged: Judged, spool: Spool) -> Around:
    """What the run knows beside one case: all findings and known uses by host, how many hosts its logs name."""
    others: dict[str, list[Finding]] = defaultdict(list)
    for finding in placed:
        others[finding.host].append(finding)
    explained: dict[str, list[Explained]] = defaultdict(list)
    for one in judged.explained:
        explained[one.host].append(one)
    return replace(around, others=others, explained=explained, hosts=len(_host_names(spool)))


def _host_names(spool: Spool) -> set[str]:
    return {name for table in _all_rows(spool, ("DeviceName",)) for name in related.distinct(table, "DeviceName")}


def _all_rows(spool: Spool, columns: Sequence[str] = related.SEARCHED) -> Iterator[Table]:
    """All rows of a run in bounded pieces."""
    for name in sorted(spool.rows):
        yield from spool.parts(name, columns)


def _worked_through(groups: Sequence[Sequence[Finding]]) -> list[int]:
    """The places of the cases that are worked through, of all hosts the heaviest first."""
    counts: dict[str, int] = defaultdict(int)
    chosen = []
    for number, group in enumerate(groups[:MAX_INVESTIGATED]):
        names = {finding.host for finding in group}
        if any(counts[name] < MAX_OF_HOST for name in names):
            chosen.append(number)
        for name in names:
            counts[name] += 1
    return chosen


def _span(case: Case) -> tuple[datetime, datetime] | None:
    return None if case.first is None or case.last is None else (case.first, case.last)


def _marks_of(group: Sequence[Finding], marks: Mapping[str, Sequence[Mark]]) -> list[Mark]:
    found = dict.fromkeys(mark for f in sorted(group, key=lambda f: -f.score) for mark in marks.get(f.id, ()))
    return list(found)[: related.MAX_MARKS]


def with_input(case: Case, explained: Sequence[Explained], sources: Sequence[SourceReport]) -> Case:
    """The case with what was read for it: its own files, then the faulty ones, then the rest, up to a limit."""
    own = {finding.event.source for finding in case.findings}
    ordered = sorted(sources, key=lambda s: (s.path not in own, s.reading is Reading.COMPLETE, s.path))
    here = [one for one in explained if one.host in case.hosts]
    return replace(case, sources=tuple(ordered[:MAX_SOURCES]), explained=tuple(here[:MAX_EXPLAINED]))


def _case(group: Sequence[Finding], hosts: _Hosts, cut: Mapping[str, int]) -> Case:
    """One case of findings that belong together, with the trees and the timeline around them."""
    score, level, reasons = verdict.weigh_case(group)
    top = max(group, key=lambda finding: (finding.score, finding.id))
    names = _host_order(group, top)
    drawn = [
        _drawn(name, [f for f in group if f.host == name], hosts, first=name == top.host) for name in names[:MAX_HOSTS]
    ]
    findings = [f for one in drawn for f in one.findings] + [f for f in group if f.host in names[MAX_HOSTS:]]
    nodes = [node for one in drawn for node in one.nodes]
    entries = sorted((e for one in drawn for e in one.entries), key=lambda e: (e.time is None, e.time, e.event.record))
    times = [finding.time for finding in group if finding.time is not None]
    first = min(group, key=lambda f: (f.time is None, f.time, f.id))
    return Case(
        key=f"{first.host.lower()}|{hosts.anchors.get(first.id) or first.id}",
        title=top.rule_title,
        host=top.host,
        hosts=tuple(names),
        users=tuple(dict.fromkeys(f.user for f in group if f.user)),
        level=level,
        score=score,
        reasons=reasons,
        techniques=_techniques(group),
        findings=tuple(sorted(findings, key=lambda f: (-f.score, f.time is None, f.time, f.id))),
        tree=tuple(nodes),
        timeline=tuple(entries),
        first=min(times, default=None),
        last=max(times, default=None),
        tree_cut=sum(one.nodes_cut for one in drawn),
        timeline_cut=sum(one.entries_cut for one in drawn),
        repeats={f.rule_id: cut[f.rule_id] for f in group if f.rule_id in cut},
    )


def _techniques(group: Sequence[Finding]) -> tuple[str, ...]:
    """The sub-technique that weighs most first, then the rest as the findings name them."""
    named = dict.fromkeys(t for f in group for t in f.techniques)
    main = (topic.technique for topic in questions.topics_of(group) if topic.technique in named)
    return tuple(dict.fromkeys((*main, *named)))


def _host_order(group: Sequence[Finding], top: Finding) -> list[str]:
    """The hosts of a case, the one of its heaviest finding first."""
    best: dict[str, int] = {}
    for finding in group:
        best[finding.host] = max(best.get(finding.host, 0), finding.score)
    return sorted(best, key=lambda host: (host != top.host, -best[host], host))


@dataclass(frozen=True, slots=True)
class _Drawn:
    """What a case shows of one host."""

    findings: list[Finding]
    nodes: list[ProcessNode]
    nodes_cut: int
    entries: list[TimelineEntry]
    entries_cut: int


def _drawn(name: str, group: list[Finding], hosts: _Hosts, *, first: bool) -> _Drawn:
    known = hosts.of(name)
    nodes, nodes_cut = _tree(group, known.forest)
    entries, entries_cut = _timeline(group, _story(nodes, group, hosts), known)
    if first:
        return _Drawn(group, nodes, nodes_cut, list(entries), entries_cut)
    moved = [replace(f, process=joining.key_at(f.process, name)) if f.process else f for f in group]
    far = [joining.at_host(node, name) for node in nodes]
    return _Drawn(moved, far, nodes_cut, joining.entries_at(entries, name), entries_cut)


def _tree(group: Sequence[Finding], forest: tree.Forest) -> tuple[list[ProcessNode], int]:
    wanted = dict.fromkeys(f.process for f in group if f.process is not None)
    nodes, cut = tree.prune(forest, list(wanted), MAX_TREE)
    by_process: dict[str, list[str]] = defaultdict(list)
    for finding in group:
        if finding.process is not None:
            by_process[finding.process].append(finding.id)
    return [tree.marked(node, by_process.get(node.key, ())) for node in nodes], cut


def _story(nodes: Sequence[ProcessNode], group: Sequence[Finding], hosts: _Hosts) -> list[ProcessNode]:
    return _below(nodes, {hosts.anchors[f.id] for f in group if f.id in hosts.anchors})


def reconsider(case: Case, feedback: verdict.Feedback | None = None) -> Case:
    """The case scored and answered anew from what is kept with it: after joining, parting, or a further hunt."""
    about = questions.topics_of(case.findings)
    top = max(case.findings, key=lambda finding: (finding.score, finding.id))
    score, level, reasons = verdict.weigh_case(case.findings, case.facts, feedback)
    answers = questions.ask(case.findings, case.tree, case.facts, score=score, about=about, tree_cut=case.tree_cut)
    sentence = telling.tell(case.findings, case.tree, case.facts, about[0])
    judged = verdict.judge(case.findings, case.facts, answers, score=score, sentence=sentence)
    return replace(
        case,
        title=top.rule_title,
        host=top.host,
        hosts=tuple(_host_order(case.findings, top)),
        users=tuple(dict.fromkeys(f.user for f in case.findings if f.user)),
        techniques=_techniques(case.findings),
        score=score,
        level=level,
        reasons=reasons,
        answers=answers,
        verdict=judged,
        escalation=escalation.decide(answers, case.facts, judged),
    )


def join(cases: Sequence[Case], feedback: verdict.Feedback | None = None) -> Case:
    """The first case with what the others hold."""
    joined = cases[0]
    for other in cases[1:]:
        joined = merge(joined, other)
    return reconsider(joined, feedback)


def part(case: Case, ids: Collection[str], feedback: verdict.Feedback | None = None) -> tuple[Case, Case]:
    """The case without these findings, and a case of them."""
    taken = _only(case, [f for f in case.findings if f.id in ids])
    rest = _only(case, [f for f in case.findings if f.id not in ids])
    taken = replace(taken, id="", key=f"{case.key}#{taken.findings[0].id}", entries=())
    return reconsider(rest, feedback), reconsider(taken, feedback)


def _only(case: Case, findings: Sequence[Finding]) -> Case:
    """The case with some of its findings, the marks of the others taken off its tree and timeline."""
    kept = {finding.id for finding in findings}
    times = [finding.time for finding in findings if finding.time is not None]
    return replace(
        case,
        findings=tuple(findings),
        tree=tuple(replace(n, findings=tuple(f for f in n.findings if f in kept)) for n in case.tree),
        timeline=tuple(replace(e, findings=tuple(f for f in e.findings if f in kept)) for e in case.timeline),
        first=min(times, default=None),
        last=max(times, default=None),
        repeats={f.rule_id: case.repeats[f.rule_id] for f in findings if f.rule_id in case.repeats},
    )


def _answered(case: Case, hosts: _Hosts, around: Around, elsewhere: Iterable[Fact], feedback: verdict.Feedback) -> Case:
    """The case with its facts, weighed anew with them, its questions answered, and what follows."""
    about = questions.topics_of(case.findings)
    programs = {topic.technique: topic.programs for topic in about}
    seen = list(elsewhere)
    parts = [_facts(case, name, hosts, around, programs, seen) for name in case.hosts[:MAX_HOSTS]]
    facts = joining.join_facts(parts)
    return reconsider(replace(case, facts=facts), feedback)


def _facts(
    case: Case, name: str, hosts: _Hosts, around: Around, programs: Mapping[str, str], elsewhere: Sequence[Fact]
) -> Facts:
    """The facts of one of a case's hosts. What other hosts show is told once, with the first."""
    known = hosts.of(name)
    wanted = {one.id for one in case.findings}
    group = [f for f in known.findings if f.id in wanted]
    nodes, _ = _tree(group, known.forest)
    story = _story(nodes, group, hosts)
    cut = scope.cut_out(name, known.rows, story, group)
    users = dict.fromkeys(f.user for f in group if f.user)
    return gathering.gather(
        cut, around, programs=programs, users=list(users)[:4], elsewhere=elsewhere if name == case.host else ()
    )


def _timeline(
    group: Sequence[Finding], story: Sequence[ProcessNode], known: _Host
) -> tuple[tuple[TimelineEntry, ...], int]:
    marks: dict[EventRef, tuple[str, ...]] = {}
    for finding in group:
        for event in {finding.event, *(member.event for member in finding.members)}:
            marks[event] = (*marks.get(event, ()), finding.id)
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
