"""One host's rows as a scope, so that a test names only the rows it is about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from perilune.investigation import scope, timeline, tree
from perilune.model.facts import Fact
from perilune.model.findings import Finding
from perilune.model.tables import Table
from tests.build import finding, process, table

LUA = 4100  # the PID of the case's interpreter
STARTS = (process(4000, 1, "/bin/sh", -5, "sh x.sh"), process(LUA, 4000, "/usr/bin/lua5.4", 0, "lua5.4 /tmp/a.lua"))


def by_lua(**columns: object) -> dict[str, object]:
    """A row of something that the case's interpreter did."""
    return {"InitiatingProcessId": LUA, "InitiatingProcessFileName": "lua5.4", **columns}


def by_other(**columns: object) -> dict[str, object]:
    return {"InitiatingProcessId": 77, "InitiatingProcessFileName": "cron", **columns}


def scoped(
    *tables: Table, starts: Sequence[Mapping[str, object]] = STARTS, findings: Sequence[Finding] = ()
) -> scope.Scope:
    """The scope of a case whose tree is that of `starts`."""
    processes = table("DeviceProcessEvents", *starts)
    forest = tree.grow(processes)
    nodes, _ = tree.prune(forest, list(forest.nodes), 100)
    rows = timeline.prepare([processes, *tables])
    return scope.cut_out("web-01", rows, nodes, list(findings) or [finding()])


def named(facts: Sequence[Fact]) -> list[tuple[str, bool | None]]:
    return [(fact.name, fact.own) for fact in facts]
