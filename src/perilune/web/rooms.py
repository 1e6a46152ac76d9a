"""What the pages and the API work with: the stores, the limits, the clock."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from starlette.requests import Request

from perilune.model.case import Status
from perilune.model.rules import Level
from perilune.service.driving import Driver
from perilune.service.jobs import Crew
from perilune.service.office import Office
from perilune.service.webhooks import Teller, hooks_of
from perilune.settings import Settings
from perilune.store import audit
from perilune.store.cases import CaseStore
from perilune.store.database import Database
from perilune.store.jobs import JobStore
from perilune.store.queue import count_cases, last_change
from perilune.store.runlist import count_awaiting
from perilune.store.runs import RunStore
from perilune.store.sessions import SessionStore
from perilune.store.users import UserStore
from perilune.web.lately import Lately
from perilune.web.limits import Limit
from perilune.web.options import Options

_COUNTS_KEPT = 5.0  # seconds
_CHANGE_KEPT = 1.0


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(slots=True)
class Rooms:
    """`logins` is counted by address, `asks` by user."""

    options: Options
    office: Office
    users: UserStore
    sessions: SessionStore
    driver: Driver
    crew: Crew
    teller: Teller
    now: Callable[[], datetime] = _now
    logins: Limit = field(default_factory=lambda: Limit(burst=20, rate=0.2))
    asks: Limit = field(default_factory=lambda: Limit(burst=120, rate=20))
    streams: int = 0  # of events that are open now
    closing: bool = False
    _counts: Lately[Mapping[tuple[Status, Level], int]] = field(init=False)
    _waiting: Lately[int] = field(init=False)
    _change: Lately[str] = field(init=False)

    def __post_init__(self) -> None:
        self._counts = Lately(lambda: count_cases(self.database), _COUNTS_KEPT)
        self._waiting = Lately(lambda: count_awaiting(self.database), _COUNTS_KEPT)
        self._change = Lately(lambda: last_change(self.database), _CHANGE_KEPT)

    @property
    def settings(self) -> Settings:
        return self.office.settings

    @property
    def database(self) -> Database:
        return self.office.database

    @property
    def cases(self) -> CaseStore:
        return self.office.cases

    def note(self, kind: str, body: Mapping[str, object], who: str) -> None:
        """One line in the audit log."""
        with self.database.writing() as connection:
            audit.append(connection, kind, body, at=self.now(), who=who)

    def counts(self) -> Mapping[tuple[Status, Level], int]:
        """How many cases there are, a few seconds old at most: each page shows it."""
        return self._counts.get()

    def waiting(self) -> int:
        """How many runs wait for an approval, a few seconds old at most."""
        return self._waiting.get()

    def change(self) -> str:
        """Another text whenever the queue is another, a second old at most: many readers, one look."""
        return self._change.get()


def open_rooms(settings: Settings, options: Options) -> Rooms:
    """The stores of one installation."""
    database = Database(settings.store_url)
    office = Office(settings, database, CaseStore(settings.store_url), RunStore(database))
    crew, teller = Crew(settings, JobStore(database)), Teller(database, hooks_of(settings))
    return Rooms(options, office, UserStore(database), SessionStore(database), Driver(office), crew, teller)


def rooms(request: Request) -> Rooms:
    """The rooms of the application that a request is for."""
    found = request.app.state.rooms
    assert isinstance(found, Rooms)
    return found
