"""What other tools look up: addresses, names, links and hashes of a case, each with the findings that name it.

Only what can be an indicator outside this host: no private address, no documentation name, nothing that a warning list
calls harmless. An interpreter's own hash is observed, and no indicator.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from perilune.model.analysis import Indicator, IndicatorKind, Scope
from perilune.model.case import Case
from perilune.model.findings import Finding

MOST = 500  # of one case
_LONGEST = 2_000  # characters of a link


class What(StrEnum):
    IPV4 = "ipv4"
    IPV6 = "ipv6"
    DOMAIN = "domain"
    URL = "url"
    MD5 = "md5"
    SHA1 = "sha1"
    SHA256 = "sha256"


HASHES = {What.MD5: 32, What.SHA1: 40, What.SHA256: 64}
_NAME = re.compile(r"(?=.{4,253}\Z)(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]{0,61}[a-z0-9]", re.ASCII)
_URL = re.compile(r"[a-z][a-z0-9+.-]{1,15}://[!-~]{1,1980}", re.ASCII | re.IGNORECASE)
_KINDS = {
    IndicatorKind.IPV4: What.IPV4,
    IndicatorKind.IPV6: What.IPV6,
    IndicatorKind.DOMAIN: What.DOMAIN,
    IndicatorKind.ONION: What.DOMAIN,
    IndicatorKind.URL: What.URL,
    IndicatorKind.MD5: What.MD5,
    IndicatorKind.SHA1: What.SHA1,
    IndicatorKind.SHA256: What.SHA256,
}
_COLUMNS = {"RemoteIP": (What.IPV4, What.IPV6), "RemoteUrl": (What.URL, What.DOMAIN), "XQueryName": (What.DOMAIN,)}


@dataclass(frozen=True, slots=True)
class Observable:
    """`decoded`: it stood in a text that was decoded or given to an interpreter, not in a column of its own."""

    what: What
    value: str
    findings: tuple[str, ...]
    decoded: bool


def find_observables(case: Case) -> tuple[Observable, ...]:
    """The case's observables, each once, in the order of its findings; at most `MOST`."""
    seen: dict[tuple[What, str], tuple[list[str], bool]] = {}
    for finding in case.findings:
        for what, value, decoded in _of(finding):
            if len(seen) < MOST or (what, value) in seen:
                ids, was = seen.setdefault((what, value), ([], decoded))
                if finding.id not in ids:
                    ids.append(finding.id)
                seen[what, value] = ids, was and decoded
    return tuple(Observable(what, value, tuple(ids), decoded) for (what, value), (ids, decoded) in seen.items())


def _of(finding: Finding) -> Iterator[tuple[What, str, bool]]:
    for column, kinds in _COLUMNS.items():
        value = str(finding.row.get(column) or "").strip()
        for what in kinds:
            if (plain := clean(what, value)) and _leads_outside(what, plain):
                yield what, plain, False
    for one in finding.analysis.indicators if finding.analysis else ():
        if (kind := _KINDS.get(one.kind)) and _matters(one) and (plain := clean(kind, one.value)):
            yield kind, plain, True


def _matters(one: Indicator) -> bool:
    return one.scope in (Scope.PUBLIC, Scope.NONE) and not any(listing.benign for listing in one.listings)


def clean(what: What, value: str) -> str:
    """The value in its plain form, or empty where it is none of its kind: a log may hold anything anywhere."""
    if len(value) > _LONGEST:
        return ""
    if what in (What.IPV4, What.IPV6):
        return _address(what, value)
    if what in HASHES:
        low = value.lower()
        return low if len(low) == HASHES[what] and re.fullmatch("[0-9a-f]+", low) else ""
    if what is What.DOMAIN:
        low = value.lower().rstrip(".")
        return low if _NAME.fullmatch(low) else ""
    return value if _URL.fullmatch(value) else ""


def _address(what: What, value: str) -> str:
    try:
        found = ipaddress.ip_address(value)
    except ValueError:
        return ""
    return str(found) if found.version == (4 if what is What.IPV4 else 6) and "%" not in str(found) else ""


def _leads_outside(what: What, value: str) -> bool:
    if what in (What.IPV4, What.IPV6):
        return ipaddress.ip_address(value).is_global
    return not (
        what is What.DOMAIN and value.endswith((".local", ".internal", ".test", ".invalid", ".example", ".arpa"))
    )
