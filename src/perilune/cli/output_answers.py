"""What `--json` says of triage: verdict, escalation, answers, facts."""

from __future__ import annotations

from perilune.model.answers import Answer, Criterion, Escalation, Verdict
from perilune.model.facts import Fact, Facts
from perilune.model.guides import Guide
from perilune.model.suppression import Suppressed
from perilune.model.tables import EventRef

Plain = dict[str, object]


def verdict_object(verdict: Verdict | None) -> Plain | None:
    if verdict is None:
        return None
    return {
        "word": verdict.word.value,
        "confidence": verdict.confidence.value,
        "sentence": verdict.sentence,
        "why": list(verdict.why),
    }


def escalation_object(escalation: Escalation | None) -> Plain | None:
    if escalation is None:
        return None
    return {
        "escalate": escalation.said.value,
        "sentence": escalation.sentence,
        "criteria": [_criterion(one) for one in escalation.criteria],
    }


def answer_object(answer: Answer) -> Plain:
    return {
        "id": answer.id,
        "technique": answer.technique,
        "part": answer.part.value,
        "question": answer.text,
        "source": answer.source,
        "answer": answer.said.value,
        "confidence": answer.confidence.value,
        "sentence": answer.sentence,
        "speaks_for_abuse": answer.speaks_for_abuse,
        "needs": list(answer.needs),
        "events": [event_object(event) for event in answer.events],
        "findings": list(answer.findings),
    }


def facts_object(facts: Facts) -> Plain:
    """By kind, what the events around a case show; what was cut; what was read of each source."""
    return {
        "found": {kind.value: [_fact(one) for one in found] for kind, found in facts.found.items()},
        "cut": {kind.value: count for kind, count in facts.cut.items()},
        "read": {
            source.value: {"near": held.near, "host": held.host, "first": held.begin, "last": held.end}
            for source, held in facts.coverage.items()
        },
        "criticality": facts.criticality.value if facts.criticality else None,
        "role": facts.role,
    }


def event_object(ref: EventRef) -> Plain:
    return {"table": ref.table, "file": ref.source, "record": ref.record}


def _criterion(one: Criterion) -> Plain:
    return {
        "id": one.id,
        "criterion": one.text,
        "ours": one.ours,
        "met": one.said.value,
        "why": one.why,
        "needs": list(one.needs),
        "events": [event_object(event) for event in one.events],
    }


def _fact(one: Fact) -> Plain:
    return {
        "name": one.name,
        "text": one.text,
        "value": one.value,
        "time": one.time,
        "host": one.host,
        "by_the_case": one.own,
        "tags": list(one.tags),
        "event": event_object(one.event) if one.event else None,
    }


def guide_object(guide: Guide) -> Plain:
    return {
        "technique": guide.technique,
        "title": guide.title,
        "happened": list(guide.happened),
        "check": list(guide.check),
        "queries": [{"title": query.title, "kql": query.kql} for query in guide.queries],
        "contain": list(guide.contain),
        "references": list(guide.references),
    }


def suppressed_object(one: Suppressed) -> Plain:
    return {
        "id": one.suppression.id,
        "rule": one.suppression.rule,
        "where": dict(one.suppression.where),
        "owner": one.suppression.owner,
        "reason": one.suppression.reason,
        "expires": one.suppression.expires.isoformat(),
        "source": one.suppression.source,
        "expired": one.expired,
        "count": one.count,
        "events": [event_object(event) for event in one.events],
    }
