"""Joins what two hunts know of one case."""

from __future__ import annotations

from dataclasses import replace

from perilune.model.case import Case, ProcessNode


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
        tree_cut=max(stored.tree_cut, found.tree_cut),
        timeline_cut=max(stored.timeline_cut, found.timeline_cut),
        repeats={r: max(stored.repeats.get(r, 0), found.repeats.get(r, 0))
                 for r in {*stored.repeats, *found.repeats}},
    )  # fmt: skip


def _trees(one: tuple[ProcessNode, ...], other: tuple[ProcessNode, ...]) -> tuple[ProcessNode, ...]:
    larger, smaller = (one, other) if len(one) >= len(other) else (other, one)
    known = {node.key for node in larger}
    return (*larger, *(replace(n, parent=None, depth=0) for n in smaller if n.key not in known))
