"""One case on several hosts: their trees, timelines and facts side by side, each saying where it happened."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

from perilune.investigation.scope import bounded
from perilune.model.case import ProcessNode, TimelineEntry
from perilune.model.facts import Coverage, Fact, Facts, Kind, Source


def at_host(node: ProcessNode, host: str) -> ProcessNode:
    """The node as one of another host than the case's first; its key cannot be taken for one of there."""
    parent = None if node.parent is None else key_at(node.parent, host)
    return replace(node, key=key_at(node.key, host), parent=parent, host=host)


def key_at(key: str, host: str) -> str:
    return f"{host}|{key}"


def entries_at(entries: Sequence[TimelineEntry], host: str) -> list[TimelineEntry]:
    return [replace(entry, host=host) for entry in entries]


def join_facts(parts: Sequence[Facts]) -> Facts:
    """The facts of all hosts; a source counts as read only where it was read for each of them."""
    if len(parts) == 1:
        return parts[0]
    found: dict[Kind, list[Fact]] = defaultdict(list)
    cut: dict[Kind, int] = defaultdict(int)
    for part in parts:
        for kind, facts in part.found.items():
            found[kind] += facts
        for kind, count in part.cut.items():
            cut[kind] += count
    kept = {kind: bounded(facts) for kind, facts in found.items()}
    for kind, (_, more) in kept.items():
        cut[kind] += more
    begins = [part.begin for part in parts if part.begin is not None]
    ends = [part.end for part in parts if part.end is not None]
    return replace(
        parts[0],
        found={kind: facts for kind, (facts, _) in kept.items()},
        cut={kind: count for kind, count in cut.items() if count},
        coverage=_coverage(parts),
        begin=min(begins, default=None),
        end=max(ends, default=None),
        criticality=max((p.criticality for p in parts if p.criticality), key=_RANKS.index, default=None),
    )


_RANKS = ("low", "medium", "high", "critical")


def _coverage(parts: Sequence[Facts]) -> dict[Source, Coverage]:
    shared = set(parts[0].coverage).intersection(*(part.coverage for part in parts[1:]))
    joined = {}
    for source in shared:
        held = [part.coverage[source] for part in parts]
        near = 0 if any(one.near == 0 for one in held) else sum(one.near for one in held)
        begins = [one.begin for one in held if one.begin is not None]
        ends = [one.end for one in held if one.end is not None]
        joined[source] = Coverage(
            near, sum(one.host for one in held), max(begins, default=None), min(ends, default=None)
        )
    return joined
