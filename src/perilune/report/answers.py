"""Triage laid out for reading: the runbook's questions by part, the facts by kind, each with its way to the events."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from perilune.model.answers import Answer, Criterion, Part, Said
from perilune.model.case import Case
from perilune.model.facts import Fact, Kind
from perilune.model.tables import EventRef

RECORDS_MOST = 6  # named with one answer

# Signs beside the words, for those who cannot tell colours: a filled one where the answer speaks for abuse.
_SIGNS = {Said.YES: "●", Said.NO: "○", Said.UNKNOWN: "?"}


@dataclass(frozen=True, slots=True)
class Shown:
    """An answer or a criterion with the numbers of the findings that show it and the records of the other events."""

    answer: Answer | Criterion
    numbers: tuple[int, ...]
    records: tuple[EventRef, ...]
    records_cut: int

    @property
    def sign(self) -> str:
        return _SIGNS[self.answer.said]

    @property
    def tone(self) -> str:
        """`accuses`, `clears` where the opposite was found, `open` where it is unknown, or `plain`."""
        if self.answer.said is Said.UNKNOWN:
            return "open"
        accuses = Said.YES if isinstance(self.answer, Criterion) else self.answer.accuses
        if accuses is None:
            return "plain"
        return "accuses" if self.answer.said is accuses else "clears"


@dataclass(frozen=True, slots=True)
class Section:
    """One part of the runbook."""

    part: Part
    rows: tuple[Shown, ...]


@dataclass(frozen=True, slots=True)
class FactKind:
    kind: Kind
    facts: tuple[Fact, ...]
    cut: int


@dataclass(frozen=True, slots=True)
class Triage:
    """`counts`: how many questions were answered yes, no and unknown."""

    sections: tuple[Section, ...]
    criteria: tuple[Shown, ...]
    facts: tuple[FactKind, ...]
    counts: Mapping[str, int]


def lay_out(case: Case, numbers: Mapping[str, int], facts_most: int) -> Triage:
    """The triage of a case; `numbers` are those of its findings, by id."""
    by_event: dict[EventRef, list[int]] = {}
    for finding in case.findings:
        by_event.setdefault(finding.event, []).append(numbers[finding.id])
    shown = [_shown(answer, by_event, numbers) for answer in case.answers]
    sections = (
        Section(part, tuple(s for s in shown if isinstance(s.answer, Answer) and s.answer.part is part))
        for part in Part
    )
    criteria = case.escalation.criteria if case.escalation else ()
    return Triage(
        sections=tuple(section for section in sections if section.rows),
        criteria=tuple(_shown(one, by_event, numbers) for one in criteria),
        facts=tuple(_kind(case, kind, facts_most) for kind in Kind if case.facts.of(kind)),
        counts={said.value: sum(answer.said is said for answer in case.answers) for said in Said},
    )


def _shown(answer: Answer | Criterion, by_event: Mapping[EventRef, Sequence[int]], numbers: Mapping[str, int]) -> Shown:
    found = {number for event in answer.events for number in by_event.get(event, ())}
    if isinstance(answer, Answer):
        found |= {numbers[id_] for id_ in answer.findings if id_ in numbers}
    others = [event for event in answer.events if event not in by_event]
    return Shown(answer, tuple(sorted(found)), tuple(others[:RECORDS_MOST]), max(0, len(others) - RECORDS_MOST))


def _kind(case: Case, kind: Kind, most: int) -> FactKind:
    found = case.facts.of(kind)
    return FactKind(kind, found[:most], case.facts.cut.get(kind, 0) + max(0, len(found) - most))
