"""What was read, what was not, and why: the honest half of every answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Reading(StrEnum):
    """How far the reading of one file got."""

    COMPLETE = "complete"  # every record was read (some may have been skipped, by name)
    PARTIAL = "partial"  # something could not be read, or a limit was met; what was read is in
    UNREADABLE = "unreadable"  # nothing could be read: permissions, empty, broken
    UNKNOWN = "unknown"  # no reader recognises its contents


@dataclass(frozen=True, slots=True)
class Problem:
    """One kind of fault in one file, how often it occurred, and an example of where."""

    what: str
    count: int = 1
    where: str = ""


@dataclass(frozen=True, slots=True)
class SourceReport:
    """What one file (or one member of an archive: `logs.zip!a.evtx`) gave.

    records   records found in the file
    rows      rows made of them, by table
    skipped   records understood but not turned into rows, by reason
    problems  faults met on the way, each with a count
    """

    path: str
    format: str
    reading: Reading
    records: int = 0
    rows: Mapping[str, int] = field(default_factory=dict)
    skipped: Mapping[str, int] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()
