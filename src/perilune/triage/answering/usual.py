"""Is it usual here: history first, then what the logs themselves show."""

from __future__ import annotations

import re
from collections.abc import Mapping

from perilune.model.answers import Confidence, Said
from perilune.model.facts import Fact, Kind, Source
from perilune.triage.answering.registry import answers, brought_programs, history, time_of_day
from perilune.triage.known import Answered, Known, no, told, unknown, yes

LONG_HISTORY = 7  # days of logs before the case after which a first run is unusual
SEVERAL_DAYS = 3  # different days of earlier runs after which a run is usual


@answers
def unusual_here(known: Known, given: Mapping[str, str]) -> Answered:
    """Whether this host does not normally run the interpreter: history first, then what the logs themselves show."""
    name = known.topic.name
    if found := history(known, "host", "unusual"):
        return yes(f"{name} is not usual on this host: {told(found)}.", found)
    if found := history(known, "host", "usual"):
        return no(f"{name} is usual on this host: {told(found)}.", found, sure=Confidence.HIGH)
    brought = [one for one in brought_programs(known) if _is_interpreter(known, one)]
    if brought:
        return yes(f"The {name} interpreter came with the case: {told(brought)}.", brought)
    if known.facts.expected:
        listed = ", ".join(known.facts.expected)
        if any(word == name.lower() or re.fullmatch(known.topic.programs, word) for word in known.facts.expected):
            return no(f"The asset file expects it here: {listed}.", sure=Confidence.HIGH)
        return yes(f"The asset file expects other interpreters here: {listed}.", _runs(known))
    return _from_logs(known)


def _is_interpreter(known: Known, one: Fact) -> bool:
    base = re.sub(r"\.exe$", "", re.split(r"[\\/]", one.value)[-1])
    runs = {re.sub(r"\.exe$", "", node.name.lower()) for node in known.tree if node.findings}
    return re.fullmatch(known.topic.programs, base, re.IGNORECASE) is not None or base in runs


def _from_logs(known: Known) -> Answered:
    """What the logs before the case show, where they go back far enough."""
    covered = known.facts.coverage.get(Source.PROCESSES)
    if covered is None or covered.begin is None or known.facts.begin is None:
        return unknown([Source.PROCESSES, Source.BASELINE])
    outside = [one for one in known.use if "outside" in one.tags]
    days_read = (known.facts.begin - covered.begin).days
    days = max(
        (int(tag.split("=")[1]) for one in outside for tag in one.tags if tag.startswith("days-before=")), default=0
    )
    if days >= SEVERAL_DAYS:
        return no(f"{known.topic.name} ran on {days} earlier days here: {told(outside)}.", outside)
    if days_read >= LONG_HISTORY and days == 0:
        return yes(
            f"{known.topic.name} did not run here in the {days_read} days of logs before the case.", _runs(known)
        )
    seen = f"In these logs: {told(known.use)}." if known.use else ""
    return unknown([Source.BASELINE], seen, known.use)


def _runs(known: Known) -> list[Fact]:
    return [one for one in known.use if "own" in one.tags]


@answers
def frequent_execution(known: Known, given: Mapping[str, str]) -> Answered:
    """Frequency against the history; the count alone is no answer."""
    if found := [*history(known, "frequency", "unusual"), *history(known, "account", "unusual")]:
        return yes(f"More than is usual: {told(found)}.", found)
    if known.facts.has(Source.BASELINE):
        return no(f"The history knows such use: {told(_runs(known)) or 'no run was counted'}.", _runs(known))
    usual = unusual_here(known, given)
    runs = sum(int(one.value) for one in _runs(known))
    if usual.said is Said.YES and runs > 1:
        return yes(
            f"{runs:,} runs where {known.topic.name} is not usual. {usual.sentence}",
            _runs(known),
            sure=usual.confidence,
        )
    return unknown([Source.BASELINE], f"In these logs: {told(_runs(known))}." if runs else "", _runs(known))


@answers
def unusual_execution(known: Known, given: Mapping[str, str]) -> Answered:
    """Whether the rules found an unusual execution: what makes a case of the topic."""
    if not known.facts.has(Source.PROCESSES) and not any(f.event.table == "XScriptEvents" for f in known.mine):
        return unknown([Source.PROCESSES])
    grave = [f for f in known.mine if f.score >= 24]
    if not grave:
        return no(f"No rule above low held; {len(known.mine)} weaker findings.")
    titles = list(dict.fromkeys(f.rule_title for f in sorted(grave, key=lambda f: -f.score)))
    more = f"; and {len(titles) - 3} more rules" if len(titles) > 3 else ""
    return Answered(
        Said.YES, f"{len(grave)} findings: {'; '.join(titles[:3])}{more}.", Confidence.HIGH,
        events=tuple(dict.fromkeys(f.event for f in grave))[:12], findings=tuple(f.id for f in grave[:12]),
    )  # fmt: skip


@answers
def unexpected_time_or_user(known: Known, given: Mapping[str, str]) -> Answered:
    if found := [one for one in known.facts.of(Kind.HOURS) if one.name == "no"]:
        return yes(f"Outside working hours: {told(found)}.", found)
    if found := [*history(known, "hour", "unusual"), *history(known, "account", "unusual")]:
        return yes(f"Unusual: {told(found)}.", found)
    if working := [one for one in known.facts.of(Kind.HOURS) if one.name == "yes"]:
        return no(f"In working hours: {told(working)}.", working)
    if known.facts.has(Source.BASELINE):
        return no("The history knows these accounts at these hours.")
    return unknown([Source.SCHEDULE, Source.BASELINE], time_of_day(known))
