"""From capabilities to a score: log-odds added up, every summand with its reason.

The prior says how rare abuse is among command lines that anyone bothers to analyse. Signs of one family speak of the
same thing, so the heaviest counts in full and each further one half as much as the one before. What speaks for
harmlessness can take away at most `MOST_OFF`, and less the more speaks against it: anyone can append `--help` to a
reverse shell.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from perilune.model.analysis import Capability, Weighed
from perilune.model.rules import Level

PRIOR = -3.3  # about 3.5 in 100
MOST_OFF = 1.5
WEAK, STRONG = 3.0, 7.0  # evidence up to which context counts in full, and from which on it counts nothing
MOST = 9.0  # beyond, a sigmoid has nothing more to say

# The lowest score of each band; docs/reference/analysis.md has what they mean in measured precision.
BANDS: tuple[tuple[int, Level], ...] = (
    (95, Level.CRITICAL),
    (80, Level.HIGH),
    (30, Level.MEDIUM),
    (10, Level.LOW),
    (0, Level.INFORMATIONAL),
)


def weigh(
    capabilities: Sequence[Capability], prior: str = "Most command lines are harmless"
) -> tuple[int, Level, tuple[Weighed, ...]]:
    """The score, its band, and the reasons, heaviest first behind the prior."""
    reasons = [Weighed(PRIOR, prior)]
    against = sorted((c for c in capabilities if c.weight > 0), key=lambda c: -c.weight)
    seen: dict[str, int] = {}
    for one in against:
        before = seen.get(one.family, 0)
        seen[one.family] = before + 1
        odds = round(one.weight / 2**before, 2)
        if odds >= 0.05:
            more = f" (further sign of {one.family}, counted {'half' if before == 1 else 'less'})" if before else ""
            reasons.append(Weighed(odds, one.title + more, one.id))
    evidence = sum(reason.odds for reason in reasons if reason.odds > 0)
    room = MOST_OFF * max(0.0, min(1.0, (STRONG - evidence) / (STRONG - WEAK)))
    reasons += _off([c for c in capabilities if c.weight < 0], room)
    total = max(-MOST, min(MOST, sum(reason.odds for reason in reasons)))
    score = round(100 / (1 + math.exp(-total)))
    return score, band(score), tuple(reasons)


def _off(harmless: Sequence[Capability], left: float) -> list[Weighed]:
    found: list[Weighed] = []
    for one in sorted(harmless, key=lambda c: c.weight):
        odds = min(left, -one.weight)
        left -= odds
        if odds >= 0.05:
            found.append(Weighed(-round(odds, 2), one.title, one.id))
    return found


def band(score: int) -> Level:
    return next(level for least, level in BANDS if score >= least)
