"""The queue of cases, page by page: filtered, searched, and continued after the last line that was seen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

import sqlalchemy as sa

from perilune.errors import UsageError
from perilune.model.case import Status
from perilune.model.rules import Level
from perilune.store import schema
from perilune.store.cases import Summary, summary_of
from perilune.store.database import Database

_SEARCH_MOST = 200  # characters of a search
# As it stands in the index `cases_active`, word for word, so that the index is used.
_ACTIVE = sa.text("cases.status <> 'closed'")


class Order(StrEnum):
    URGENT = "urgent"
    NEWEST = "newest"


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which cases. `owner`: a name, empty for anyone, `-` for nobody. `words`: all must stand in the line."""

    statuses: tuple[Status, ...] = (Status.NEW, Status.OPEN)
    least: Level = Level.INFORMATIONAL
    owner: str = ""
    technique: str = ""
    words: str = ""
    order: Order = Order.URGENT


@dataclass(frozen=True, slots=True)
class Page:
    """`after`: the cursor of the next page, empty at the end."""

    cases: tuple[Summary, ...]
    after: str


def find_cases(database: Database, wanted: Wanted, *, limit: int, after: str = "") -> Page:
    """One page of the cases that are wanted. A cursor stays good while cases come and go."""
    table = schema.cases
    query = sa.select(table).where(*_conditions(wanted))
    if after:
        query = query.where(_beyond(after, wanted.order))
    by = (table.c.number.desc(),) if wanted.order is Order.NEWEST else (table.c.score.desc(), table.c.number.desc())
    with database.reading() as connection:
        rows = connection.execute(query.order_by(*by).limit(limit + 1)).all()
    more = f"{rows[limit - 1].score}.{rows[limit - 1].number}" if len(rows) > limit else ""
    return Page(tuple(summary_of(row) for row in rows[:limit]), more)


def last_change(database: Database) -> str:
    """When a line of the queue last changed; another text whenever the queue is another."""
    newest = [sa.select(sa.func.max(schema.cases.c[name])) for name in ("updated", "number")]  # each from its index
    with database.reading() as connection:
        return "/".join(str(connection.execute(one).scalar() or "") for one in newest)


def count_cases(database: Database) -> Mapping[tuple[Status, Level], int]:
    """How many cases there are of each status and level."""
    table = schema.cases
    query = sa.select(table.c.status, table.c.level, sa.func.count()).group_by(table.c.status, table.c.level)
    with database.reading() as connection:
        return Counter({(Status(s), Level(level)): number for s, level, number in connection.execute(query)})


def _conditions(wanted: Wanted) -> list[sa.ColumnElement[bool] | sa.TextClause]:
    table = schema.cases
    found: list[sa.ColumnElement[bool] | sa.TextClause] = []
    if wanted.least > Level.INFORMATIONAL:
        found.append(table.c.level >= int(wanted.least))
    if set(wanted.statuses) == {Status.NEW, Status.OPEN}:
        found.append(_ACTIVE)
    elif len(wanted.statuses) < len(Status):
        found.append(table.c.status.in_([status.value for status in wanted.statuses]))
    if wanted.owner:
        found.append(table.c.owner == ("" if wanted.owner == "-" else wanted.owner))
    if wanted.technique:
        found.append(table.c.techniques.icontains(wanted.technique[:_SEARCH_MOST], autoescape=True))
    for word in wanted.words[:_SEARCH_MOST].split():
        named = [table.c.search.contains(word.lower(), autoescape=True)]
        if (digits := word.upper().removeprefix("C-")).isascii() and digits.isdecimal() and len(digits) < 16:
            named.append(table.c.number == int(digits))
        found.append(sa.or_(*named))
    return found


def _beyond(after: str, order: Order) -> sa.ColumnElement[bool]:
    table = schema.cases
    score, _, number = after.partition(".")
    if not all(part.isascii() and part.isdecimal() and len(part) < 16 for part in (score, number)):
        raise UsageError("this is not the cursor of a page", hint="take `after` from the page before")
    if order is Order.NEWEST:
        return table.c.number < int(number)
    same = sa.and_(table.c.score == int(score), table.c.number < int(number))
    return sa.or_(table.c.score < int(score), same)


def age(updated: str | None, now: datetime) -> str:
    """How long ago a stored time is, in its largest unit."""
    if updated is None:
        return ""
    then = datetime.fromisoformat(updated)
    seconds = int((now - (then if then.tzinfo else then.replace(tzinfo=UTC))).total_seconds())
    for length, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= length:
            return f"{seconds // length:,} {unit}"
    return "now"
