from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perilune.model.answers import Word
from perilune.model.facts import Coverage, Fact, Facts, Kind, Source
from perilune.model.findings import Context, Finding, Reason
from perilune.model.people import Criticality
from perilune.model.rules import Level, Rule
from perilune.model.tables import EventRef
from perilune.triage.verdict import LEAST, judge, level_of, weigh_case, weigh_finding
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


def own(kind: Kind, *tags: str, name: str = "x", value: str = "v") -> dict[Kind, tuple[Fact, ...]]:
    return {kind: (Fact(kind, name, f"{name} happened", value, own=True, tags=tags),)}


def medium(id: str, record: int, **more: object) -> Finding:
    return finding(
        id, score=48, level=Level.MEDIUM, reasons=(Reason(48, "medium rule"),), event=EventRef("t", "f", record), **more
    )


@given(st.lists(st.tuples(st.integers(1, 8), st.integers(1, 95), st.integers(1, 5)), min_size=1, max_size=40))
def test_reasons_always_add_up_whatever_agrees(found: list[tuple[int, int, int]]) -> None:
    findings = [
        finding(
            str(n), rule_id=f"r{rule}", score=score, reasons=(Reason(score, "r"),), event=EventRef("t", "f", record)
        )
        for n, (rule, score, record) in enumerate(found)
    ]
    facts = Facts(
        found=own(Kind.PERSISTENCE) | own(Kind.CONNECTION, "public", "listed"), criticality=Criticality.CRITICAL
    )
    score, level, reasons = weigh_case(findings, facts)
    assert sum(reason.points for reason in reasons) == score
    assert max(f.score for f in findings) <= score <= 100
    assert level is level_of(score)


def test_twenty_weak_witnesses_do_not_make_a_medium_case_high() -> None:
    many = [medium(str(n), n) for n in range(20)]
    facts = Facts(found=own(Kind.CONNECTION, "public") | own(Kind.CHILD, "odd") | own(Kind.ALERT, "grave"))
    assert weigh_case(many, facts)[1] is Level.MEDIUM


def test_a_strong_sign_does() -> None:
    facts = Facts(found=own(Kind.CONNECTION, "public", "listed") | own(Kind.PERSISTENCE) | own(Kind.CREDENTIAL))
    assert weigh_case([medium("a", 1), medium("b", 2)], facts)[1] is Level.HIGH


def test_each_further_rule_weighs_less_and_one_on_the_same_event_less_still() -> None:
    scores = [weigh_case([medium(str(n), n) for n in range(count)])[0] for count in range(1, 7)]
    gains = [after - before for before, after in pairwise(scores)]
    assert gains == sorted(gains, reverse=True)
    assert weigh_case([medium("a", 1), medium("b", 1)])[0] < weigh_case([medium("a", 1), medium("b", 2)])[0]


def test_weak_findings_are_not_lifted_by_what_happens_around_them() -> None:
    weak = finding(score=10, reasons=(Reason(10, "informational rule"),))
    assert weigh_case([weak], Facts(found=own(Kind.PERSISTENCE)))[0] == 10


def test_what_another_process_did_lifts_nothing() -> None:
    (fact,) = own(Kind.PERSISTENCE)[Kind.PERSISTENCE]
    facts = Facts(found={Kind.PERSISTENCE: (replace(fact, own=False),)})
    assert weigh_case([finding()], facts)[0] == weigh_case([finding()])[0]


def test_the_history_raises_what_is_unusual_and_lowers_what_is_usual() -> None:
    plain = weigh_case([finding()])[0]
    for tag, higher in (("unusual", True), ("usual", False)):
        score = weigh_case([finding()], Facts(found=own(Kind.BASELINE, tag, name="host")))[0]
        assert (score > plain) is higher


@pytest.mark.parametrize(
    ("said", "lower"), [((0, 2), False), ((0, 3), True), ((3, 3), False), ((9, 1), False), ((1, 9), True)]
)
def test_feedback_lowers_only_where_several_people_called_a_rule_false(said: tuple[int, int], lower: bool) -> None:
    score, _, reasons = weigh_case([finding("a")], None, {"rule-a": said})
    assert (score < 72) is lower
    assert any(f"true {said[0]} and false {said[1]}" in reason.text for reason in reasons)


def word(findings: list[Finding], facts: Facts | None = None) -> Word:
    known = facts or Facts(coverage={Source.PROCESSES: Coverage(9, 9)})
    return judge(findings, known, (), score=weigh_case(findings, known)[0], sentence="s").word


def test_malicious_asks_for_two_witnesses_or_a_critical_rule() -> None:
    two = [finding("a"), finding("b", event=EventRef("t", "f", 2))]
    assert word(two) is Word.MALICIOUS
    assert word([finding("a")]) is Word.SUSPICIOUS
    assert word([finding(str(n), rule_id="one", event=EventRef("t", "f", n)) for n in range(9)]) is Word.SUSPICIOUS
    assert word([finding("c", score=90, reasons=(Reason(90, "critical rule"),))]) is Word.MALICIOUS


def test_benign_asks_for_an_explanation_and_weak_signs_alone_are_unknown() -> None:
    weak: dict[str, object] = {"score": 8, "reasons": (Reason(8, "r"),)}
    explained = finding(context=(Context("k", "nmap", 40),), **weak)
    assert word([explained]) is Word.BENIGN
    assert word([explained, finding("b", **weak)]) is Word.UNKNOWN
    assert word([finding(**weak)], Facts()) is Word.UNKNOWN
