"""How a case is laid out: numbered, nested, cut inside its budget, and nothing cut without a word."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perilune.model.case import ProcessNode
from perilune.model.findings import Reason
from perilune.model.rules import Evidence
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


def text_of(pieces: tuple[view.Piece, ...]) -> str:
    return "".join(piece.text for piece in pieces)


@pytest.mark.parametrize(
    ("value", "test", "hits"),
    [
        ("/usr/bin/lua5.4", "endswith '/lua5.4'", ["/lua5.4"]),
        ("a - b -", "endswith ' -'", [" -"]),
        ("LUA -E 'OS.EXECUTE()'", "contains 'os.execute('", ["OS.EXECUTE("]),
        ("sh -c 'x'", "contains '-c 'x''", ["-c 'x'"]),
        ("/tmp/a/b.lua", "is like '/tmp/*.lua'", ["/tmp/", ".lua"]),
        ("curl http://203.0.113.9/a", "contains 'http://203.0.113.9'", ["hxxp://203[.]0[.]113[.]9"]),
        ("aaaa", "re 'a+'", []),
        ("x", "exists", []),
    ],
)
def test_what_a_test_looks_for_is_marked(value: str, test: str, hits: list[str]) -> None:
    assert [piece.text for piece in view.quote(value, 200, [test]) if piece.kind == "hit"] == hits


def test_a_megabyte_keeps_its_head_its_tail_and_the_hit_in_the_middle() -> None:
    value = "lua5.4 -e '" + "x" * 500_000 + "os.execute" + "y" * 500_000 + " -- end'"
    pieces = view.quote(value, 300, ["contains 'os.execute'"])
    assert len(text_of(pieces)) < 500
    assert pieces[0].text.startswith("lua5.4 -e '")
    assert pieces[-1].text.endswith("-- end'")
    assert [piece.text for piece in pieces if piece.kind == "hit"] == ["os.execute"]
    assert sum(piece.kind == "cut" for piece in pieces) == 2


@given(st.text(max_size=400), st.integers(4, 200), st.text(min_size=1, max_size=6))
def test_a_quote_shows_or_counts_every_character(value: str, limit: int, literal: str) -> None:
    pieces = view.quote(value, limit, [f"contains '{literal}'"])
    shown = sum(len(piece.text) for piece in pieces if piece.kind != "cut")
    cut = sum(int(piece.text.split()[1].replace(",", "")) for piece in pieces if piece.kind == "cut")
    assert shown + cut == len(view.defang(value))


def test_evidence_that_was_cut_short_is_whole_again_from_the_event() -> None:
    evidence = (Evidence("CommandLine", "ProcessCommandLine", "lua5.4 -e…", "contains 'popen'"),)
    (item,) = view.tested(evidence, {"ProcessCommandLine": "lua5.4 -e 'io.popen(1)'"})
    assert item.value == "lua5.4 -e 'io.popen(1)'"
    (item,) = view.tested(evidence, {"ProcessCommandLine": "something else"})
    assert item.value == "lua5.4 -e…"


def test_a_value_with_several_tests_is_shown_once() -> None:
    items = view.tested(cases.FINDINGS[0].evidence, {})
    assert [len(item.tests) for item in items] == [1, 2]


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
