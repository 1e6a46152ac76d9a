"""What to isolate, reset, capture and restrict."""

# ruff: noqa: E501 - sentences read better whole

from __future__ import annotations

import re
from collections.abc import Mapping

from perilune.model.answers import Confidence, Said
from perilune.model.facts import Kind, Source
from perilune.triage.answering import usual
from perilune.triage.answering.registry import answers, own
from perilune.triage.known import Answered, Known, no, told, unknown, weigh, yes


@answers
def isolate(known: Known, given: Mapping[str, str]) -> Answered:
    grave = [f for f in known.findings if f.score >= 70]
    refs = tuple(dict.fromkeys(f.event for f in grave))[:12]
    if known.score >= 70:
        return Answered(Said.YES, f"The case scores {known.score} of 100: isolate {_host(known)} once its owner is told.", Confidence.MEDIUM,
                        events=refs, findings=tuple(f.id for f in grave[:12]))  # fmt: skip
    if known.score >= 24:
        return Answered(
            Said.NO,
            f"Not by itself: the case scores {known.score} of 100; decide after the open questions.",
            Confidence.LOW,
        )
    return Answered(Said.NO, f"The case scores {known.score} of 100.", Confidence.MEDIUM)


def _host(known: Known) -> str:
    return known.findings[0].host if known.findings else "the host"


@answers
def reset_credentials(known: Known, given: Mapping[str, str]) -> Answered:
    """Whose: the users of the case, where credentials were reached for or the case is grave."""
    reached = [*own(known, Kind.CREDENTIAL), *own(known, Kind.PRIVILEGE)]
    users = list(dict.fromkeys(f.user for f in known.findings if f.user))
    whose = f" of {', '.join(users[:4])}" if users else ""
    if reached:
        return yes(f"Reset the credentials{whose}: {told(reached)}.", reached)
    if known.score >= 70:
        return Answered(
            Said.YES, f"As a precaution, those{whose}: code of an attacker ran under them.", Confidence.MEDIUM
        )
    return weigh(known, (), Source.PROCESSES, Source.FILES, shows="", nothing="No reading of credentials")


def _captured(known: Known) -> list[str]:
    """Findings that hold a script's text or code given on a command line."""
    return [f.id for f in known.findings if f.row.get("XScriptText") or (f.analysis and len(f.analysis.layers) > 1)]


@answers
def scripts_captured(known: Known, given: Mapping[str, str]) -> Answered:
    held = _captured(known)
    files = _script_files(known)
    if held:
        more = f" The files are still to be fetched: {', '.join(files[:4])}." if files else ""
        return Answered(
            Said.YES, f"{len(held)} findings hold code of theirs.{more}", Confidence.MEDIUM, findings=tuple(held[:12])
        )
    fetch = f"Fetch {', '.join(files[:4])} from the host." if files else ""
    if known.facts.has(Source.SCRIPTS):
        return no(f"The logs hold scripts, but none of this case. {fetch}".strip())
    return unknown([Source.SCRIPTS], fetch)


def _script_files(known: Known) -> list[str]:
    pattern = re.compile(rf"[^\s\"'<>|;=]*(?:{known.topic.scripts})(?=$|[\s\"'])", re.IGNORECASE)
    lines = [node.command_line for node in known.tree if node.findings]
    return list(dict.fromkeys(match.group() for line in lines for match in pattern.finditer(line[:4000])))


@answers
def functionality(known: Known, given: Mapping[str, str]) -> Answered:
    """What the analysis of the case's code says; only what was captured can be told."""
    able: dict[str, str] = {}
    for finding in known.findings:
        for capability in finding.analysis.capabilities if finding.analysis else ():
            if capability.weight > 0:
                able.setdefault(capability.title, finding.id)
    if able:
        more = f" and {len(able) - 5} more" if len(able) > 5 else ""
        return Answered(Said.YES, f"In part: {'; '.join(list(able)[:5])}{more}. `perilune analyze FILE` explains a script.", Confidence.MEDIUM,
                        findings=tuple(dict.fromkeys(able.values()))[:12])  # fmt: skip
    return unknown([Source.SCRIPTS], "`perilune analyze FILE` explains a script once it is fetched.")


@answers
def restrict(known: Known, given: Mapping[str, str]) -> Answered:
    use = usual.unusual_here(known, given)
    if use.said is Said.YES:
        return Answered(
            Said.YES,
            f"Nothing here seems to need {known.topic.name}: {use.sentence}",
            use.confidence,
            events=use.events,
        )
    if use.said is Said.NO:
        return Answered(Said.NO, f"Not outright, others use it: {use.sentence}", Confidence.LOW, events=use.events)
    return Answered(Said.UNKNOWN, use.sentence, use.confidence, use.needs, use.events)
