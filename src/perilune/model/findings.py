"""What a hunt found: one finding per rule and event, with the evidence and the reasons for its score."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from perilune.model.analysis import Analysis
from perilune.model.events import EventRef
from perilune.model.rules import Evidence, Level


@dataclass(frozen=True, slots=True)
class Reason:
    """One contribution to a score, in points (negative lowers), and why in plain words."""

    points: int
    text: str


@dataclass(frozen=True, slots=True)
class Context:
    """A recognised legitimate use of an interpreter. It explains and lowers; it never removes a finding.

    `lowers` is in points of the finding's score.
    """

    rule_id: str
    title: str
    lowers: int
    evidence: tuple[Evidence, ...] = ()


@dataclass(frozen=True, slots=True)
class Member:
    """One event of a correlation's finding, the rule that held on it, and what it was in a few words."""

    rule_id: str
    rule_title: str
    event: EventRef
    time: datetime | None
    host: str
    text: str


@dataclass(frozen=True, slots=True)
class Finding:
    """A rule that held on an event, or a correlation that held on several.

    id        stable: the same rule on the same event gives the same id in every run, whatever file it came in
    row       the event's filled columns, by advanced-hunting name
    process   the key of the process node that did it, where the event names one
    score     0 to 100; the sum of `reasons`, clipped
    analysis  what the event's command line or script really does, where it has one; long texts are cut
    members   of a correlation, its events, oldest first; `members_cut` more are not named
    group     of a correlation, the fields that its events have in common
    """

    id: str
    rule_id: str
    rule_title: str
    rule_author: str
    level: Level
    techniques: tuple[str, ...]
    event: EventRef
    host: str
    user: str
    time: datetime | None
    row: Mapping[str, object]
    evidence: tuple[Evidence, ...]
    score: int
    reasons: tuple[Reason, ...]
    context: tuple[Context, ...] = ()
    process: str | None = None
    rule_description: str = ""
    rule_license: str = ""
    rule_link: str = ""
    rule_references: tuple[str, ...] = ()
    rule_falsepositives: tuple[str, ...] = ()
    rule_source: str = ""
    tags: tuple[str, ...] = field(default=())
    analysis: Analysis | None = None
    members: tuple[Member, ...] = ()
    members_cut: int = 0
    group: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Explained:
    """An interpreter's run that a known host of it explains and that no detection rule speaks of."""

    context: Context
    event: EventRef
    host: str
    user: str
    time: datetime | None
    image: str
    command_line: str


@dataclass(frozen=True, slots=True)
class Judged:
    """What the matches come to.

    cut       by rule id, how many matches were counted and not looked at
    unpaired  matched rows that no correlation looked at, because there were too many
    """

    findings: tuple[Finding, ...]
    explained: tuple[Explained, ...]
    cut: Mapping[str, int]
    unpaired: int = 0
