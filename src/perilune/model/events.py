"""Where an event stands. Apart from the tables, so that what only points at events need not load Arrow."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class EventRef:
    """Where an event stands: its table, its file and the record's number in that file."""

    table: str
    source: str
    record: int
