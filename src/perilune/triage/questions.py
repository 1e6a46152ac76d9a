"""The runbook's questions, read from content, asked of a case: the common ones for the technique that weighs most, and
each technique's own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files

import yaml

from perilune.errors import ContentError
from perilune.model.answers import Answer, Confidence, Part, Said
from perilune.model.case import ProcessNode
from perilune.model.facts import Facts
from perilune.model.findings import Finding
from perilune.model.questions import Question, Topic
from perilune.triage.answering import ANSWERERS
from perilune.triage.known import Known

MAX_TOPICS = 3  # techniques whose own questions are asked of one case
BASE = "T1059"
RUNBOOK = "T1059.011"  # whose runbook the words of `source` are from


@cache
def common() -> tuple[Question, ...]:
    return _questions(_content("common.yml"), "common.yml")


@cache
def topics() -> Mapping[str, Topic]:
    """The techniques, by id."""
    folder = files("perilune") / "content" / "questions"
    names = sorted(one.name for one in folder.iterdir() if one.name.startswith("t1059") and one.name.endswith(".yml"))
    found = [_topic(_content(name), name) for name in names]
    return {topic.technique: topic for topic in found}


def topics_of(findings: Sequence[Finding]) -> tuple[Topic, ...]:
    """The techniques of a case, the one that weighs most first; T1059 itself where no sub-technique is named."""
    weights: dict[str, list[int]] = {}
    for finding in findings:
        named = [technique for technique in finding.techniques if technique in topics()]
        for technique in named:
            weights.setdefault(technique, []).append(finding.score // (1 + named.index(technique)))
    weights.pop(BASE, None)
    ordered = sorted(weights, key=lambda one: (-sum(sorted(weights[one], reverse=True)[:10]), one))
    return tuple(topics()[one] for one in ordered[:MAX_TOPICS]) or (topics()[BASE],)


def ask(
    findings: Sequence[Finding],
    tree: Sequence[ProcessNode],
    facts: Facts,
    *,
    score: int,
    about: Sequence[Topic],
    tree_cut: int = 0,
) -> tuple[Answer, ...]:
    """Every question that the runbook has for the case, answered, in the runbook's order."""
    answers: list[Answer] = []
    for topic in about:
        known = Known(topic, facts, tuple(findings), tuple(tree), score, tree_cut)
        asked = (*common(), *topic.questions) if topic is about[0] else topic.questions
        answers += [answer(question, known) for question in asked]
    order = list(Part)
    return tuple(sorted(answers, key=lambda one: order.index(one.part)))


def answer(question: Question, known: Known) -> Answer:
    """One question, answered."""
    said = ANSWERERS[question.answer](known, question.given)
    technique = known.topic.technique
    return Answer(
        id=f"{technique.lower()}/{question.id}",
        technique=technique,
        part=question.part,
        text=question.text.replace("{name}", known.topic.name),
        said=said.said,
        sentence=said.sentence,
        confidence=said.confidence if said.said is not Said.UNKNOWN else Confidence.LOW,
        source=question.source if technique == RUNBOOK else "",
        accuses=question.accuses,
        needs=tuple(source.value for source in said.needs),
        events=said.events,
        findings=said.findings,
    )


def _content(name: str) -> Mapping[str, object]:
    text = (files("perilune") / "content" / "questions" / name).read_text(encoding="utf-8")
    found = yaml.load(text, Loader=yaml.CSafeLoader)
    if not isinstance(found, dict):
        raise ContentError("questions are keys and values", where=name)
    return found


def _topic(content: Mapping[str, object], where: str) -> Topic:
    return Topic(
        technique=str(content["technique"]),
        name=str(content["name"]),
        programs=str(content["programs"]),
        scripts=str(content["scripts"]),
        questions=_questions(content, where),
    )


def _questions(content: Mapping[str, object], where: str) -> tuple[Question, ...]:
    listed = content.get("questions") or []
    if not isinstance(listed, list):
        raise ContentError("questions are a list", where=where)
    return tuple(_question(one, where) for one in listed)


def _question(one: Mapping[str, object], where: str) -> Question:
    if (name := str(one.get("answer"))) not in ANSWERERS:
        raise ContentError(f"question {one.get('id')!r}: there is no answer {name!r}", where=where)
    accuses = one.get("accuses")
    given = one.get("given")
    return Question(
        id=str(one["id"]),
        part=Part[str(one["part"])],
        text=str(one["text"]),
        answer=name,
        source=str(one.get("source") or ""),
        accuses=None if accuses is None else Said.YES if accuses is True else Said.NO,
        given={str(k): str(v) for k, v in given.items()} if isinstance(given, dict) else {},
    )
