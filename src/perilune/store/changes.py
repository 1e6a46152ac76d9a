"""What people change of a case, each change with the columns of its queue's line that it sets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from perilune.model.case import Status

SEARCHED = ("title", "host", "users", "techniques", "owner")


@dataclass(frozen=True, slots=True)
class Change:
    """One entry of a case's record. `values`: what becomes of the case's line in the queue."""

    kind: str
    body: Mapping[str, object]
    values: Mapping[str, object] = field(default_factory=dict)


def new_status(status: Status, body: Mapping[str, object]) -> Change:
    return Change("status", {"status": status.value, **body}, {"status": status.value})


def new_owner(owner: str) -> Change:
    """Somebody's name; empty for nobody."""
    return Change("owner", {"owner": owner or "nobody"}, {"owner": owner})


def search_text(row: Mapping[str, object]) -> str:
    """What the search of the queue looks through, in small letters of every script."""
    return "\n".join(str(row.get(name) or "") for name in SEARCHED).lower()
