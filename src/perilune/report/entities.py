"""Whom and what a case is about, collected from its findings' events: users, addresses, names, hashes, files."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from perilune.model.case import Case
from perilune.model.findings import Finding
from perilune.report.text import defang_name

NAME_COLUMNS = frozenset({"RemoteUrl", "XQueryName", "RemoteDeviceName"})  # dots of bare names are bracketed
_READ_MOST = 100_000  # characters of one command line or script that are searched for addresses

_COLUMNS: Mapping[str, tuple[str, ...]] = {
    "Address": ("RemoteIP", "RequestSourceIP", "FileOriginIP", "ProcessRemoteSessionIP"),
    "Name or URL": ("RemoteUrl", "XQueryName", "FileOriginUrl", "FileOriginReferrerUrl"),
    "File": ("FolderPath", "PreviousFolderPath", "InitiatingProcessFolderPath"),
    "SHA-256": ("SHA256", "InitiatingProcessSHA256"),
    "SHA-1": ("SHA1", "InitiatingProcessSHA1"),
    "MD5": ("MD5", "InitiatingProcessMD5"),
    "Import hash": ("XImphash",),
    "Registry": ("RegistryKey",),
    "Script": ("XScriptId",),
}
_TEXTS = ("ProcessCommandLine", "InitiatingProcessCommandLine", "XScriptText")
_URL_IN_TEXT = re.compile(r"\b(?:https?|ftp|wss?|ldaps?|tcp)://[^\s\"'<>|()\[\]{}\\]{3,300}", re.IGNORECASE)
_IPV4_IN_TEXT = re.compile(r"(?<![\w.])(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)\.){3}(?:25[0-5]|2[0-4]\d|1?\d?\d)(?!\w|\.\d)", re.ASCII)  # fmt: skip  # noqa: E501


@dataclass(frozen=True, slots=True)
class Entity:
    """One value, the columns it stood in (`SHA256`), and the numbers of the findings on those events."""

    kind: str
    value: str
    columns: tuple[str, ...]
    findings: tuple[int, ...]


def find_entities(case: Case, numbers: Mapping[str, int]) -> tuple[Entity, ...]:
    """The case's entities, by kind, each once, in the order of the findings that name them."""
    seen: dict[tuple[str, str], tuple[dict[str, None], dict[int, None]]] = {}
    for kind, value in (("Host", case.host), *(("User", user) for user in case.users)):
        if value:
            seen.setdefault((kind, value), ({}, {}))
    for finding in sorted(case.findings, key=lambda finding: numbers[finding.id]):
        for kind, value, column in _of_finding(finding):
            columns, found = seen.setdefault((kind, value), ({}, {}))
            columns[column] = None
            found[numbers[finding.id]] = None
    order = ("Host", "User", *_COLUMNS)
    entities = [Entity(kind, value, tuple(cols), tuple(nums)) for (kind, value), (cols, nums) in seen.items()]
    return tuple(sorted(entities, key=lambda entity: order.index(entity.kind)))


def _of_finding(finding: Finding) -> Iterator[tuple[str, str, str]]:
    if finding.host:
        yield "Host", finding.host, "DeviceName"
    if finding.user:
        yield "User", finding.user, "AccountName"
    for kind, columns in _COLUMNS.items():
        for column in columns:
            if value := finding.row.get(column):
                yield kind, _safe(column, str(value)), column
    for column in _TEXTS:
        yield from _of_text(column, str(finding.row.get(column) or "")[:_READ_MOST])


def _of_text(column: str, text: str) -> Iterator[tuple[str, str, str]]:
    for url in _unique(_URL_IN_TEXT.findall(text)):
        yield "Name or URL", url.rstrip(".,;"), column
    for address in _unique(_IPV4_IN_TEXT.findall(text)):
        yield "Address", address, column


def _unique(values: Iterable[str]) -> Iterable[str]:
    return dict.fromkeys(values)


def _safe(column: str, value: str) -> str:
    return defang_name(value) if column in NAME_COLUMNS and "/" not in value else value
