"""Where the case's processes connected to, and what they brought from there."""

from __future__ import annotations

import re
from collections.abc import Mapping

from perilune.model.answers import Confidence
from perilune.model.facts import Fact, Kind, Source
from perilune.triage.answering.registry import answers, own
from perilune.triage.known import Answered, Known, told, unknown, weigh, yes

BEACONS = 3  # connections to one address that may be a beacon


def _outside(known: Known) -> list[Fact]:
    """Connections and lookups of the case's processes that lead outside and are no shared service."""
    return [one for one in own(known, Kind.CONNECTION, "public", "listed") if "inbound" not in one.tags]


@answers
def traffic(known: Known, given: Mapping[str, str]) -> Answered:
    """Whether network records of the case's processes show a download or a remote hand."""
    found = [*_outside(known), *own(known, Kind.CONNECTION, "inbound")]
    return weigh(
        known,
        found,
        Source.NETWORK,
        shows="The case's processes used the network",
        nothing="No traffic of the case's processes",
        sure=Confidence.MEDIUM,
    )


@answers
def listed_address(known: Known, given: Mapping[str, str]) -> Answered:
    found = [*own(known, Kind.CONNECTION, "listed"), *own(known, Kind.DOWNLOAD, "listed")]
    return weigh(known, found, Source.NETWORK, Source.LISTS, shows="A list names it", nothing="No listed address")


@answers
def listed_interaction(known: Known, given: Mapping[str, str]) -> Answered:
    """Confirmed: a connection to a listed address that did not fail. An address in a command line is no interaction."""
    found = [one for one in own(known, Kind.CONNECTION, "listed") if "failed" not in one.tags]
    return weigh(
        known, found, Source.NETWORK, Source.LISTS, shows="Confirmed", nothing="No connection to a listed address"
    )


@answers
def unexpected_connection(known: Known, given: Mapping[str, str]) -> Answered:
    found = _outside(known)
    if any(one.own for one in found):
        return yes(f"The case's processes reach outside: {told(found)}.", found)
    if found:
        return yes(f"Addresses of the case were reached: {told(found)}.", found, sure=Confidence.MEDIUM)
    if known.facts.has(Source.NETWORK):
        return weigh(
            known, (), Source.NETWORK, shows="", nothing="No connection of the case's processes to an outside address"
        )
    named = own(known, Kind.DOWNLOAD, "public")
    return unknown([Source.NETWORK], f"The code names addresses: {told(named)}." if named else "", named)


@answers
def downloaded(known: Known, given: Mapping[str, str]) -> Answered:
    """An address in the code, a file with its origin, or a browser that wrote what then ran."""
    listed = own(known, Kind.DOWNLOAD, "listed")
    if listed:
        return yes(f"From a listed site: {told(listed)}.", listed)
    found = [*own(known, Kind.DOWNLOAD, "public"), *_origins(known), *_by_browser(known)]
    if found:
        return yes(f"From a site that nobody has verified: {told(found)}.", found, sure=Confidence.MEDIUM)
    return weigh(known, (), Source.FILES, Source.NETWORK, shows="", nothing="No sign of a download")


def _origins(known: Known) -> list[Fact]:
    """Files with an origin whose path the case's processes are or name."""
    lines = "\n".join(f"{node.path} {node.command_line}" for node in known.tree).lower()[:200_000]
    found = [one for one in known.facts.of(Kind.DOWNLOAD) if "origin" in one.tags]
    return [one for one in found if one.own or any(_mentions(lines, tag) for tag in one.tags[1:])]


def _mentions(lines: str, path: str) -> bool:
    folder = re.split(r"[\\/]", path)
    return path in lines or (len(folder) > 1 and len(folder[-1]) > 4 and folder[-1] in lines)


def _by_browser(known: Known) -> list[Fact]:
    return [one for one in known.facts.of(Kind.DOWNLOAD) if {"written", "browser"} <= set(one.tags)]


@answers
def command_and_control(known: Known, given: Mapping[str, str]) -> Answered:
    """Connections outside after the interpreter began; several to one address look like a beacon."""
    found = _outside(known)
    counts: dict[str, int] = {}
    for one in found:
        counts[one.value] = counts.get(one.value, 0) + 1
    listed = [one for one in found if "listed" in one.tags]
    if listed:
        return yes(f"To a listed address: {told(listed)}.", listed)
    if found:
        words = "once or more to each"
        if (most := max(counts.values())) >= BEACONS:
            words = f"up to {most} times to one"
        return yes(f"Possibly, {words}: {told(found)}.", found, sure=Confidence.MEDIUM)
    return weigh(known, (), Source.NETWORK, shows="", nothing="No outside connection of the case's processes")
