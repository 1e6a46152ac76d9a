"""The packaged scenarios hold, and a scenario that does not hold says in what."""

from __future__ import annotations

import pytest

from perilune.errors import ContentError
from perilune.service.playbooks import load_shelf
from perilune.service.scenarios import Scenario, Suite, load_suites, parse_suite, try_suite

SHELF = load_shelf(None)
SUITES = [suite for _, suite in load_suites(None)]
CASES = [(suite, scenario) for suite in SUITES for scenario in suite.scenarios]


@pytest.mark.parametrize(("suite", "scenario"), CASES, ids=[scenario.name for _, scenario in CASES])
def test_a_packaged_scenario_comes_out_as_expected(suite: Suite, scenario: Scenario) -> None:
    alone = Suite(suite.playbook, (scenario,))
    assert [one.differences for one in try_suite(alone, SHELF, None)] == [()]


@pytest.mark.parametrize(
    ("expect", "says"),
    [
        ("plan: [notify]", "the plan is isolate-host, collect-evidence, not notify"),
        ("done: [notify]", "sent were isolate-host, collect-evidence, not notify"),
        ("outcomes: {isolate-host: failed}", "isolate-host is done, not failed"),
        ("refused: {isolate-host: cap}", "isolate-host is refused by nobody, not by cap"),
        ("waits: approval", "it waits for nothing, not approval"),
        ("escalated: [isolate-host]", "escalated were nothing, not isolate-host"),
        ("approvers: {isolate-host: 2}", "isolate-host needs 1 approvers, not 2"),
    ],
)
def test_a_scenario_that_does_not_hold_says_in_what(expect: str, says: str) -> None:
    suite = parse_suite(
        "playbook: T1059\n"
        "scenarios:\n"
        "- name: x\n"
        "  case: {hosts: [web-01]}\n"
        "  facts: {command-line: {__verdict__: malicious}}\n"
        f"  expect: {{{expect}}}\n",
        "x",
    )
    assert says in try_suite(suite, SHELF, None)[0].differences[0]


@pytest.mark.parametrize(
    ("text", "says"),
    [("a: [", "no suite"), ("playbook: x\nscenarios: [{name: y, expect: {colour: 1}}]", "colour"), ("[]", "no suite")],
)
def test_a_wrong_suite_is_refused_with_its_place(text: str, says: str) -> None:
    with pytest.raises(ContentError, match=says):
        parse_suite(text, "x.yml")
