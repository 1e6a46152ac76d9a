"""How a case is laid out: numbered, nested, cut inside its budget, and nothing cut without a word."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from perilune.model.case import ProcessNode
from perilune.model.findings import Reason
from perilune.report import view
from perilune.report.entities import find_entities
from tests.report import cases


def lay_out(case: object = cases.INTRUSION, **budget: int) -> view.View:
    return view.lay_out(case, cases.SOURCES, cases.EXPLAINED, view.Budget(**budget))  # type: ignore[arg-type]


def test_the_heaviest_finding_is_the_first() -> None:
    assert [finding.score for _, finding in lay_out().findings] == [80, 72, 72, 72, 48]


def test_processes_stand_under_their_parents() -> None:
    (root,) = lay_out().tree
    worker = root.children[0]
    shell = worker.children[0]
    assert [child.node.name for child in shell.children] == ["curl", "lua5.4"]
    assert shell.marked.sign == "▲"
    assert shell.marked.numbers == (2,)


@given(st.lists(st.integers(-3, 60), max_size=80))
def test_any_depths_give_a_tree_with_every_process_once_in_order(depths: list[int]) -> None:
    nodes = tuple(ProcessNode(str(n), None, depth, n, "x", "", "", "", None, None) for n, depth in enumerate(depths))
    drawn: list[int] = []

    def walk(branches: object, level: int) -> None:
        for branch in branches:  # type: ignore[attr-defined]
            assert level <= view.NEST_MOST
            drawn.append(branch.node.pid)
            walk(branch.children, level + 1)

    walk(lay_out(replace(cases.INTRUSION, tree=nodes)).tree, 0)
    assert drawn == list(range(len(depths)))


def test_what_a_budget_cuts_is_counted() -> None:
    cut = lay_out(findings=2, nodes=3, timeline=6, sources=1, explained=0)
    assert (cut.findings_cut, cut.tree_cut, cut.sources_cut, cut.explained_cut) == (3, 8 + 3, 3, 2)
    assert cut.timeline_cut == 7 + 128


def test_events_with_findings_are_kept_first() -> None:
    kept = [entry for day in lay_out(timeline=6).days for entry, _ in day.entries]
    assert sum(bool(entry.findings) for entry in kept) == 5
    assert kept == sorted(kept, key=lambda entry: str(entry.time))


def test_files_that_hid_something_come_first() -> None:
    assert [source.reading.value for source in lay_out().sources] == ["partial", "unreadable", "unknown", "complete"]
    assert len(lay_out().unseen) == 3


def test_every_reason_is_counted_into_the_score() -> None:
    assert lay_out().points == cases.INTRUSION.score
    assert lay_out(replace(cases.INTRUSION, reasons=(Reason(90, "a"), Reason(30, "b")))).points == 120


def test_entities_are_collected_once_with_the_findings_that_name_them() -> None:
    numbers = {finding.id: number for number, finding in enumerate(cases.FINDINGS, 1)}
    found = {(entity.kind, entity.value): entity for entity in find_entities(cases.INTRUSION, numbers)}
    address = found["Address", "203.0.113.9"]
    assert address.findings == (1, 3, 5)
    assert address.columns == ("ProcessCommandLine", "RemoteIP")
    assert ("Name or URL", "http://203.0.113.9/a.lua") in found
    assert ("Name or URL", "cdn[.]updates[.]example") in found
    assert found["User", "root"].findings == ()
    assert [kind for kind, _ in found][:3] == ["Host", "User", "User"]
