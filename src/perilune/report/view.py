"""A case laid out for reading: findings numbered and ordered, the tree nested, the timeline cut into days.

Both reports are templates over a `View`. It holds raw text; the templates' door makes it harmless.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from perilune.model.case import Case, ProcessNode, TimelineEntry
from perilune.model.findings import Explained, Finding
from perilune.model.rules import Level
from perilune.model.sources import Reading, SourceReport
from perilune.report import answers
from perilune.report.answers import Triage
from perilune.report.entities import Entity, find_entities
from perilune.report.text import finding_order, severity_mark, when

NEST_MOST = 12  # deeper processes stand at this depth and say their own


@dataclass(frozen=True, slots=True)
class Budget:
    """How much of each part is written out; what is left out is always counted."""

    findings: int = 100
    evidence: int = 30
    columns: int = 90
    nodes: int = 500
    timeline: int = 1000
    entities: int = 40  # of one kind
    sources: int = 300
    explained: int = 100
    entries: int = 300
    text: int = 4000  # characters of one value
    answer: int = 1000  # characters of one answer
    facts: int = 40  # of one kind
    repeats: int = 60  # of one rule, beside its first finding
    layers: int = 12  # that were decoded from one finding's text
    rows: int = 25  # of what one finding's text can do, and of its indicators


@dataclass(frozen=True, slots=True)
class Marked:
    """Which findings stand on a process or an event, and the gravest level among them."""

    numbers: tuple[int, ...] = ()
    level: Level | None = None

    @property
    def sign(self) -> str:
        return "" if self.level is None else severity_mark(self.level)


@dataclass(slots=True)
class Branch:
    """A process with its children, ready to be drawn. `depth` is the real one where the drawn one is not."""

    node: ProcessNode
    marked: Marked
    depth: int | None
    children: list[Branch] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Day:
    """The events of one date (`2026-11-21`, or empty where the time is unknown)."""

    date: str
    entries: tuple[tuple[TimelineEntry, Marked], ...]


@dataclass(frozen=True, slots=True)
class EntityKind:
    kind: str
    entities: tuple[Entity, ...]
    cut: int


@dataclass(frozen=True, slots=True)
class RuleCredit:
    """What DRL 1.1 asks to be kept with every message that a rule makes."""

    title: str
    author: str
    license: str
    link: str
    id: str


@dataclass(frozen=True, slots=True)
class View:
    """`findings`: the heaviest of each rule; `repeats`: by its number, the others; `linked`: those written out."""

    case: Case
    budget: Budget
    findings: tuple[tuple[int, Finding], ...]
    repeats: Mapping[int, tuple[tuple[int, Finding], ...]]
    linked: frozenset[int]
    findings_cut: int
    triage: Triage
    tree: tuple[Branch, ...]
    tree_shown: int
    tree_cut: int
    days: tuple[Day, ...]
    timeline_shown: int
    timeline_cut: int
    entities: tuple[EntityKind, ...]
    sources: tuple[SourceReport, ...]
    sources_cut: int
    unseen: tuple[SourceReport, ...]
    explained: tuple[Explained, ...]
    explained_cut: int
    credits: tuple[RuleCredit, ...]
    points: int
    date: str  # of the case's start; a time on another date is shown with it


def lay_out(case: Case, sources: Sequence[SourceReport], explained: Sequence[Explained], budget: Budget) -> View:
    """The view of a case inside a budget."""
    groups = _by_rule(case.findings)
    ordered = [finding for group in groups for finding in group]
    numbers = {finding.id: number for number, finding in enumerate(ordered, 1)}
    cards = [(numbers[group[0].id], group[0]) for group in groups[: budget.findings]]
    repeats = {
        numbers[group[0].id]: tuple((numbers[one.id], one) for one in group[1 : budget.repeats + 1])
        for group in groups[: budget.findings]
    }
    linked = frozenset({n for n, _ in cards} | {n for again in repeats.values() for n, _ in again})
    levels = {finding.id: finding.level for finding in ordered}
    timeline = _timeline(case.timeline, budget.timeline)
    read = sorted(sources, key=lambda source: source.reading is Reading.COMPLETE)
    return View(
        case=case,
        budget=budget,
        findings=tuple(cards),
        repeats=repeats,
        linked=linked,
        findings_cut=len(ordered) - len(linked),
        triage=answers.lay_out(case, numbers, budget.facts),
        tree=_nest(case.tree[: budget.nodes], numbers, levels),
        tree_shown=min(len(case.tree), budget.nodes),
        tree_cut=case.tree_cut + max(0, len(case.tree) - budget.nodes),
        days=_days(timeline, numbers, levels),
        timeline_shown=len(timeline),
        timeline_cut=case.timeline_cut + len(case.timeline) - len(timeline),
        entities=_entity_kinds(find_entities(case, numbers), budget.entities),
        sources=tuple(read[: budget.sources]),
        sources_cut=max(0, len(read) - budget.sources),
        unseen=tuple(source for source in read if _hid_something(source)),
        explained=tuple(explained[: budget.explained]),
        explained_cut=max(0, len(explained) - budget.explained),
        credits=_credits(ordered),
        points=sum(reason.points for reason in case.reasons),
        date=when(case.first)[:10],
    )


def _by_rule(findings: Sequence[Finding]) -> list[list[Finding]]:
    """The findings of each rule together, the rules in the order of their heaviest finding."""
    rules: dict[str, list[Finding]] = {}
    for finding in sorted(findings, key=finding_order):
        rules.setdefault(finding.rule_id or finding.id, []).append(finding)
    return list(rules.values())


def _mark(ids: Sequence[str], numbers: Mapping[str, int], levels: Mapping[str, Level]) -> Marked:
    known = [id_ for id_ in ids if id_ in numbers]
    if not known:
        return Marked()
    return Marked(tuple(sorted(numbers[id_] for id_ in known)), max(levels[id_] for id_ in known))


def _nest(nodes: Sequence[ProcessNode], numbers: Mapping[str, int], levels: Mapping[str, Level]) -> tuple[Branch, ...]:
    """The depth-first list as a forest; a depth that jumps, or is beyond `NEST_MOST`, is drawn less deep."""
    roots: list[Branch] = []
    path: list[Branch] = []
    for node in nodes:
        drawn = min(max(node.depth, 0), len(path), NEST_MOST)
        branch = Branch(node, _mark(node.findings, numbers, levels), node.depth if drawn != node.depth else None)
        del path[drawn:]
        (path[-1].children if path else roots).append(branch)
        path.append(branch)
    return tuple(roots)


def _timeline(entries: Sequence[TimelineEntry], limit: int) -> list[TimelineEntry]:
    """Inside the limit, events with findings go first; the order stays."""
    if len(entries) <= limit:
        return list(entries)
    by_weight = sorted(range(len(entries)), key=lambda index: (not entries[index].findings, index))
    return [entries[index] for index in sorted(by_weight[:limit])]


def _days(entries: Sequence[TimelineEntry], numbers: Mapping[str, int], levels: Mapping[str, Level]) -> tuple[Day, ...]:
    return tuple(
        Day(date, tuple((entry, _mark(entry.findings, numbers, levels)) for entry in group))
        for date, group in groupby(entries, key=lambda entry: when(entry.time)[:10] if entry.time else "")
    )


def _entity_kinds(entities: Sequence[Entity], limit: int) -> tuple[EntityKind, ...]:
    kinds = ((kind, tuple(group)) for kind, group in groupby(entities, key=lambda entity: entity.kind))
    return tuple(EntityKind(kind, group[:limit], max(0, len(group) - limit)) for kind, group in kinds)


def _hid_something(source: SourceReport) -> bool:
    return source.reading is not Reading.COMPLETE or bool(source.problems)


def _credits(findings: Sequence[Finding]) -> tuple[RuleCredit, ...]:
    return tuple(
        dict.fromkeys(RuleCredit(f.rule_title, f.rule_author, f.rule_license, f.rule_link, f.rule_id) for f in findings)
    )
