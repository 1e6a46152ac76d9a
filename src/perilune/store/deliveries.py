"""How far each webhook has told the audit log, and which process tells it now."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from perilune.store import audit, schema
from perilune.store.audit import Line
from perilune.store.database import Database

LEASE = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class Delivery:
    """`number`: the last line that was told. `tries`: of the next one, in vain."""

    hook: str
    number: int
    tries: int
    problem: str


def claim(database: Database, hook: str, *, at: datetime) -> Delivery | None:
    """Takes the hook for a minute, unless another process tells it or its time has not come. A new one begins now."""
    table = schema.deliveries
    with database.writing() as connection:
        row = connection.execute(sa.select(table).where(table.c.hook == hook)).first()
        if row is None:
            last = connection.execute(sa.select(sa.func.max(schema.audit.c.number))).scalar() or 0
            values = {"hook": hook, "number": last, "tries": 0, "problem": "", "at": at.isoformat()}
            connection.execute(sa.insert(table).values(values | {"due": (at + LEASE).isoformat()}))
            return Delivery(hook, last, 0, "")
        if row.due is not None and row.due > at.isoformat():
            return None
        connection.execute(sa.update(table).where(table.c.hook == hook).values(due=(at + LEASE).isoformat()))
        return Delivery(hook, row.number, row.tries, row.problem)


def lines_after(database: Database, number: int, kinds: Iterable[str], limit: int) -> tuple[list[Line], int]:
    """Lines of these kinds after a number, and the number up to which the log was looked through."""
    table = schema.audit
    chosen = sa.select(table).where(table.c.number > number, table.c.kind.in_(list(kinds)))
    with database.reading() as connection:
        last = connection.execute(sa.select(sa.func.max(table.c.number))).scalar() or number
        rows = connection.execute(chosen.where(table.c.number <= last).order_by(table.c.number).limit(limit)).all()
    return [audit.line_of(row) for row in rows], rows[-1].number if len(rows) == limit else last


def told(database: Database, hook: str, number: int, *, at: datetime) -> None:
    _set(database, hook, {"number": number, "tries": 0, "problem": "", "due": None, "at": at.isoformat()})


def failed(database: Database, found: Delivery, problem: str, due: datetime, *, at: datetime) -> None:
    values = {"number": found.number, "tries": found.tries + 1, "problem": problem[:500], "due": due.isoformat()}
    _set(database, found.hook, values | {"at": at.isoformat()})


def all_of(database: Database) -> list[Delivery]:
    table = schema.deliveries
    with database.reading() as connection:
        rows = connection.execute(sa.select(table).order_by(table.c.hook)).all()
    return [Delivery(row.hook, row.number, row.tries, row.problem) for row in rows]


def _set(database: Database, hook: str, values: dict[str, object]) -> None:
    with database.writing() as connection:
        connection.execute(sa.update(schema.deliveries).where(schema.deliveries.c.hook == hook).values(values))
