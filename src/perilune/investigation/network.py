"""What a case's processes connected to, and what they fetched."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

from perilune.investigation.persistence import SHOWN
from perilune.investigation.scope import Hit, Scope, fact, find, owned
from perilune.model.analysis import Indicator, IndicatorKind, Listing
from perilune.model.analysis import Scope as Reach
from perilune.model.facts import Fact, Kind

Lookup = Callable[[Indicator], list[Listing]]

_ADDRESSES = (IndicatorKind.URL, IndicatorKind.DOMAIN, IndicatorKind.IPV4, IndicatorKind.IPV6, IndicatorKind.ONION)
_OUTSIDE = ("::ffff:",)
DOCUMENTATION = tuple(map(ipaddress.ip_network, ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32")))
PLACES_OF_USERS = r"(?i)[\\/](temp|tmp|downloads|appdata|public|programdata|shm|cache)[\\/]|^/(tmp|var/tmp|dev/shm)/"
CODE = r"(?i)\.(lua[cx]?|luau|ps1|psm1|vbs|vbe|jse?|wsf|hta|bat|cmd|sh|py|pyw|pyc|au3|a3x|ahk|scpt|exe|dll|so|zip|7z|rar|gz|txt|dat|bin)$"  # noqa: E501
BROWSERS = r"(?i)^(chrome|msedge|firefox|iexplore|brave|opera|safari|outlook|thunderbird|teams|slack|wget|curl|powershell|pwsh|certutil|bitsadmin|mshta)(\.exe)?$"  # noqa: E501


def find_connections(scope: Scope, lookup: Lookup | None = None) -> Iterator[Fact]:
    """The connections and name lookups of the case's processes, each with what is known of the other side."""
    for hit in owned(scope, "DeviceNetworkEvents"):
        if one := _connection(scope, hit):
            yield listed(one, lookup)
    for hit in owned(scope, "DeviceEvents"):
        if name := hit.text("XQueryName"):
            words = f"{hit.text('InitiatingProcessFileName') or 'a process'} asks for the name {name}"
            yield listed(fact(scope, Kind.CONNECTION, "Name lookup", words, hit, name, "name", *_of_name(name)), lookup)


def find_downloads(scope: Scope) -> Iterator[Fact]:
    """What was fetched: addresses in the case's command lines and scripts, files that say where they are from."""
    for finding in scope.findings:
        for one in finding.analysis.indicators if finding.analysis else ():
            if one.kind is IndicatorKind.URL and one.scope in (Reach.PUBLIC, Reach.RESERVED, Reach.PRIVATE):
                named = f"{finding.row.get('FileName') or 'a script'} names {one.value[:SHOWN]}"
                tags = ("listed", _lists(one.listings)) if _bad(one.listings) else ()
                yield Fact(Kind.DOWNLOAD, "Address in the code", named, one.value, finding.event, finding.time,
                           scope.host, True, (_reach(one), *tags))  # fmt: skip
    for hit in find(scope, "DeviceFileEvents", ("FileOriginUrl", "FileOriginReferrerUrl"), r"^\w+://"):
        url = hit.text("FileOriginUrl") or hit.text("FileOriginReferrerUrl")
        said = f"{hit.text('FolderPath')[:SHOWN]} came from {url[:SHOWN]}"
        yield fact(
            scope, Kind.DOWNLOAD, "File with its origin", said, hit, url, "origin", hit.text("FolderPath").lower()
        )
    yield from _written_then_run(scope)


def _written_then_run(scope: Scope) -> Iterator[Fact]:
    """Files that were written near the case and that its processes are or name in their command lines."""
    lines = "\n".join(node.command_line for node in scope.processes)[:200_000].lower()
    paths = scope.programs
    for hit in find(scope, "DeviceFileEvents", ("FolderPath",), CODE):
        path, name = hit.text("FolderPath").lower(), hit.text("FileName").lower()
        if hit.text("ActionType") not in ("FileCreated", "FileRenamed") or not name:
            continue
        if path in paths or path in lines or (len(name) > 4 and _names(lines, name)):
            by = hit.text("InitiatingProcessFileName") or "a process"
            tags = ["written", "code"] + (["browser"] if re.search(BROWSERS, by) else [])
            tags += ["program"] if path in paths else []
            yield fact(
                scope, Kind.DOWNLOAD, "File written and then run", f"{by} writes {path[:SHOWN]}", hit, path, *tags
            )


def _names(lines: str, name: str) -> bool:
    at = lines.find(name)
    return at >= 0 and not (at and lines[at - 1].isalnum())


def _connection(scope: Scope, hit: Hit) -> Fact | None:
    address, url = hit.text("RemoteIP"), hit.text("RemoteUrl")
    if not address and not url:
        return None
    reach = reach_of(address) if address else "public"
    if reach == "loopback":
        return None
    program = hit.text("InitiatingProcessFileName") or "a process"
    verb = {"ConnectionFailed": "fails to connect to", "InboundConnectionAccepted": "accepts a connection from"}.get(
        hit.text("ActionType"), "accepts a connection from" if hit.row.get("XInitiated") is False else "connects to"
    )
    port = f" port {hit.text('RemotePort')}" if hit.text("RemotePort") else ""
    shown = f"{url} ({address})" if url and address else url or address
    tags = [reach, *(["failed"] if "fails" in verb else []), *(["inbound"] if "accepts" in verb else [])]
    return fact(scope, Kind.CONNECTION, "Connection", f"{program} {verb} {shown}{port}", hit, address or url, *tags)


def reach_of(address: str) -> str:
    """Where an address can lead: public, private, loopback, reserved, or unknown where it is none.

    Addresses set aside for documentation count as public: only an example would route them, and in an example that
    is what they stand for.
    """
    try:
        parsed: ipaddress.IPv4Address | ipaddress.IPv6Address = ipaddress.ip_address(address.split("%")[0])
    except ValueError:
        return "unknown"
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped:
        parsed = parsed.ipv4_mapped
    if parsed.is_loopback or parsed.is_unspecified:
        return "loopback"
    if any(parsed in network for network in DOCUMENTATION):
        return "public"
    if parsed.is_multicast or parsed.is_reserved:
        return "reserved"
    return "private" if parsed.is_private or parsed.is_link_local else "public"


def _of_name(name: str) -> tuple[str, ...]:
    single = "." not in name.strip(".")
    local = name.lower().rstrip(".").endswith((".local", ".internal", ".lan", ".corp", ".home.arpa", ".in-addr.arpa"))
    return ("private",) if single or local else ("public",)


def listed(one: Fact, lookup: Lookup | None) -> Fact:
    """The fact with the lists that name its address."""
    if lookup is None or not one.value:
        return one
    kind = _kind(one.value)
    listings = lookup(Indicator(kind, one.value.lower().rstrip("."), 0, 0, 0))
    if not _bad(listings):
        return replace(one, tags=(*one.tags, "shared")) if listings else one
    return replace(
        one, tags=(*one.tags, "listed", _lists(listings)), text=f"{one.text}, which is on {_lists(listings)}"
    )


def _kind(value: str) -> IndicatorKind:
    if "://" in value:
        return IndicatorKind.URL
    try:
        return IndicatorKind.IPV6 if ipaddress.ip_address(value).version == 6 else IndicatorKind.IPV4
    except ValueError:
        return IndicatorKind.DOMAIN


def _bad(listings: tuple[Listing, ...] | list[Listing]) -> bool:
    return any(not one.benign for one in listings)


def _lists(listings: tuple[Listing, ...] | list[Listing]) -> str:
    return ", ".join(dict.fromkeys(f"list {one.list}" for one in listings if not one.benign))


def _reach(one: Indicator) -> str:
    return {Reach.PUBLIC: "public", Reach.RESERVED: "public"}.get(one.scope, "private")


def addresses(facts: Mapping[Kind, tuple[Fact, ...]]) -> list[str]:
    """The public addresses and names that the case's processes spoke to."""
    found = [one.value for one in facts.get(Kind.CONNECTION, ()) if "public" in one.tags and "shared" not in one.tags]
    return list(dict.fromkeys(found))
