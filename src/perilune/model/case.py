"""A case: findings that belong together, their process tree and timeline, and what people did with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from perilune.model.answers import Answer, Escalation, Verdict
from perilune.model.events import EventRef
from perilune.model.facts import Facts
from perilune.model.findings import Explained, Finding, Reason
from perilune.model.rules import Level
from perilune.model.sources import SourceReport


class Status(StrEnum):
    NEW = "new"
    OPEN = "open"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class ProcessNode:
    """One process of a case's tree.

    key     identifies the process on its host, over PID reuse
    parent  the parent's key, or None at a root
    event   the record of its start; None when it is known only because a child named it
    depth   0 at a root
    host    where it ran, if not on the case's first host
    """

    key: str
    parent: str | None
    depth: int
    pid: int | None
    name: str
    path: str
    command_line: str
    user: str
    time: datetime | None
    event: EventRef | None
    findings: tuple[str, ...] = ()
    host: str = ""


@dataclass(frozen=True, slots=True)
class TimelineEntry:
    """One event of the case in words; `findings` are the ids of the findings on it."""

    time: datetime | None
    table: str
    action: str
    summary: str
    event: EventRef
    findings: tuple[str, ...] = ()
    host: str = ""


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a case's record, never changed once written. `who` is a person or `perilune`."""

    number: int
    at: datetime
    who: str
    kind: str
    body: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Case:
    """Findings that one analyst should look at together.

    id        `C-12` once stored, else empty
    key       stable over runs: host and the process, or the hour, that the case hangs on
    score     0 to 100; the sum of `reasons`, clipped
    tree      the processes around the findings, depth first; `tree_cut` more were left out
    timeline  oldest first; `timeline_cut` more were left out
    repeats   by rule id, how many further matches were counted and not listed
    sources   what was read for it and what could not be, those that matter to this case first
    explained known uses of an interpreter on the same host that no rule accuses
    hosts     all hosts of the case, the one of its heaviest finding (`host`) first
    facts     what the events around it show, and which sources could speak
    answers   the runbook's questions, answered; none where the case was not investigated
    """

    key: str
    title: str
    host: str
    users: tuple[str, ...]
    level: Level
    score: int
    reasons: tuple[Reason, ...]
    techniques: tuple[str, ...]
    findings: tuple[Finding, ...]
    tree: tuple[ProcessNode, ...]
    timeline: tuple[TimelineEntry, ...]
    first: datetime | None
    last: datetime | None
    id: str = ""
    status: Status = Status.NEW
    tree_cut: int = 0
    timeline_cut: int = 0
    repeats: Mapping[str, int] = field(default_factory=dict)
    sources: tuple[SourceReport, ...] = ()
    explained: tuple[Explained, ...] = ()
    entries: tuple[Entry, ...] = field(default=())
    hosts: tuple[str, ...] = ()
    facts: Facts = field(default_factory=Facts)
    answers: tuple[Answer, ...] = ()
    verdict: Verdict | None = None
    escalation: Escalation | None = None
