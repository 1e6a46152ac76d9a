"""A case on several hosts says of each thing where it happened, and knows only what was read on all of them."""

from __future__ import annotations

from perilune.investigation.joining import at_host, entries_at, join_facts
from perilune.investigation.scope import MAX_FACTS
from perilune.model.case import ProcessNode, TimelineEntry
from perilune.model.events import EventRef
from perilune.model.facts import Coverage, Fact, Facts, Kind, Source
from tests.build import at

REF = EventRef("DeviceProcessEvents", "test.log", 1)


def _facts(number: int, host: str, kind: Kind = Kind.CONNECTION) -> tuple[Fact, ...]:
    return tuple(Fact(kind, f"n{n}", "text", f"{host}-{n}", REF, at(n), host, True) for n in range(number))


def test_a_node_of_another_host_keeps_its_family_and_cannot_be_taken_for_one_of_the_first() -> None:
    child = ProcessNode("9@x", "7@x", 1, 9, "lua", "/usr/bin/lua", "lua a.lua", "dana", at(0), REF)
    moved = at_host(child, "web-02")
    assert (moved.key, moved.parent, moved.host) == ("web-02|9@x", "web-02|7@x", "web-02")
    root = ProcessNode("7@x", None, 0, 7, "sh", "/bin/sh", "sh", "dana", at(0), REF)
    assert at_host(root, "web-02").parent is None
    assert at_host(root, "web-02").key == moved.parent


def test_entries_say_their_host() -> None:
    entry = TimelineEntry(at(0), "DeviceProcessEvents", "ProcessCreated", "sh", REF)
    assert [one.host for one in entries_at([entry, entry], "web-02")] == ["web-02", "web-02"]


def test_one_host_is_left_alone() -> None:
    facts = Facts(found={Kind.CONNECTION: _facts(2, "a")})
    assert join_facts([facts]) is facts


def test_facts_of_all_hosts_are_bounded_together_and_what_was_left_out_is_counted() -> None:
    joined = join_facts(
        [
            Facts(found={Kind.CONNECTION: _facts(MAX_FACTS, "a")}, cut={Kind.CONNECTION: 3}, begin=at(5), end=at(6)),
            Facts(found={Kind.CONNECTION: _facts(10, "b"), Kind.CHANGE: _facts(1, "b", Kind.CHANGE)}, begin=at(1)),
        ]
    )
    assert len(joined.of(Kind.CONNECTION)) == MAX_FACTS
    assert joined.cut == {Kind.CONNECTION: 13}
    assert {one.host for one in joined.of(Kind.CONNECTION)} == {"a", "b"}
    assert len(joined.of(Kind.CHANGE)) == 1
    assert (joined.begin, joined.end) == (at(1), at(6))


def test_a_source_was_read_only_where_it_was_read_for_each_host() -> None:
    here = {Source.NETWORK: Coverage(4, 9, at(0), at(50)), Source.FILES: Coverage(2, 2), Source.LISTS: Coverage(1, 1)}
    there = {Source.NETWORK: Coverage(6, 7, at(10), at(40)), Source.FILES: Coverage(0, 5)}
    joined = join_facts([Facts(coverage=here), Facts(coverage=there)])
    assert joined.coverage[Source.NETWORK] == Coverage(10, 16, at(10), at(40))
    assert joined.has(Source.NETWORK)
    assert not joined.has(Source.FILES), "near one of the hosts nothing was read"
    assert Source.LISTS not in joined.coverage


def test_the_most_critical_host_speaks_for_the_case() -> None:
    parts = [Facts(criticality="low"), Facts(criticality="critical"), Facts(), Facts(criticality="high")]
    assert join_facts(parts).criticality == "critical"
