"""What the pages and the API work with: the stores, the limits, the clock."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from starlette.requests import Request

from perilune.model.case import Status
from perilune.model.rules import Level
from perilune.store import audit
from perilune.store.cases import CaseStore
from perilune.store.database import Database
from perilune.store.queue import count_cases
from perilune.store.sessions import SessionStore
from perilune.store.users import UserStore
from perilune.web.limits import Limit
from perilune.web.options import Options

_COUNTS_KEPT = 5.0  # seconds


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(slots=True)
class Rooms:
    """`logins` is counted by address, `asks` by user."""

    options: Options
    database: Database
    cases: CaseStore
    users: UserStore
    sessions: SessionStore
    now: Callable[[], datetime] = _now
    logins: Limit = field(default_factory=lambda: Limit(burst=20, rate=0.2))
    asks: Limit = field(default_factory=lambda: Limit(burst=120, rate=20))
    _counts: tuple[float, Mapping[tuple[Status, Level], int]] = (0.0, {})

    def note(self, kind: str, body: Mapping[str, object], who: str) -> None:
        """One line in the audit log."""
        with self.database.writing() as connection:
            audit.append(connection, kind, body, at=self.now(), who=who)

    def counts(self) -> Mapping[tuple[Status, Level], int]:
        """How many cases there are, a few seconds old at most: each page shows it."""
        then, counts = self._counts
        if not counts or time.monotonic() - then > _COUNTS_KEPT:
            counts = count_cases(self.database)
            self._counts = (time.monotonic(), counts)
        return counts


def open_rooms(url: str, options: Options) -> Rooms:
    """The stores of one database."""
    database = Database(url)
    return Rooms(options, database, CaseStore(url), UserStore(database), SessionStore(database))


def rooms(request: Request) -> Rooms:
    """The rooms of the application that a request is for."""
    found = request.app.state.rooms
    assert isinstance(found, Rooms)
    return found
