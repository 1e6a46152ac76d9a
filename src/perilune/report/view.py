"""A case laid out for reading: findings numbered and ordered, the tree nested, the timeline cut into days.

Both reports are templates over a `View`. It holds raw text; the templates' door makes it harmless.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from perilune.model.case import Case, ProcessNode, TimelineEntry
from perilune.model.findings import Explained, Finding
from perilune.model.rules import Evidence, Level
from perilune.model.sources import Reading, SourceReport
from perilune.report.entities import Entity, find_entities
from perilune.report.text import defang, finding_order, severity_mark, when

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
    case: Case
    budget: Budget
    findings: tuple[tuple[int, Finding], ...]
    findings_cut: int
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
    ordered = sorted(case.findings, key=finding_order)
    numbers = {finding.id: number for number, finding in enumerate(ordered, 1)}
    levels = {finding.id: finding.level for finding in ordered}
    timeline = _timeline(case.timeline, budget.timeline)
    read = sorted(sources, key=lambda source: source.reading is Reading.COMPLETE)
    return View(
        case=case,
        budget=budget,
        findings=tuple(enumerate(ordered[: budget.findings], 1)),
        findings_cut=max(0, len(ordered) - budget.findings),
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


@dataclass(frozen=True, slots=True)
class Tested:
    """One value of an event and every test of the rule that held on it."""

    field: str
    column: str
    value: str
    tests: tuple[str, ...]


def tested(evidence: Sequence[Evidence], row: Mapping[str, object]) -> tuple[Tested, ...]:
    """The evidence with each value once, and whole where the event's row still has what evidence cut short."""
    tests: dict[tuple[str, str, str], dict[str, None]] = {}
    for item in evidence:
        tests.setdefault((item.field, item.column, _whole(item, row)), {})[item.test] = None
    return tuple(Tested(*key, tuple(found)) for key, found in tests.items())


def _whole(evidence: Evidence, row: Mapping[str, object]) -> str:
    full = row.get(evidence.column)
    cut_short = evidence.value.endswith("…") and isinstance(full, str) and full.startswith(evidence.value[:-1])
    return str(full) if cut_short else evidence.value


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of a quoted value: `text` as it is, a `hit` that a rule's test names, or what was `cut`."""

    kind: str
    text: str


Stretch = tuple[int, int]

_TEST = re.compile(r"(?P<verb>contains|startswith|endswith|is like|is) '(?P<literal>.+)'", re.DOTALL)
_WILDCARD = re.compile(r"(?<!\\)[*?]")
_HITS_MOST = 12
_CUT_LEAST = 40  # a shorter gap costs more to announce than to show


def quote(value: str, limit: int, tests: Sequence[str] = ()) -> tuple[Piece, ...]:
    """The value defanged and inside a limit: its head, its tail and what the tests look for, which is marked.

    Padding that pushes the payload out of sight is an old trick; so the tail is always kept.
    """
    value = defang(value)  # before it is cut: half a URL is not recognised
    hits = _find_hits(value, tests)
    pieces: list[Piece] = []
    position = 0
    for start, end in _kept(len(value), hits, limit):
        pieces += _gap(start - position)
        pieces += _marked(value, start, end, hits)
        position = end
    return (*pieces, *_gap(len(value) - position))


def _find_hits(value: str, tests: Sequence[str]) -> list[Stretch]:
    """Where each literal of the tests first stands in the value. A reading aid: no literal, no mark."""
    lowered = value.lower()
    if len(lowered) != len(value):  # a few letters grow when lowered, and offsets would be off
        return []
    found = []
    for verb, literal in _literals(tests):
        start = lowered.rfind(literal) if verb == "endswith" else lowered.find(literal)
        if start >= 0:
            found.append((start, start + len(literal)))
    return _merged(found[:_HITS_MOST], least=1)


def _literals(tests: Sequence[str]) -> Iterator[tuple[str, str]]:
    for test in tests:
        if found := _TEST.match(test):
            whole = found["literal"]
            for literal in _WILDCARD.split(whole) if found["verb"] == "is like" else [whole]:
                if literal:
                    yield found["verb"], defang(literal).lower()


def _kept(length: int, hits: Sequence[Stretch], limit: int) -> list[Stretch]:
    """The stretches that are shown: everything, or a share of the limit for the head, each hit and the tail."""
    if length <= limit:
        return [(0, length)] if length else []
    tail = limit // 4
    share = (limit - tail) // (1 + len(hits))
    around = [(max(0, start - share // 3), min(end, start + share // 3) + share // 3) for start, end in hits]
    return _merged([(0, share), *((start, min(end, length)) for start, end in around), (length - tail, length)],
                   least=_CUT_LEAST)  # fmt: skip


def _merged(stretches: Sequence[Stretch], least: int) -> list[Stretch]:
    """In order, with those joined that are less than `least` apart."""
    merged: list[Stretch] = []
    for start, end in sorted(stretches):
        if merged and start - merged[-1][1] < least:
            merged[-1] = merged[-1][0], max(end, merged[-1][1])
        else:
            merged.append((start, end))
    return merged


def _marked(value: str, start: int, end: int, hits: Sequence[Stretch]) -> Iterator[Piece]:
    for hit_start, hit_end in hits:
        first, last = max(start, hit_start), min(end, hit_end)
        if first >= last:
            continue
        if start < first:
            yield Piece("text", value[start:first])
        yield Piece("hit", value[first:last])
        start = last
    if start < end:
        yield Piece("text", value[start:end])


def _gap(length: int) -> list[Piece]:
    return [Piece("cut", f" … {length:,} more characters … ")] if length > 0 else []
