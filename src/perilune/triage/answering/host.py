"""What became of the host: installed, changed, planted, read, run elsewhere."""

# ruff: noqa: E501 - sentences read better whole

from __future__ import annotations

import re
from collections.abc import Mapping

from perilune.model.answers import Confidence, Said
from perilune.model.facts import Fact, Kind, Source
from perilune.triage.answering.registry import answers, brought_programs, history, own, time_of_day
from perilune.triage.known import Answered, Known, no, told, unknown, weigh, yes


@answers
def legitimate_use(known: Known, given: Mapping[str, str]) -> Answered:
    """Yes only where a known use explains every grave finding; no where something accuses."""
    grave = [f for f in known.mine if f.score >= 24]
    explained = [f for f in known.mine if f.context]
    if explained and len(explained) == len(known.mine):
        titles = ", ".join(dict.fromkeys(f.context[0].title for f in explained))
        return Answered(
            Said.YES,
            f"A known use explains every finding: {titles}.",
            Confidence.MEDIUM,
            findings=tuple(f.id for f in explained[:12]),
        )
    accusing = [f for f in grave if f.score >= 70 and not f.context]
    if accusing:
        titles = "; ".join(list(dict.fromkeys(f.rule_title for f in accusing))[:3])
        return Answered(Said.NO, f"No known use explains: {titles}.", Confidence.HIGH,
                        events=tuple(dict.fromkeys(f.event for f in accusing))[:12], findings=tuple(f.id for f in accusing[:12]))  # fmt: skip
    if known.facts.has(Source.BASELINE) and (found := history(known, "script", "usual")):
        return yes(f"The history knows it: {told(found)}.", found, sure=Confidence.MEDIUM)
    return unknown([Source.BASELINE, Source.ASSETS], "No known use explains it, and no grave rule accuses it.")


@answers
def recently_installed(known: Known, given: Mapping[str, str]) -> Answered:
    """Installed by a package manager explains; a program file that appears without one accuses."""
    named = [one for one in known.facts.of(Kind.CHANGE) if "software" in one.tags and _speaks_of(known, one)]
    brought = brought_programs(known)
    if named:
        sure = Confidence.HIGH if any("inventory" in one.tags for one in named) else Confidence.MEDIUM
        return yes(f"A software change goes with it: {told(named)}.", named, sure=sure)
    if brought:
        return yes(f"Yes, and no software change goes with it: {told(brought)}.", brought)
    scripts = [one for one in known.facts.of(Kind.DOWNLOAD) if "written" in one.tags]
    if scripts:
        return yes(
            f"The script or program was written near the case: {told(scripts)}.", scripts, sure=Confidence.MEDIUM
        )
    missing = [s for s in (Source.INVENTORY, Source.FILES) if not known.facts.has(s)]
    return (
        unknown(missing)
        if missing
        else weigh(known, (), Source.FILES, Source.INVENTORY, shows="", nothing="No installation")
    )


def _speaks_of(known: Known, one: Fact) -> bool:
    words = re.findall(r"[a-z][a-z0-9.+_-]+", one.text.lower())
    name = known.topic.name.lower()
    return any(
        re.fullmatch(known.topic.programs, word) or name == word or word.startswith(f"{name}-") for word in words
    )


@answers
def fits_schedule(known: Known, given: Mapping[str, str]) -> Answered:
    hours = known.facts.of(Kind.HOURS)
    if absent := [one for one in hours if one.name == "no"]:
        return no(f"{told(absent)}.", absent, sure=Confidence.HIGH)
    if hours:
        return yes(f"{told(hours)}; whether the work asked for it, a person must say.", hours, sure=Confidence.LOW)
    return unknown([Source.SCHEDULE], time_of_day(known))


@answers
def odd_children(known: Known, given: Mapping[str, str]) -> Answered:
    odd = [one for one in known.facts.of(Kind.CHILD) if "odd" in one.tags]
    if odd:
        return yes(f"{len(odd)} child processes that scripts seldom need: {told(odd)}.", odd)
    others = known.facts.of(Kind.CHILD)
    if others and known.facts.has(Source.PROCESSES):
        return no(f"Child processes, none of them odd: {told(others)}.", others)
    return weigh(known, (), Source.PROCESSES, shows="", nothing="No child process of the interpreter")


@answers
def system_changes(known: Known, given: Mapping[str, str]) -> Answered:
    found = [*own(known, Kind.CHANGE, "protection", "program"), *own(known, Kind.PERSISTENCE)]
    needs = (Source.PROCESSES, Source.FILES) if _is_unix(known) else (Source.PROCESSES, Source.FILES, Source.REGISTRY)
    return weigh(
        known,
        found,
        *needs,
        shows="The case's processes changed the system",
        nothing="No change by the case's processes",
    )


@answers
def persistence(known: Known, given: Mapping[str, str]) -> Answered:
    found = own(known, Kind.PERSISTENCE)
    needs = (Source.PROCESSES, Source.FILES) if _is_unix(known) else (Source.PROCESSES, Source.FILES, Source.REGISTRY)
    sure = Confidence.HIGH if any(one.own for one in found) else Confidence.LOW
    return weigh(known, found, *needs, shows="Planted", nothing="Nothing that starts by itself was planted", sure=sure)


def _is_unix(known: Known) -> bool:
    paths = [node.path or node.command_line for node in known.tree] or [
        str(f.row.get("FolderPath") or "") for f in known.findings
    ]
    return any(path.startswith("/") for path in paths) and not any("\\" in path[:4] for path in paths)


@answers
def credentials(known: Known, given: Mapping[str, str]) -> Answered:
    return weigh(
        known,
        own(known, Kind.CREDENTIAL),
        Source.PROCESSES,
        Source.FILES,
        shows="Credentials were reached for",
        nothing="No reading of credentials",
    )


@answers
def access_or_privilege(known: Known, given: Mapping[str, str]) -> Answered:
    """The runbook's third criterion. Raising rights is seen in process events; access needs logon records too."""
    found = [*own(known, Kind.PRIVILEGE), *own(known, Kind.CREDENTIAL), *known.facts.of(Kind.ACCESS)]
    return weigh(
        known,
        found,
        Source.PROCESSES,
        Source.LOGONS,
        shows="They coincide",
        nothing="No sign of either",
        sure=Confidence.MEDIUM,
    )


@answers
def other_systems(known: Known, given: Mapping[str, str]) -> Answered:
    found = known.facts.of(Kind.ELSEWHERE)
    return weigh(
        known,
        found,
        Source.OTHER_HOSTS,
        shows="Seen elsewhere",
        nothing="No other host shows the same file, address, script or command",
    )


@answers
def other_alerts(known: Known, given: Mapping[str, str]) -> Answered:
    found = known.facts.of(Kind.ALERT)
    grave = [one for one in found if "grave" in one.tags]
    if grave:
        return yes(f"Within a day: {told(grave)}.", grave)
    if found:
        return no(f"Only weak ones within a day: {told(found)}.", found)
    if any(known.facts.has(source) for source in (Source.PROCESSES, Source.NETWORK, Source.FILES, Source.SCRIPTS)):
        return no("No finding outside the case on this host within a day.")
    return unknown([Source.PROCESSES])
