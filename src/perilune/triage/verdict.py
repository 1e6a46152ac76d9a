"""How much a finding and a case weigh, and why. Every point has a reason that an analyst can read."""

from __future__ import annotations

from collections.abc import Sequence

from perilune.model.findings import Context, Finding, Reason
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

FURTHER_RULE_POINTS = 6  # each further rule that speaks of the same case
FURTHER_RULES_MOST = 24
LEAST = 1  # a finding is never explained away to nothing


def weigh_finding(rule: Rule, contexts: Sequence[Context]) -> tuple[int, tuple[Reason, ...]]:
    """The score of one rule's match under what is known to be legitimate, and its reasons."""
    reasons = [Reason(LEVEL_POINTS[rule.level], f"{rule.level.word} rule: {rule.title}")]
    strongest = max(contexts, key=lambda context: context.lowers, default=None)
    if strongest is not None:
        room = reasons[0].points - LEAST
        reasons.append(Reason(-min(strongest.lowers, room), f"known use: {strongest.title}"))
    return _total(reasons), tuple(reasons)


def weigh_case(findings: Sequence[Finding]) -> tuple[int, Level, tuple[Reason, ...]]:
    """The score of findings that belong together: the heaviest, and a little for each further rule."""
    top = max(findings, key=lambda finding: finding.score)
    reasons = list(top.reasons)
    others = {f.rule_id: f for f in findings if f.rule_id != top.rule_id and f.score >= _FLOORS[-1][0]}
    if others:
        points = min(FURTHER_RULE_POINTS * len(others), FURTHER_RULES_MOST, 100 - _total(reasons))
        noun = "rule agrees" if len(others) == 1 else "rules agree"
        reasons.append(Reason(points, f"{len(others)} more {noun}: {_titles(others.values())}"))
    score = _total(reasons)
    return score, level_of(score), tuple(reasons)


def level_of(score: int) -> Level:
    """The word for a score."""
    return next((level for floor, level in _FLOORS if score >= floor), Level.INFORMATIONAL)


def _total(reasons: Sequence[Reason]) -> int:
    return max(0, min(100, sum(reason.points for reason in reasons)))


def _titles(findings: object, most: int = 3) -> str:
    titles = sorted({f.rule_title for f in findings})  # type: ignore[attr-defined]
    more = f" and {len(titles) - most} more" if len(titles) > most else ""
    return "; ".join(titles[:most]) + more
