"""The story, one function per arrow: files -> tables -> matches -> findings -> cases.

Each room takes a value and returns a new one; only this file knows them all. Read `hunt` downwards.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from importlib.resources import as_file, files
from pathlib import Path

import orjson

from perilune import readers
from perilune.detection import matching, sigma
from perilune.investigation import timeline, tree
from perilune.model.case import Case, ProcessNode, TimelineEntry
from perilune.model.findings import Context, Explained, Finding
from perilune.model.rules import Level, Match, Refusal, Role, Rule, RuleSet
from perilune.model.sources import SourceReport
from perilune.model.tables import EventRef, Table
from perilune.store.spool import Spool
from perilune.triage import grouping, verdict

MAX_MATCHES_PER_RULE = 2_000  # listed per rule and run; further ones are counted and said
MAX_TREE = 200
MAX_TIMELINE = 300
AROUND = timedelta(hours=1)  # how far around its findings a case's timeline looks

Progress = Callable[[SourceReport], None]


@dataclass(frozen=True, slots=True)
class Hit:
    """A match and the row it stands on."""

    match: Match
    row: Mapping[str, object]


@dataclass(slots=True)
class Hits:
    """The matches of a run: all counted, and at most `MAX_MATCHES_PER_RULE` of each rule kept."""

    kept: list[Hit] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)

    def room(self, rule: Rule) -> bool:
        return self.counts[rule.id] < MAX_MATCHES_PER_RULE

    @property
    def cut(self) -> dict[str, int]:
        """By rule id, how many matches were counted and not kept."""
        most = MAX_MATCHES_PER_RULE
        return {rule: count - most for rule, count in self.counts.items() if count > most}


@dataclass(frozen=True, slots=True)
class Hunt:
    """What a hunt found and what it could see.

    cases      most urgent first
    findings   every finding, also those outside the listed cases' limits
    explained  runs of an interpreter that a known host explains
    sources    what each file gave
    refused    rules that could not be evaluated, and why
    cut        by rule id, how many further matches were counted but not listed
    """

    cases: tuple[Case, ...]
    findings: tuple[Finding, ...]
    explained: tuple[Explained, ...]
    sources: tuple[SourceReport, ...]
    rules: int
    refused: tuple[Refusal, ...]
    cut: Mapping[str, int]
    spool: Spool = field(repr=False)

    @property
    def tables(self) -> dict[str, Table]:
        """The rows that were read, by table; only tables and columns that hold something."""
        return {name: self.spool.table(name) for name in sorted(self.spool.rows) if self.spool.rows[name]}


def hunt(
    paths: Iterable[str | Path],
    *,
    rules: Iterable[str | Path] = (),
    pack: bool = True,
    content: Path | None = None,
    least: Level = Level.INFORMATIONAL,
    limits: readers.Limits | None = None,
    progress: Progress | None = None,
) -> Hunt:
    """Reads logs and returns ranked cases.

    Args:
        paths: files and folders, of any supported format, archives included.
        rules: files and folders of Sigma rules to use besides the pack.
        pack: whether to use the rules and known hosts that ship with Perilune.
        content: the user's own content folder, laid out as the packaged one.
        least: use only rules of this level and above; known hosts are always used.
        limits: budgets of the readers.
        progress: called with each file's report as it is done.
    """
    ruleset = select(load_rules(rules, pack=pack, content=content), least)
    sources: list[SourceReport] = []
    spool = Spool()
    hits = Hits()
    for item in readers.read([Path(p) for p in paths], limits or readers.Limits()):
        if isinstance(item, SourceReport):
            sources.append(item)
            if progress is not None:
                progress(item)
            continue
        spool.add(item)
        detect(ruleset, item, hits)
    findings, explained = judge(hits.kept)
    cases, findings = investigate(findings, spool, hits.cut)
    return Hunt(
        cases=cases,
        findings=findings,
        explained=explained,
        sources=tuple(sources),
        rules=sum(rule.role is Role.DETECTION for rule in ruleset.rules),
        refused=ruleset.refused,
        cut=hits.cut,
        spool=spool,
    )


def load_rules(paths: Iterable[str | Path] = (), *, pack: bool = True, content: Path | None = None) -> RuleSet:
    """The pack, the user's own content, and the given rules; a rule given twice counts once."""
    found: list[RuleSet] = []
    if pack:
        with as_file(files("perilune") / "content") as folder:
            found.append(sigma.load([folder / "sigma", folder / "known_hosts"]))
    if content is not None:
        own = [folder for name in ("sigma", "known_hosts") if (folder := content / name).is_dir()]
        found.append(sigma.load(own))
    found.append(sigma.load([Path(p) for p in paths]))
    unique = {rule.digest: rule for ruleset in found for rule in ruleset.rules}
    refused = tuple(refusal for ruleset in found for refusal in ruleset.refused)
    return RuleSet(tuple(unique.values()), refused)


def select(ruleset: RuleSet, least: Level) -> RuleSet:
    """The rules of a level and above, and every known use."""
    chosen = (rule for rule in ruleset.rules if rule.role is Role.CONTEXT or rule.level >= least)
    return RuleSet(tuple(chosen), ruleset.refused)


def detect(ruleset: RuleSet, table: Table, hits: Hits) -> None:
    """Matches every rule over a batch and keeps what it hit."""
    rows: dict[int, dict[str, object]] = {}
    for rule, index in matching.match(ruleset, table):
        room = hits.room(rule)
        hits.counts[rule.id] += 1
        if not room:
            continue
        if index not in rows:
            rows[index] = table.row(index)
        row = rows[index]
        match = Match(rule, table.ref(index), matching.evidence(rule, table.name, row))
        hits.kept.append(Hit(match, row))


def judge(hits: Sequence[Hit]) -> tuple[tuple[Finding, ...], tuple[Explained, ...]]:
    """Weighs each match with the known uses recognised on the same event.

    An event that only a known use speaks of is explained, not a finding.
    """
    contexts: dict[EventRef, list[Context]] = defaultdict(list)
    accused: set[EventRef] = set()
    for hit in hits:
        if hit.match.rule.role is Role.CONTEXT:
            contexts[hit.match.event].append(_context(hit.match))
        else:
            accused.add(hit.match.event)
    findings: dict[str, Finding] = {}
    explained: dict[EventRef, Explained] = {}
    for hit in hits:
        event = hit.match.event
        if hit.match.rule.role is Role.DETECTION:
            finding = _finding(hit, contexts[event])
            findings.setdefault(finding.id, finding)
        elif event not in accused:
            explained.setdefault(event, _explained(hit))
    return tuple(findings.values()), tuple(explained.values())


def investigate(
    findings: Sequence[Finding], spool: Spool, cut: Mapping[str, int]
) -> tuple[tuple[Case, ...], tuple[Finding, ...]]:
    """Grows each host's process trees, finds which findings belong together, and makes cases of them."""
    forests: dict[str, tree.Forest] = {}
    anchors: dict[str, str] = {}
    placed: list[Finding] = []
    for host, group in _by_host(findings):
        forest = tree.grow(_rows_of(spool, "DeviceProcessEvents", group[0], tree.COLUMNS), _acting(group))
        forests[host] = forest
        for finding in group:
            key = forest.actor(_timed(finding))
            placed.append(replace(finding, process=key))
            if key is not None:
                anchors[finding.id] = tree.anchor(forest, key)
    cases = [_case(group, forests[group[0].host], anchors, spool, cut) for group in grouping.group(placed, anchors)]
    cases.sort(key=lambda case: (-case.score, -len(case.findings), case.key))
    return tuple(cases), tuple(sorted(placed, key=lambda f: (-f.score, f.id)))


def _context(match: Match) -> Context:
    return Context(match.rule.id, match.rule.title, match.rule.lowers, match.evidence)


def _finding(hit: Hit, contexts: Sequence[Context]) -> Finding:
    rule, row = hit.match.rule, hit.row
    score, reasons = verdict.weigh_finding(rule, contexts)
    return Finding(
        id=finding_id(rule, hit.match.event.table, row),
        rule_id=rule.id,
        rule_title=rule.title,
        rule_author=rule.author,
        rule_description=rule.description,
        rule_license=rule.license,
        rule_link=rule.link,
        rule_references=rule.references,
        rule_falsepositives=rule.falsepositives,
        rule_source=rule.source,
        tags=rule.tags,
        level=rule.level,
        techniques=rule.techniques,
        event=hit.match.event,
        host=_host(row, hit.match.event),
        user=_user(row),
        time=_time(row),
        row={name: _plain(value) for name, value in row.items()},
        evidence=hit.match.evidence,
        score=score,
        reasons=reasons,
        context=tuple(contexts),
    )


def _explained(hit: Hit) -> Explained:
    row = hit.row
    return Explained(
        context=_context(hit.match),
        event=hit.match.event,
        host=_host(row, hit.match.event),
        user=_user(row),
        time=_time(row),
        image=str(row.get("FolderPath") or row.get("FileName") or ""),
        command_line=str(row.get("ProcessCommandLine") or ""),
    )


# What makes an event itself, whichever file or batch it was read from.
_IDENTITY = """
    Timestamp DeviceName ActionType ProcessId ProcessUniqueId FolderPath ProcessCommandLine
    InitiatingProcessId InitiatingProcessUniqueId RemoteIP RemotePort LocalPort RemoteUrl RegistryKey
    RegistryValueName RegistryValueData XScriptId XQueryName XProvider XEventId AdditionalFields
""".split()


def finding_id(rule: Rule, table: str, row: Mapping[str, object]) -> str:
    """The same for the same rule and event in every run, so that a second hunt finds its cases again."""
    identity = [rule.id or rule.digest, table, [_plain(row.get(column)) for column in _IDENTITY]]
    return hashlib.sha256(orjson.dumps(identity)).hexdigest()[:24]


def _case(
    group: Sequence[Finding],
    forest: tree.Forest,
    anchors: Mapping[str, str],
    spool: Spool,
    cut: Mapping[str, int],
) -> Case:
    """One case of findings that belong together, with the tree and the timeline around them."""
    score, level, reasons = verdict.weigh_case(group)
    top = max(group, key=lambda finding: finding.score)
    wanted = dict.fromkeys(f.process for f in group if f.process is not None)
    nodes, tree_cut = tree.prune(forest, list(wanted), MAX_TREE)
    by_process: dict[str, list[str]] = defaultdict(list)
    for finding in group:
        if finding.process is not None:
            by_process[finding.process].append(finding.id)
    nodes = tuple(tree.marked(node, by_process.get(node.key, ())) for node in nodes)
    story = _below(nodes, {anchors[f.id] for f in group if f.id in anchors})
    entries, timeline_cut = _timeline(group, story, spool)
    times = [finding.time for finding in group if finding.time is not None]
    return Case(
        key=f"{group[0].host.lower()}|{anchors.get(group[0].id) or group[0].id}",
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
    group: Sequence[Finding], story: Sequence[ProcessNode], spool: Spool
) -> tuple[tuple[TimelineEntry, ...], int]:
    marks: dict[EventRef, tuple[str, ...]] = {}
    for finding in group:
        marks[finding.event] = (*marks.get(finding.event, ()), finding.id)
    times = [f.time for f in group if f.time is not None]
    return timeline.build(
        (_rows_of(spool, name, group[0]) for name in sorted(spool.rows)),
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


def _by_host(findings: Sequence[Finding]) -> Iterator[tuple[str, list[Finding]]]:
    groups: dict[str, list[Finding]] = defaultdict(list)
    for finding in findings:
        groups[finding.host].append(finding)
    yield from groups.items()


def _rows_of(spool: Spool, table: str, finding: Finding, columns: Sequence[str] = ()) -> Table:
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


def _host(row: Mapping[str, object], event: EventRef) -> str:
    """The host's name; rows that name none are kept apart by their file."""
    name = row.get("DeviceName")
    return str(name) if name else f"unknown ({event.source.replace(chr(92), '/').rsplit('/', 1)[-1]})"


def _user(row: Mapping[str, object]) -> str:
    for column in ("XUser", "AccountName", "XInitiatingProcessUser", "InitiatingProcessAccountName"):
        if value := row.get(column):
            return str(value)
    return ""


def _time(row: Mapping[str, object]) -> datetime | None:
    value = row.get("Timestamp")
    return value if isinstance(value, datetime) else None


def _plain(value: object) -> object:
    return value.isoformat() if isinstance(value, datetime) else value
