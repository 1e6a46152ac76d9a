"""The questions as data: complete, answerable, and none without its words."""

from __future__ import annotations

import re

import pytest

from perilune.model.answers import Part, Said
from perilune.model.facts import Coverage, Facts, Source
from perilune.triage import questions
from perilune.triage.answering import ANSWERERS
from tests.build import at, finding

SUB_TECHNIQUES = [f"T1059.{number:03}" for number in range(1, 14)]

# The runbook's rows, each by a few of its words, which some question must quote.
RUNBOOK = (
    "unusual Lua script execution", "application logs where Lua is embedded", "Network logs and firewall logs",
    "unexpected times or from unauthorized users", "Frequent execution of the Lua interpreter", "scripting errors",
    "known malicious IP addresses", "Sudden increase in resource usage", "do not normally require it",
    "downloaded from an unverified or malicious site", "unexpected network connection", "legitimate use cases",
    "typically do not use Lua", "confirmed interaction with known malicious infrastructure",
    "privilege escalation attempts coincide", "installed recently", "personnel schedules", "anomalous child process",
    "recent system changes", "other systems for similar indicators", "command and control", "persistence mechanisms",
    "Isolate affected systems", "reset credentials", "Capture and analyze", "controlled environment",
    "scan the network for other", "access controls and monitoring",
)  # fmt: skip


@pytest.mark.parametrize("words", RUNBOOK)
def test_each_row_of_the_runbook_is_a_question(words: str) -> None:
    assert any(words in question.source for question in questions.common())


@pytest.mark.parametrize("technique", [*SUB_TECHNIQUES, "T1059"])
def test_each_sub_technique_has_its_interpreters_and_questions_of_its_own(technique: str) -> None:
    topic = questions.topics()[technique]
    assert topic.questions
    re.compile(topic.programs)
    re.compile(topic.scripts)
    ids = [question.id for question in (*questions.common(), *topic.questions)]
    assert len(ids) == len(set(ids))


def test_every_answer_function_is_asked_for_and_every_pattern_compiles() -> None:
    asked = [*questions.common(), *(q for topic in questions.topics().values() for q in topic.questions)]
    assert {question.answer for question in asked} == set(ANSWERERS)
    for question in asked:
        if "pattern" in question.given:
            re.compile(question.given["pattern"], re.IGNORECASE)


def test_nothing_read_is_nothing_known() -> None:
    """With no source at all, no answer of a log says no."""
    asked = questions.ask([finding()], (), Facts(), score=72, about=questions.topics_of([finding()]))
    log_parts = {Part.INDICATOR, Part.T2_ACTION, Part.L1_STEP}
    said = {answer.id: answer.said for answer in asked if answer.part in log_parts}
    assert set(said.values()) == {Said.UNKNOWN}, said


def test_with_the_sources_read_and_nothing_found_the_answer_is_no() -> None:
    covered = {source: Coverage(10, 10, at(-60), at(60)) for source in Source}
    facts = Facts(coverage=covered, begin=at(0), end=at(60))
    asked = questions.ask([finding()], (), facts, score=72, about=questions.topics_of([finding()]))
    said = {answer.id.partition("/")[2]: answer.said for answer in asked}
    for id_ in ("persistence", "credentials", "unexpected-connection", "known-bad-address", "other-systems"):
        assert said[id_] is Said.NO


def test_the_technique_that_weighs_most_is_asked_about() -> None:
    found = [
        finding("a", techniques=("T1059.011", "T1105"), score=72),
        finding("b", techniques=("T1059.004",), score=48),
        finding("c", techniques=("T1059.011", "T1059.004"), score=48),
    ]
    assert [topic.technique for topic in questions.topics_of(found)] == ["T1059.011", "T1059.004"]
    assert questions.topics_of([finding(techniques=("T1105",))])[0].technique == "T1059"


def test_the_runbooks_own_words_are_shown_for_lua_only() -> None:
    for technique, quoted in (("T1059.011", True), ("T1059.001", False)):
        found = [finding(techniques=(technique,))]
        asked = questions.ask(found, (), Facts(), score=72, about=questions.topics_of(found))
        assert any(answer.source for answer in asked) is quoted
        assert not any("{" in answer.text for answer in asked)
