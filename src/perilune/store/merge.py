"""Joins what two hunts know of one case."""

from __future__ import annotations

from dataclasses import replace

from perilune.model.answers import Answer, Said
from perilune.model.case import Case, ProcessNode
from perilune.model.facts import Coverage, Fact, Facts


def merge(stored: Case, found: Case) -> Case:
    """The stored case with what the new hunt adds: findings, processes, events, and the higher score.

    The tree of the hunt that knows more processes is kept; the other's nodes that it lacks are added as roots.
    """
    findings = {f.id: f for f in (*stored.findings, *found.findings)}
    events = {(e.event, e.summary): e for e in (*stored.timeline, *found.timeline)}
    heavier = found if found.score > stored.score else stored
    return replace(
        heavier,
        id=stored.id,
        key=stored.key,
        status=stored.status,
        findings=tuple(findings.values()),
        users=tuple(dict.fromkeys((*stored.users, *found.users))),
        techniques=tuple(dict.fromkeys((*stored.techniques, *found.techniques))),
        tree=_trees(stored.tree, found.tree),
        timeline=tuple(sorted(events.values(), key=lambda e: (e.time is None, e.time, e.summary))),
        first=min((t for t in (stored.first, found.first) if t), default=None),
        last=max((t for t in (stored.last, found.last) if t), default=None),
        sources=tuple({s.path: s for s in (*stored.sources, *found.sources)}.values()),
        explained=tuple({(e.event, e.context.rule_id): e for e in (*stored.explained, *found.explained)}.values()),
        hosts=tuple(dict.fromkeys((heavier.host, *stored.hosts, *found.hosts))),
        facts=_facts(stored.facts, found.facts),
        answers=_answers(heavier, found if heavier is stored else stored),
        tree_cut=max(stored.tree_cut, found.tree_cut),
        timeline_cut=max(stored.timeline_cut, found.timeline_cut),
        repeats={r: max(stored.repeats.get(r, 0), found.repeats.get(r, 0))
                 for r in {*stored.repeats, *found.repeats}},
    )  # fmt: skip


def _trees(one: tuple[ProcessNode, ...], other: tuple[ProcessNode, ...]) -> tuple[ProcessNode, ...]:
    larger, smaller = (one, other) if len(one) >= len(other) else (other, one)
    known = {node.key for node in larger}
    return (*larger, *(replace(n, parent=None, depth=0) for n in smaller if n.key not in known))


def _facts(one: Facts, other: Facts) -> Facts:
    """What both know, each fact once; of each source, the reading that saw more."""
    kinds = dict.fromkeys((*one.found, *other.found))
    found = {kind: tuple({_identity(f): f for f in (*one.of(kind), *other.of(kind))}.values()) for kind in kinds}
    sources = dict.fromkeys((*one.coverage, *other.coverage))
    empty = Coverage()
    begins = [t for t in (one.begin, other.begin) if t is not None]
    ends = [t for t in (one.end, other.end) if t is not None]
    return Facts(
        found=found,
        cut={kind: max(one.cut.get(kind, 0), other.cut.get(kind, 0)) for kind in {*one.cut, *other.cut}},
        coverage={
            source: max(
                one.coverage.get(source, empty), other.coverage.get(source, empty), key=lambda c: (c.near, c.host)
            )
            for source in sources
        },
        begin=min(begins, default=None),
        end=max(ends, default=None),
        criticality=one.criticality or other.criticality,
        role=one.role or other.role,
        expected=one.expected or other.expected,
    )


def _identity(one: Fact) -> tuple[object, ...]:
    return one.name, one.value or one.text, one.own, one.host


def _answers(first: Case, second: Case) -> tuple[Answer, ...]:
    """Both cases' answers: of one question, the known before the unknown, then the heavier case's."""
    found = {answer.id: answer for answer in second.answers}
    for answer in first.answers:
        other = found.get(answer.id)
        if other is None or answer.said is not Said.UNKNOWN or other.said is Said.UNKNOWN:
            found[answer.id] = answer
    return tuple(found.values())
