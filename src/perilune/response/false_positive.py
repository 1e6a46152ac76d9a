"""A false positive becomes a proposal: a rule that explains exactly this command line, for a person to review.

The published playbook allow-lists the initiator's hash, which is the interpreter's: one harmless script and everything
that runs in it is trusted. Here a proposal names image, whole command line, parent and account together, lowers and
explains instead of hiding, and is refused where it would come to the interpreter as a whole.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date

import yaml

from perilune.model.case import Case
from perilune.model.findings import Finding

LOWERS = 40
MAX_PROPOSALS = 20
_SPACE = uuid.UUID("5e6f7c1e-3c0a-4d58-9a0b-6a1f0f2d7059")
_FIELDS = {  # of a Sigma rule, and the column that it comes from
    "Image": "FolderPath",
    "CommandLine": "ProcessCommandLine",
    "ParentImage": "InitiatingProcessFolderPath",
    "User": "XUser",
}
_SHOWN = ("FileName", *_FIELDS.values(), "InitiatingProcessFileName", "InitiatingProcessCommandLine", "XPlatform")


@dataclass(frozen=True, slots=True)
class Proposal:
    """A rule and its events, as files of the content folder. `refused` says why there is none instead."""

    name: str
    rule: str = ""
    events: str = ""
    refused: str = ""


def propose(case: Case, *, author: str, today: date, is_interpreter: Callable[[str], bool]) -> tuple[Proposal, ...]:
    """One proposal per different command line of the case."""
    seen: dict[tuple[str, ...], Proposal] = {}
    for finding in case.findings:
        if finding.event.table != "DeviceProcessEvents":
            continue
        key = tuple(_text(finding.row, column) for column in _FIELDS.values())
        if key not in seen and len(seen) < MAX_PROPOSALS:
            seen[key] = _proposal(case, finding, author, today, is_interpreter)
    return tuple(seen.values())


def _proposal(
    case: Case, finding: Finding, author: str, today: date, is_interpreter: Callable[[str], bool]
) -> Proposal:
    row = finding.row
    command = _text(row, "ProcessCommandLine")
    name = f"{case.id or 'case'}-{finding.id[:8]}".lower()
    if not command or len(list(_words(command))) < 2:
        what = "an interpreter" if is_interpreter(_text(row, "FolderPath")) else "a program"
        return Proposal(name, refused=f"{command or 'an empty command line'}: that would explain {what} as a whole")
    fields = {field: value for field, column in _FIELDS.items() if (value := _text(row, column))}
    body = _rule(case, fields, author, today)
    return Proposal(name, _dump(body), _dump(_events(row, command)))


def _rule(case: Case, fields: Mapping[str, str], author: str, today: date) -> dict[str, object]:
    return {
        "title": f"Expected on {case.host}: {fields['CommandLine'][:60]}",
        "id": str(uuid.uuid5(_SPACE, "\n".join(fields.values()))),
        "status": "experimental",
        "description": f"Proposed when {case.id or 'a case'} was closed as a false positive.",
        "author": author,
        "date": today.isoformat(),
        "logsource": {"category": "process_creation"},
        "detection": {
            "this": {f"{field}|re": f"^{re.escape(value)}$" for field, value in fields.items()},
            "condition": "this",
        },
        "falsepositives": ["Anybody who can start this exact command line in the same way"],
        "level": "informational",
        "perilune": {"role": "context", "lowers": LOWERS},
    }


def _events(row: Mapping[str, object], command: str) -> dict[str, object]:
    """The event itself must be hit; the same with a little more on its command line must not."""
    shown = {column: value for column in _SHOWN if (value := _text(row, column))}
    more = shown | {"ProcessCommandLine": f"{command} && id"}
    return {
        "hit": [{"table": "DeviceProcessEvents", "row": shown}],
        "miss": [{"table": "DeviceProcessEvents", "row": more}],
    }


def _words(command: str) -> Iterator[str]:
    yield from (match[0] for match in re.finditer(r'"[^"]*"|\S+', command))


def _text(row: Mapping[str, object], column: str) -> str:
    value = row.get(column)
    return value if isinstance(value, str) else ""


def _dump(value: object) -> str:
    return yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=110)
