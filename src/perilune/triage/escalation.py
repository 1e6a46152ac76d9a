"""Whether Tier 2 must see a case: the runbook's three criteria, and our own, each met, not met or unknown."""

from __future__ import annotations

from collections.abc import Sequence

from perilune.model.answers import Answer, Criterion, Escalation, Part, Said, Verdict, Word
from perilune.model.facts import Fact, Facts, Kind, Source
from perilune.model.people import Criticality
from perilune.triage.known import events_of, told

# The runbook's three, said as what is met.
_STATEMENTS = {
    "escalate-unusual-host": "the interpreter ran on a system that does not normally use it",
    "escalate-known-bad": "interaction with known malicious infrastructure is confirmed",
    "escalate-privilege": "unauthorised access or privilege escalation coincides with the execution",
}

# Our own, each the answer to a question of the runbook, by its id.
_ASKED = (
    ("persistence", "Persistence was planted"),
    ("credentials", "Credentials were reached for"),
    ("other-systems", "Other systems show the same"),
)


def decide(answers: Sequence[Answer], facts: Facts, verdict: Verdict) -> Escalation:
    """Yes as soon as one criterion is met; unknown while none is and one of the runbook's three could be."""
    runbook = [_of_answer(answer, answer.text) for answer in answers if answer.part is Part.ESCALATION]
    named = {answer.id.partition("/")[2]: answer for answer in reversed(answers)}
    ours = [_of_answer(named[id_], text, ours=True) for id_, text in _ASKED if id_ in named]
    criteria = (*runbook, *ours, _malicious(verdict), _critical(facts), _protection(facts))
    met = [one for one in criteria if one.said is Said.YES]
    open_ = [one for one in runbook if one.said is Said.UNKNOWN]
    if met:
        return Escalation(Said.YES, f"Escalate to Tier 2: {_words(met)}.", criteria)
    if open_:
        needs = ", ".join(dict.fromkeys(need for one in open_ for need in one.needs))
        return Escalation(
            Said.UNKNOWN, f"No criterion is met, but {len(open_)} cannot be decided without {needs}.", criteria
        )
    return Escalation(Said.NO, "Keep with Tier 1: no criterion is met.", criteria)


def _of_answer(answer: Answer, text: str, *, ours: bool = False) -> Criterion:
    return Criterion(answer.id.partition("/")[2], text, answer.said, answer.sentence, ours, answer.needs, answer.events)


def _malicious(verdict: Verdict) -> Criterion:
    met = verdict.word is Word.MALICIOUS
    return Criterion(
        "verdict", "The verdict is malicious", Said.YES if met else Said.NO,
        f"The verdict is {verdict.word}: {verdict.why[0] if verdict.why else 'no reason was kept'}.", ours=True,
    )  # fmt: skip


def _critical(facts: Facts) -> Criterion:
    text = "Much depends on the host"
    if facts.criticality is None:
        why = "Unknown: needs an asset file that names the host (assets/*.yml in the content folder)."
        return Criterion("critical-host", text, Said.UNKNOWN, why, ours=True, needs=("an asset file",))
    met = facts.criticality in (Criticality.HIGH, Criticality.CRITICAL)
    role = f", {facts.role}" if facts.role else ""
    said = Said.YES if met else Said.NO
    return Criterion("critical-host", text, said, f"The asset file says {facts.criticality}{role}.", ours=True)


def _protection(facts: Facts) -> Criterion:
    found: list[Fact] = [one for one in facts.of(Kind.CHANGE) if one.own and "protection" in one.tags]
    text = "The case's processes weakened the protection of the host"
    if found:
        return Criterion("protection", text, Said.YES, f"{told(found)}.", ours=True, events=events_of(found))
    if not facts.has(Source.PROCESSES):
        needs = (Source.PROCESSES.value,)
        return Criterion("protection", text, Said.UNKNOWN, f"Unknown: needs {needs[0]}.", ours=True, needs=needs)
    return Criterion("protection", text, Said.NO, "None of the events that were read shows it.", ours=True)


def _words(met: Sequence[Criterion]) -> str:
    texts = [_STATEMENTS.get(one.id, one.text).rstrip("?.") for one in met]
    plain = [text[0].lower() + text[1:] for text in texts]
    return "; ".join(plain[:4]) + (f" and {len(plain) - 4} more" if len(plain) > 4 else "")
