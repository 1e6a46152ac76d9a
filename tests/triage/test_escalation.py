"""Tier 2 by the runbook's three criteria and our own, each with its reason."""

from __future__ import annotations

from dataclasses import replace

import pytest

from perilune.model.answers import Answer, Confidence, Part, Said, Verdict, Word
from perilune.model.facts import Coverage, Fact, Facts, Kind, Source
from perilune.model.people import Criticality
from perilune.triage.escalation import decide

RUNBOOK = ("escalate-unusual-host", "escalate-known-bad", "escalate-privilege")
SUSPICIOUS = Verdict(Word.SUSPICIOUS, Confidence.LOW, "", ("weak",))
READ = Facts(coverage={Source.PROCESSES: Coverage(5, 5)})


def answered(id_: str, said: Said) -> Answer:
    needs = ("a learned history",) if said is Said.UNKNOWN else ()
    return Answer(f"t1059.011/{id_}", "T1059.011", Part.ESCALATION, id_, said, "because", Confidence.HIGH, needs=needs)


def runbook(*said: Said) -> list[Answer]:
    return [answered(id_, one) for id_, one in zip(RUNBOOK, said, strict=True)]


NO = [Said.NO] * 3


@pytest.mark.parametrize("met", range(3))
def test_any_one_of_the_runbooks_three_escalates(met: int) -> None:
    said = [Said.YES if number == met else Said.NO for number in range(3)]
    decided = decide(runbook(*said), READ, SUSPICIOUS)
    assert decided.said is Said.YES
    assert [one.id for one in decided.criteria if one.said is Said.YES] == [RUNBOOK[met]]


def test_none_met_and_all_known_stays_with_tier_1() -> None:
    decided = decide(runbook(*NO), READ, SUSPICIOUS)
    assert decided.said is Said.NO
    assert all(one.why for one in decided.criteria)


def test_none_met_and_one_unknown_cannot_be_decided_and_says_what_is_missing() -> None:
    decided = decide(runbook(Said.UNKNOWN, Said.NO, Said.NO), READ, SUSPICIOUS)
    assert decided.said is Said.UNKNOWN
    assert "a learned history" in decided.sentence


def test_a_malicious_verdict_escalates_whatever_is_unknown() -> None:
    decided = decide(runbook(*[Said.UNKNOWN] * 3), READ, replace(SUSPICIOUS, word=Word.MALICIOUS))
    assert decided.said is Said.YES
    assert "malicious" in decided.sentence


@pytest.mark.parametrize(
    ("criticality", "said"), [(None, Said.UNKNOWN), (Criticality.LOW, Said.NO), (Criticality.HIGH, Said.YES)]
)
def test_a_host_on_which_much_depends_escalates(criticality: Criticality | None, said: Said) -> None:
    decided = decide(runbook(*NO), replace(READ, criticality=criticality), SUSPICIOUS)
    assert next(one.said for one in decided.criteria if one.id == "critical-host") is said


def test_weakened_protection_escalates_and_is_unknown_where_nothing_could_show_it() -> None:
    fact = Fact(
        Kind.CHANGE, "Protection or service changed", "reg sets DisableAntiSpyware", own=True, tags=("protection",)
    )
    for facts, said in (
        (replace(READ, found={Kind.CHANGE: (fact,)}), Said.YES),
        (READ, Said.NO),
        (Facts(), Said.UNKNOWN),
    ):
        decided = decide(runbook(*NO), facts, SUSPICIOUS)
        assert next(one.said for one in decided.criteria if one.id == "protection") is said


def test_our_own_criteria_are_marked_as_ours() -> None:
    decided = decide([*runbook(*NO), replace(answered("persistence", Said.YES), part=Part.T2_ACTION)], READ, SUSPICIOUS)
    assert {one.id for one in decided.criteria if not one.ours} == set(RUNBOOK)
    assert decided.said is Said.YES
