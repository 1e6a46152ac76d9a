"""What people have decided not to be shown: by whom, why, until when. Counted and named, never silent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

from perilune.model.events import EventRef


@dataclass(frozen=True, slots=True)
class Suppression:
    """Findings of one rule whose fields fit.

    rule     the rule's id or title
    where    by column (or `host`, `user`), a text with `*` for anything; all must fit
    expires  the last day on which it holds
    source   the file and line
    """

    id: str
    rule: str
    owner: str
    reason: str
    expires: date
    where: Mapping[str, str] = field(default_factory=dict)
    source: str = ""


@dataclass(frozen=True, slots=True)
class Suppressed:
    """What a suppression did in one run. `expired`: it no longer holds, and nothing was suppressed by it."""

    suppression: Suppression
    count: int
    events: tuple[EventRef, ...] = ()
    expired: bool = False
