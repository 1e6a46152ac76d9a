"""Answers kept for a request that is repeated with the same key: it is done once, and answered the same again."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from perilune.store import schema
from perilune.store.database import Database

KEPT = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Kept:
    """What came of the first request. `status` is None while it is under way, or where it was never told."""

    asked: str
    status: int | None
    body: str


def claim(database: Database, user: str, key: str, asked: str, *, at: datetime) -> Kept | None:
    """Takes the key for a request, whose hash `asked` is; what is kept where somebody took it before."""
    table = schema.kept_answers
    with database.writing() as connection:
        connection.execute(sa.delete(table).where(table.c.at < (at - KEPT).isoformat()))
        row = connection.execute(sa.select(table).where(_mine(user, key))).first()
        if row is not None:
            return Kept(row.asked, row.status, row.body)
        connection.execute(sa.insert(table).values(user=user, key=key, asked=asked, at=at.isoformat()))
    return None


def keep(database: Database, user: str, key: str, status: int, body: str) -> None:
    with database.writing() as connection:
        connection.execute(sa.update(schema.kept_answers).where(_mine(user, key)).values(status=status, body=body))


def give_back(database: Database, user: str, key: str) -> None:
    """The request was refused and changed nothing: the key is free again."""
    with database.writing() as connection:
        connection.execute(sa.delete(schema.kept_answers).where(_mine(user, key)))


def _mine(user: str, key: str) -> sa.ColumnElement[bool]:
    return sa.and_(schema.kept_answers.c.user == user, schema.kept_answers.c.key == key)
