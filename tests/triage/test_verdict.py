import pytest
from hypothesis import given
from hypothesis import strategies as st

from perilune.model.findings import Context
from perilune.model.rules import Level, Rule
from perilune.triage.verdict import LEAST, level_of, weigh_case, weigh_finding
from tests.build import finding


def rule(level: Level) -> Rule:
    return Rule(id="r", title="Lua runs", level=level, scopes=(), source="t", digest="d")


@pytest.mark.parametrize("level", list(Level))
def test_a_rule_alone_makes_a_case_of_its_own_level(level: Level) -> None:
    score, _ = weigh_finding(rule(level), [])
    assert level_of(score) is level


@given(level=st.sampled_from(list(Level)), lowers=st.lists(st.integers(0, 1000), max_size=3))
def test_a_known_use_lowers_and_never_hides_and_reasons_add_up(level: Level, lowers: list[int]) -> None:
    contexts = [Context("k", "known", points) for points in lowers]
    score, reasons = weigh_finding(rule(level), contexts)
    assert LEAST <= score <= weigh_finding(rule(level), [])[0]
    assert sum(reason.points for reason in reasons) == score


def test_further_rules_raise_a_case_a_little_and_repeats_do_not() -> None:
    alone, _, _ = weigh_case([finding("a")])
    repeated, _, _ = weigh_case([finding("a"), finding("b", rule_id="rule-a")])
    joined, _, reasons = weigh_case([finding("a"), finding("b")])
    assert alone == repeated < joined
    assert sum(reason.points for reason in reasons) == joined


def test_a_case_never_exceeds_a_hundred() -> None:
    many = [finding(str(n), score=90) for n in range(50)]
    assert weigh_case(many)[0] <= 100
