"""What a set of rules covers, by sub-technique of T1059: how many rules, how loud, over which tables."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from perilune.model.rules import Role, Rule


@dataclass(frozen=True, slots=True)
class Covered:
    """One technique. `levels` counts its rules by level, `tables` and `sources` by what they read."""

    technique: str
    name: str
    rules: int
    levels: Mapping[str, int]
    tables: Mapping[str, int]
    sources: Mapping[str, int]
    titles: tuple[str, ...]
    guided: int  # rules whose guide this is


def cover(rules: Iterable[Rule], techniques: Mapping[str, str], prefix: str = "T1059") -> tuple[Covered, ...]:
    """A row for each technique of the list that begins with the prefix, in its order; none is left out."""
    detections = [rule for rule in rules if rule.role is Role.DETECTION]
    return tuple(_row(technique, techniques[technique], detections) for technique in wanted(techniques, prefix))


def wanted(techniques: Mapping[str, str], prefix: str) -> list[str]:
    return sorted(technique for technique in techniques if technique.startswith(prefix))


def _row(technique: str, name: str, rules: list[Rule]) -> Covered:
    own = [rule for rule in rules if technique in rule.techniques]
    return Covered(
        technique=technique,
        name=name,
        rules=len(own),
        levels=Counter(rule.level.word for rule in own),
        tables=Counter(table for rule in own for table in {scope.table for scope in rule.scopes}),
        sources=Counter(rule.extra.get("logsource", "") for rule in own),
        titles=tuple(sorted(rule.title for rule in own)),
        guided=sum(rule.extra.get("guide", "").upper() == technique for rule in own),
    )
