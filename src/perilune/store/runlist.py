"""Runs as lists and pages show them: the list page by page, and everything that was recorded of one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import msgspec
import sqlalchemy as sa

from perilune.store import audit, schema
from perilune.store.audit import Line
from perilune.store.database import Database

OPEN = ("running", "waiting")
TRAIL_MOST = 2000


@dataclass(frozen=True, slots=True)
class RunLine:
    """A run's line in a list; its plan is left where it is."""

    id: str
    case: str
    playbook: str
    connector: str
    undoes: str
    status: str
    waiting: str
    created: datetime
    updated: datetime
    who: str


@dataclass(frozen=True, slots=True)
class Asked:
    """One step that a run asked of the world, and the answer, as the journal keeps them."""

    number: int
    step: str
    answer: dict[str, object]


def find_runs(
    database: Database, *, limit: int, before: int = 0, case: str = "", open_only: bool = False
) -> tuple[list[RunLine], int]:
    """A page of runs, the newest first, and the number before which the next page begins; 0 at the end."""
    table = schema.runs
    columns = [table.c[name] for name in ("id", "case_id", *(n for n in RunLine.__slots__ if n not in ("id", "case")))]
    query = sa.select(*columns).order_by(table.c.id.desc()).limit(limit + 1)
    if before:
        query = query.where(table.c.id < before)
    if case:
        query = query.where(table.c.case_id == case)
    if open_only:
        query = query.where(table.c.status.in_(OPEN))
    with database.reading() as connection:
        rows = connection.execute(query).all()
    return [_line(row) for row in rows[:limit]], rows[limit - 1].id if len(rows) > limit else 0


def count_awaiting(database: Database) -> int:
    """How many runs wait for somebody's approval."""
    table = schema.runs
    waiting = sa.and_(table.c.status == "waiting", table.c.waiting.startswith("approval"))
    with database.reading() as connection:
        return int(connection.execute(sa.select(sa.func.count()).where(waiting)).scalar_one())


def count_runs(database: Database) -> dict[str, int]:
    """How many runs there are of each status."""
    query = sa.select(schema.runs.c.status, sa.func.count()).group_by(schema.runs.c.status)
    with database.reading() as connection:
        return {row[0]: row[1] for row in connection.execute(query)}


def trail(database: Database, run_id: str) -> list[Line]:
    """The audit log's lines about the run, oldest first; the last ones where there are very many."""
    table = schema.audit
    query = sa.select(table).where(table.c.run == run_id).order_by(table.c.number.desc()).limit(TRAIL_MOST)
    with database.reading() as connection:
        return [audit.line_of(row) for row in reversed(connection.execute(query).all())]


def asked(database: Database, run_id: str) -> list[Asked]:
    """What the run asked and was answered, in order."""
    table = schema.journal
    number = int(run_id.removeprefix("R-"))
    query = sa.select(table).where(table.c.run == number).order_by(table.c.number).limit(TRAIL_MOST)
    with database.reading() as connection:
        return [Asked(row.number, row.step, msgspec.json.decode(row.answer)) for row in connection.execute(query)]


def version(database: Database, run_id: str) -> str:
    """Another text whenever something was recorded of the run."""
    query = sa.select(sa.func.max(schema.audit.c.number)).where(schema.audit.c.run == run_id)
    with database.reading() as connection:
        return str(connection.execute(query).scalar() or 0)


def _line(row: sa.Row[tuple[object, ...]]) -> RunLine:
    return RunLine(
        id=f"R-{row.id}",
        case=row.case_id,
        playbook=row.playbook,
        connector=row.connector,
        undoes=row.undoes,
        status=row.status,
        waiting=row.waiting,
        created=datetime.fromisoformat(row.created),
        updated=datetime.fromisoformat(row.updated),
        who=row.who,
    )
