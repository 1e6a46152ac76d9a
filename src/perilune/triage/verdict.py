"""How much a finding and a case weigh, and why; and the one word that it comes to.

Every point has a reason that an analyst can read. A case weighs what its heaviest finding weighs, and what agrees with
it adds less and less: twenty repeats of one rule are no second witness. Weak witnesses together (further rules, plain
connections) can lift a case by `WEAK_MOST`, strong ones (persistence, a listed address, credentials) by `STRONG_MOST`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from perilune.model.answers import Answer, Confidence, Part, Said, Verdict, Word
from perilune.model.facts import Fact, Facts, Kind, Source
from perilune.model.findings import Context, Finding, Reason
from perilune.model.people import Criticality
from perilune.model.rules import Level, Rule

# What a rule of each level weighs alone. The gaps leave room for context to move a finding by one level.
LEVEL_POINTS = {
    Level.CRITICAL: 90,
    Level.HIGH: 72,
    Level.MEDIUM: 48,
    Level.LOW: 26,
    Level.INFORMATIONAL: 10,
}
# The least score of each level, for a case.
_FLOORS = ((88, Level.CRITICAL), (70, Level.HIGH), (45, Level.MEDIUM), (24, Level.LOW))
HIGH, MEDIUM, LOW = 70, 45, 24

FURTHER_RULE_POINTS = 6  # the first further rule that speaks of the case, at its heaviest
FURTHER_RULE_SHRINKS = 0.75  # each one after it weighs this much of the one before
SAME_EVENT = 0.4  # a rule that speaks of an event already counted is half a witness at most
REPEATS_MOST = 3
WEAK_MOST = 18
STRONG_MOST = 24
LEAST = 1  # a finding is never explained away to nothing
HARMLESS = 15  # an analysis at or below this speaks for harmlessness
FEEDBACK_LEAST = 3  # people who must have judged a rule here before it counts
FEEDBACK_MOST = 15

Feedback = Mapping[str, tuple[int, int]]  # by rule id, how often people here called it true and false


def weigh_finding(rule: Rule, contexts: Sequence[Context]) -> tuple[int, tuple[Reason, ...]]:
    """The score of one rule's match under what is known to be legitimate, and its reasons."""
    reasons = [Reason(LEVEL_POINTS[rule.level], f"{rule.level.word} rule: {rule.title}")]
    strongest = max(contexts, key=lambda context: context.lowers, default=None)
    if strongest is not None:
        room = reasons[0].points - LEAST
        reasons.append(Reason(-min(strongest.lowers, room), f"known use: {strongest.title}"))
    return _total(reasons), tuple(reasons)


def weigh_case(
    findings: Sequence[Finding], facts: Facts | None = None, feedback: Feedback | None = None
) -> tuple[int, Level, tuple[Reason, ...]]:
    """The score of findings that belong together, its level, and its reasons, whose points add up to it."""
    top = max(findings, key=lambda finding: (finding.score, finding.id))
    reasons = list(top.reasons)
    if top.score >= LOW:
        reasons += _capped([*_further(top, findings), *_weak(facts)], WEAK_MOST, "agree less and less")
        reasons += _capped(_strong(facts, findings), STRONG_MOST, "strong signs together")
    reasons += _lowering(top, facts, feedback or {})
    over = sum(reason.points for reason in reasons) - 100
    if over > 0:
        reasons.append(Reason(-over, "no case weighs more than 100"))
    score = _total(reasons)
    return score, level_of(score), tuple(reasons)


def _further(top: Finding, findings: Sequence[Finding]) -> list[Reason]:
    """Other rules, each weighing less than the one before; then repeats of the heaviest."""
    best: dict[str, Finding] = {}
    for finding in sorted(findings, key=lambda one: (-one.score, one.id)):
        if finding.rule_id != top.rule_id and finding.score >= LOW:
            best.setdefault(finding.rule_id, finding)
    points, share, counted = 0.0, 1.0, {top.event}
    for finding in best.values():
        points += (
            FURTHER_RULE_POINTS
            * share
            * min(1.0, finding.score / LEVEL_POINTS[Level.HIGH])
            * (SAME_EVENT if finding.event in counted else 1.0)
        )
        share *= FURTHER_RULE_SHRINKS
        counted.add(finding.event)
    reasons = []
    if best:
        noun = "rule agrees" if len(best) == 1 else "rules agree"
        reasons.append(Reason(max(1, round(points)), f"{len(best)} more {noun}: {_titles(best.values())}"))
    repeats = len({f.event for f in findings if f.rule_id == top.rule_id}) - 1
    if repeats > 0 and top.score >= MEDIUM:
        times = "once more" if repeats == 1 else f"on {repeats:,} more events"
        reasons.append(Reason(min(REPEATS_MOST, round(math.log2(1 + repeats))), f"the heaviest rule holds {times}"))
    return reasons


def _weak(facts: Facts | None) -> list[Reason]:
    if facts is None:
        return []
    outside = [one for one in _own(facts, Kind.CONNECTION) if "public" in one.tags and "shared" not in one.tags]
    children = [one for one in _own(facts, Kind.CHILD) if "odd" in one.tags]
    alerts = [one for one in facts.of(Kind.ALERT) if "grave" in one.tags]
    return [
        *_reason(outside, 4, "its processes reach outside"),
        *_reason(children, 2, "its interpreter starts programs that scripts seldom need"),
        *_reason(alerts, 3, "other alerts of the host within a day"),
        *_reason([f for f in facts.of(Kind.HOURS) if f.name == "no"], 4, "the user was not at work"),
    ]


def _strong(facts: Facts | None, findings: Sequence[Finding]) -> list[Reason]:
    reasons = []
    best = max((f.analysis.score for f in findings if f.analysis is not None), default=0)
    if best >= 80:
        reasons.append(Reason(6, f"what its code does scores {best} of 100"))
    if facts is None:
        return reasons
    listed = [one for one in _own(facts, Kind.CONNECTION) if "listed" in one.tags and "failed" not in one.tags]
    unusual = [one for one in facts.of(Kind.BASELINE) if "unusual" in one.tags]
    changed = [one for one in _own(facts, Kind.CHANGE) if "protection" in one.tags]
    return [
        *reasons,
        *_reason(listed, 14, "a connection to a listed address"),
        *_reason(_own(facts, Kind.PERSISTENCE), 6, "persistence planted"),
        *_reason(_own(facts, Kind.CREDENTIAL), 6, "credentials reached for"),
        *_reason(_own(facts, Kind.PRIVILEGE), 4, "rights raised"),
        *_reason(changed, 4, "protection or services changed"),
        *_reason(facts.of(Kind.ELSEWHERE), 5, "the same on other hosts"),
        *_reason(unusual, 6, "unusual for here"),
        *_critical(facts),
    ]


def _critical(facts: Facts) -> list[Reason]:
    points = {Criticality.HIGH: 4, Criticality.CRITICAL: 8}
    if facts.criticality not in points:
        return []
    role = f" ({facts.role})" if facts.role else ""
    return [Reason(points[facts.criticality], f"much depends on this host: {facts.criticality}{role}")]


def _lowering(top: Finding, facts: Facts | None, feedback: Feedback) -> list[Reason]:
    """What speaks against a case: its code does nothing harmful, the history knows it, people called the rule false."""
    reasons = []
    if top.analysis is not None and top.analysis.score <= HARMLESS and top.score < HIGH:
        reasons.append(Reason(-6, f"what its code does scores only {top.analysis.score} of 100"))
    usual = [one for one in facts.of(Kind.BASELINE) if "usual" in one.tags] if facts else []
    unusual = [one for one in facts.of(Kind.BASELINE) if "unusual" in one.tags] if facts else []
    if usual and not unusual:
        reasons.append(Reason(-min(12, 4 * len(usual)), f"usual for here: {_texts(usual)}"))
    true, false = feedback.get(top.rule_id, (0, 0))
    if true + false:
        points = round(FEEDBACK_MOST * false / (true + false)) if true + false >= FEEDBACK_LEAST and false > true else 0
        reasons.append(Reason(-points, f"people here called the heaviest rule true {true} and false {false} times"))
    room = max(0, top.score - LEAST)
    return [Reason(max(reason.points, -room), reason.text) for reason in reasons]


def judge(
    findings: Sequence[Finding], facts: Facts, answers: Sequence[Answer], *, score: int, sentence: str
) -> Verdict:
    """The word for a case. Malicious asks for two witnesses; benign for an explanation; else it stays unknown."""
    accusing = [answer for answer in answers if answer.speaks_for_abuse]
    grave = [f for f in findings if f.score >= MEDIUM]
    # One rule that holds twenty times is one witness, and so are twenty rules that hold on one event.
    independent = min(len({f.event for f in grave}), len({f.rule_id for f in grave}))
    witnesses = independent + sum(_is_witness(answer) for answer in accusing)
    word, sure, why = _word(score, findings, facts, witnesses)
    open_questions = sum(answer.said is Said.UNKNOWN for answer in answers)
    said = [why, f"{len(accusing)} answers speak for abuse" if len(accusing) != 1 else "1 answer speaks for abuse"]
    if open_questions:
        said.append(
            f"{open_questions} {'question is' if open_questions == 1 else 'questions are'} open for want of data"
        )
    return Verdict(word, sure, sentence, tuple(said))


# Answers that say again what the findings say, or what others' findings say.
_NO_WITNESS = ("system-logs", "legitimate-use", "other-alerts", "frequent-execution", "restrict")


def _is_witness(answer: Answer) -> bool:
    """Whether an accusing answer rests on more than the findings themselves."""
    if answer.confidence is not Confidence.HIGH or answer.part in (Part.ESCALATION, Part.CONTAINMENT):
        return False
    return answer.id.partition("/")[2] not in _NO_WITNESS


def _word(score: int, findings: Sequence[Finding], facts: Facts, witnesses: int) -> tuple[Word, Confidence, str]:
    critical = next((f for f in findings if f.score >= _FLOORS[0][0]), None)
    if critical is not None and witnesses < 2:
        return (
            Word.MALICIOUS,
            Confidence.MEDIUM,
            f"the score is {score} and a critical rule held: {critical.rule_title}",
        )
    if score >= HIGH and witnesses >= 2:
        sure = Confidence.HIGH if score >= 88 and witnesses >= 4 else Confidence.MEDIUM
        return Word.MALICIOUS, sure, f"the score is {score} and {witnesses} independent rules and answers agree"
    if score >= MEDIUM:
        return Word.SUSPICIOUS, Confidence.MEDIUM, f"the score is {score}, with too little beside the rule to be sure"
    if score >= LOW:
        return Word.SUSPICIOUS, Confidence.LOW, f"the score is {score}: weak signs"
    explained = [f for f in findings if f.context]
    if explained and len(explained) == len(findings):
        return Word.BENIGN, Confidence.MEDIUM, f"known uses explain every finding: {explained[0].context[0].title}"
    if any(one for one in facts.of(Kind.BASELINE) if "usual" in one.tags):
        return Word.BENIGN, Confidence.LOW, "the history knows it, and only weak rules held"
    if not facts.has(Source.PROCESSES):
        return Word.UNKNOWN, Confidence.LOW, "too little of the host was read to say more"
    return Word.UNKNOWN, Confidence.LOW, "only weak rules held, and nothing explains them"


def level_of(score: int) -> Level:
    """The word for a score."""
    return next((level for floor, level in _FLOORS if score >= floor), Level.INFORMATIONAL)


def _own(facts: Facts, kind: Kind) -> list[Fact]:
    return [one for one in facts.of(kind) if one.own]


def _reason(found: Sequence[Fact], points: int, text: str) -> list[Reason]:
    return [Reason(points, f"{text}: {_texts(found)}")] if found else []


def _texts(found: Sequence[Fact]) -> str:
    first = " ".join(found[0].text.split())
    shown = first if len(first) <= 100 else f"{first[:99]}…"
    return shown + (f" and {len(found) - 1} more" if len(found) > 1 else "")


def _capped(reasons: Sequence[Reason], most: int, text: str) -> list[Reason]:
    """The reasons, and where they come to more than `most`, one that takes the rest off again."""
    over = sum(reason.points for reason in reasons) - most
    return [*reasons, Reason(-over, f"{text}: at most {most} points")] if over > 0 else list(reasons)


def _total(reasons: Sequence[Reason]) -> int:
    return max(0, min(100, sum(reason.points for reason in reasons)))


def _titles(findings: Iterable[Finding], most: int = 3) -> str:
    titles = sorted({f.rule_title for f in findings})
    more = f" and {len(titles) - most} more" if len(titles) > most else ""
    return "; ".join(titles[:most]) + more
