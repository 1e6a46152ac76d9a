"""Who works when, and what a host is for: what an analyst looks up beside the logs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from enum import StrEnum


class Working(StrEnum):
    """Whether somebody was at work. Unknown is an answer: nobody said anything of that person."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Hours:
    """Working hours that come again each week: days from 0 for Monday, from and to in the zone's own time.

    A shift that ends before it begins goes on to the next day.
    """

    days: frozenset[int]
    begin: time
    end: time
    zone: tzinfo
    since: date | None = None
    until: date | None = None

    def holds(self, moment: datetime) -> bool:
        """Whether the moment lies in the hours."""
        local = moment.astimezone(self.zone)
        if self.begin < self.end:
            return self._on(local.date()) and self.begin <= local.time() < self.end
        today = self._on(local.date()) and local.time() >= self.begin
        return today or (self._on(local.date() - timedelta(days=1)) and local.time() < self.end)

    def _on(self, day: date) -> bool:
        begun = self.since is None or day >= self.since
        return begun and (self.until is None or day <= self.until) and day.weekday() in self.days


@dataclass(frozen=True, slots=True)
class Span:
    """One stretch of time: an on-call duty, a leave, a change that was announced."""

    begin: datetime
    end: datetime
    what: str = ""
    away: bool = False

    def holds(self, moment: datetime) -> bool:
        return self.begin <= moment < self.end


@dataclass(frozen=True, slots=True)
class Person:
    """One member of the staff, under each account name that is theirs."""

    name: str
    accounts: tuple[str, ...] = ()
    hours: tuple[Hours, ...] = ()
    spans: tuple[Span, ...] = ()

    def working(self, moment: datetime) -> Working:
        """A leave outranks hours; a duty counts as work."""
        held = [span for span in self.spans if span.holds(moment)]
        if any(span.away for span in held):
            return Working.NO
        if held or any(hours.holds(moment) for hours in self.hours):
            return Working.YES
        return Working.NO if self.hours or any(not span.away for span in self.spans) else Working.UNKNOWN


@dataclass(frozen=True, slots=True)
class Schedule:
    """The staff, by name and by account (in lower case, without the domain)."""

    people: tuple[Person, ...] = ()
    source: str = ""

    def find(self, account: str) -> Person | None:
        """Whose account it is; a domain before or after it does not matter."""
        wanted = _bare(account)
        for person in self.people:
            if wanted in (person.name.lower(), *map(_bare, person.accounts)):
                return person
        return None

    def working(self, account: str, moment: datetime) -> Working:
        """Whether the account's owner was at work then."""
        person = self.find(account)
        return Working.UNKNOWN if person is None else person.working(_aware(moment))


def _bare(account: str) -> str:
    return account.rpartition("\\")[2].partition("@")[0].lower()


def _aware(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


class Criticality(StrEnum):
    """How much depends on a host."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"


@dataclass(frozen=True, slots=True)
class Asset:
    """One host: what it is for, whose it is, and which interpreters are expected to run on it."""

    host: str
    role: str = ""
    owner: str = ""
    criticality: Criticality | None = None
    interpreters: frozenset[str] = frozenset()
    notes: Mapping[str, str] = field(default_factory=dict)

    def expects(self, interpreter: str) -> bool:
        """Whether that interpreter is expected here; nothing is where the file names none."""
        return interpreter.lower() in self.interpreters


@dataclass(frozen=True, slots=True)
class Assets:
    """Hosts by name; a name with `*` stands for all hosts that fit and have no entry of their own."""

    assets: tuple[Asset, ...] = ()
    source: str = ""

    def find(self, host: str) -> Asset | None:
        """The host's entry: by its full name, by its first label, or by a pattern."""
        name = host.lower()
        short = name.partition(".")[0]
        for wanted in (name, short):
            for asset in self.assets:
                if asset.host.lower() == wanted:
                    return asset
        return next((a for a in self.assets if "*" in a.host and fits(name, a.host.lower())), None)


def fits(name: str, pattern: str) -> bool:
    """Whether a name fits a pattern with `*`, in time linear in both."""
    first, *middle, last = pattern.split("*")
    if not name.startswith(first) or not name.endswith(last) or len(name) < len(first) + len(last):
        return False
    at, end = len(first), len(name) - len(last)
    for part in middle:
        found = name.find(part, at, end)
        if found < 0:
            return False
        at = found + len(part)
    return True
