"""What triage says of a case: answered questions, a verdict with its sentence, escalation criteria."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from perilune.model.events import EventRef
from perilune.model.findings import Reason


class Said(StrEnum):
    """An answer. Unknown is one: nothing that was read could show it."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"


class Part(StrEnum):
    """Which part of the runbook a question is from, in the runbook's order."""

    LOG_SOURCE = "Log sources to investigate"
    INDICATOR = "Key indicators"
    QUESTION = "Questions for analysis"
    ESCALATION = "Decision for escalation"
    L1_STEP = "Additional analysis steps for L1"
    T2_ACTION = "T2 analyst actions"
    CONTAINMENT = "Containment and further analysis"


class Confidence(StrEnum):
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


@dataclass(frozen=True, slots=True)
class Answer:
    """One question of the runbook, answered for one case.

    id        stable: the technique and the question, `t1059.011/host-usual`
    source    the runbook's own words, where they are another's than ours
    accuses   which answer speaks for abuse; None where neither does
    sentence  the answer in plain words
    needs     the sources that are missing, when it is unknown
    events    the events that show it; findings: ids of findings that show it
    """

    id: str
    technique: str
    part: Part
    text: str
    said: Said
    sentence: str
    confidence: Confidence
    source: str = ""
    accuses: Said | None = None
    needs: tuple[str, ...] = ()
    events: tuple[EventRef, ...] = ()
    findings: tuple[str, ...] = ()

    @property
    def speaks_for_abuse(self) -> bool:
        return self.accuses is not None and self.said is self.accuses


class Word(StrEnum):
    MALICIOUS = "malicious"
    SUSPICIOUS = "suspicious"
    BENIGN = "benign"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the case is, in one word and one sentence. `why`: what the word rests on."""

    word: Word
    confidence: Confidence
    sentence: str
    why: tuple[str, ...] = ()
    reasons: tuple[Reason, ...] = ()


@dataclass(frozen=True, slots=True)
class Criterion:
    """One reason to hand a case to Tier 2: met, not met, or unknown. `ours`: not one of the runbook's three."""

    id: str
    text: str
    said: Said
    why: str
    ours: bool = False
    needs: tuple[str, ...] = ()
    events: tuple[EventRef, ...] = ()


@dataclass(frozen=True, slots=True)
class Escalation:
    """Whether Tier 2 must see the case: yes as soon as one criterion is met, unknown while one could be."""

    said: Said
    sentence: str
    criteria: tuple[Criterion, ...]
