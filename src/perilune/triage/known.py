"""What the questions are answered from, and how an answer is made of facts and of what was read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from perilune.model.answers import Confidence, Said
from perilune.model.case import ProcessNode
from perilune.model.facts import ORIGINS, Fact, Facts, Kind, Source
from perilune.model.findings import Finding
from perilune.model.questions import Topic
from perilune.model.tables import EventRef

SHOWN = 3  # facts named in a sentence
MAX_EVENTS = 12  # linked from one answer


@dataclass(frozen=True, slots=True)
class Known:
    """All that triage may look at for one case, and which interpreter is being asked about."""

    topic: Topic
    facts: Facts
    findings: tuple[Finding, ...]
    tree: tuple[ProcessNode, ...]
    score: int = 0
    tree_cut: int = 0

    @property
    def use(self) -> tuple[Fact, ...]:
        """Runs of the topic's interpreter, and known uses of any."""
        found = self.facts.of(Kind.USE)
        return tuple(one for one in found if "known" in one.tags or self.topic.technique in one.tags)

    @property
    def mine(self) -> tuple[Finding, ...]:
        """The findings of the topic; all, where none names its technique."""
        own = tuple(f for f in self.findings if self.topic.technique in f.techniques)
        return own or self.findings


@dataclass(frozen=True, slots=True)
class Answered:
    """An answer without its question."""

    said: Said
    sentence: str
    confidence: Confidence = Confidence.MEDIUM
    needs: tuple[Source, ...] = ()
    events: tuple[EventRef, ...] = ()
    findings: tuple[str, ...] = ()
    hints: Mapping[str, str] = field(default_factory=dict)


def yes(sentence: str, facts: Sequence[Fact] = (), *, sure: Confidence = Confidence.HIGH) -> Answered:
    return Answered(Said.YES, sentence, sure, events=events_of(facts))


def no(sentence: str, facts: Sequence[Fact] = (), *, sure: Confidence = Confidence.MEDIUM) -> Answered:
    return Answered(Said.NO, sentence, sure, events=events_of(facts))


def unknown(needs: Sequence[Source], sentence: str = "", facts: Sequence[Fact] = ()) -> Answered:
    """Nothing that was read could show it: says what would."""
    said = f"Unknown: needs {listed([f'{source.value} ({ORIGINS[source]})' for source in needs])}."
    return Answered(Said.UNKNOWN, f"{said} {sentence}".strip(), Confidence.LOW, tuple(needs), events=events_of(facts))


def weigh(
    known: Known,
    found: Sequence[Fact],
    *needs: Source,
    shows: str,
    nothing: str,
    sure: Confidence = Confidence.HIGH,
) -> Answered:
    """Yes where a fact shows it; no only where every source that would show it was read; else unknown."""
    if found:
        return yes(f"{shows}: {told(found)}.", found, sure=sure)
    missing = [source for source in needs if not known.facts.has(source)]
    return unknown(missing) if missing else no(f"{nothing} {read(known, needs)}.")


def read(known: Known, sources: Sequence[Source]) -> str:
    """What a `no` rests on."""
    logs = [source for source in sources if known.facts.has(source) and source not in _BESIDE]
    counts = [f"{known.facts.coverage[source].near:,} {source.value}" for source in logs]
    words = [f"in {listed(counts)} of the host near the case"] if counts else []
    words += [_BESIDE[source](known.facts.coverage[source].near) for source in sources if source in _BESIDE]
    return " and ".join(words)


_BESIDE = {
    Source.OTHER_HOSTS: lambda count: f"in the logs of {count:,} other {'host' if count == 1 else 'hosts'}",
    Source.LISTS: lambda count: f"on lists of {count:,} bad {'entry' if count == 1 else 'entries'}",
}


def told(facts: Sequence[Fact]) -> str:
    """The first facts in words, and how many more there are."""
    words = list(dict.fromkeys(one.text for one in facts))
    more = f"; and {len(words) - SHOWN} more" if len(words) > SHOWN else ""
    return "; ".join(words[:SHOWN]) + more


def listed(words: Sequence[str]) -> str:
    return " and ".join(words) if len(words) < 3 else f"{', '.join(words[:-1])} and {words[-1]}"


def events_of(facts: Sequence[Fact]) -> tuple[EventRef, ...]:
    return tuple(dict.fromkeys(one.event for one in facts if one.event is not None))[:MAX_EVENTS]
