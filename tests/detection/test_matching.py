"""The pipeline's view: rules and rows in order, batches gathered without losing any."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from perilune.detection import matcher, matching, sigma
from perilune.detection.plan import join
from perilune.detection.shape import shape
from perilune.model.rules import RuleSet
from perilune.model.tables import Table
from tests.detection.engines import cases, table
from tests.detection.test_sigma import HIT, RULE

RULES = RuleSet((*sigma.parse(RULE, "a.yml").rules, *sigma.parse(RULE.replace(" -e ", "exit"), "b.yml").rules))


def test_matches_are_in_the_order_of_rows() -> None:
    rows = table("DeviceProcessEvents", [HIT, {}, HIT | {"ProcessCommandLine": "lua exit"}])
    assert [(rule.source, row) for rule, row in matching.match(RULES, rows)] == [
        ("a.yml:1", 0),
        ("b.yml:1", 0),
        ("b.yml:1", 2),
    ]


def test_a_plan_is_made_once_for_a_set_of_rules() -> None:
    assert matching.compiled(RULES.rules) is matching.compiled(RULES.rules)
    others = [matching.compiled((*RULES.rules, rule)) for rule in RULES.rules * 4]
    assert len(set(map(id, others))) == len(others)


def test_threads_may_share_a_plan() -> None:
    every = [case for case in cases() if case.refused is None]
    plan = join([shape(rule) for case in every for rule in case.rules.rules])
    batches = [table(case.table, (*case.hits, *case.misses)) for case in every] * 4

    def hits(batch: Table) -> list[tuple[int, int]]:
        rules, rows = matcher.match(plan, batch)
        return list(zip(rules.tolist(), rows.tolist(), strict=True))

    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(hits, batches))
    assert together == [hits(batch) for batch in batches]


def test_no_table_of_a_rule_no_match() -> None:
    assert list(matching.match(RULES, table("DeviceFileEvents", [{"FolderPath": "/usr/bin/lua"}]))) == []
    assert list(matching.match(RuleSet(()), table("DeviceProcessEvents", [HIT]))) == []
    assert list(matching.match(RULES, table("DeviceProcessEvents", []))) == []


def test_gathering_gives_every_row_once_and_in_order() -> None:
    gathering = matching.Gathering(enough=5)
    names = ("DeviceProcessEvents", "DeviceFileEvents")
    batches = [table(names[n % 2], [{"XSourceRecord": n}] * n) for n in range(8)]
    given = [found for batch in batches for found in gathering.add(batch)]
    left = list(gathering.rest())
    assert all(len(found) >= 5 for found in given)
    assert list(gathering.rest()) == []
    for name in names:
        numbers = [n for found in (*given, *left) if found.name == name for n in found.values("XSourceRecord")]
        assert numbers == [n for batch in batches if batch.name == name for n in batch.values("XSourceRecord")]


def test_explaining_says_which_part_failed() -> None:
    found = matching.explain(RULES.rules[1], "DeviceProcessEvents", HIT | {"ProcessCommandLine": "lua x"})
    assert not found.held
    (whole,) = found.parts
    failed = [part.test for part in whole.parts if not part.held]
    assert failed == ["CommandLine (ProcessCommandLine) contains 'exit'"]


def test_evidence_is_the_leaves_that_held() -> None:
    found = matching.evidence(RULES.rules[0], "DeviceProcessEvents", HIT)
    assert [(e.field, e.column, e.value, e.test) for e in found] == [
        ("Image", "FolderPath", "/usr/bin/lua", "endswith '/lua'"),
        ("CommandLine", "ProcessCommandLine", "lua -e os.exit()", "contains ' -e '"),
    ]
