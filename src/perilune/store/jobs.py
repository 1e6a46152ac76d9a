"""Jobs: hunts and queries that people asked the console for, done one after the other by whichever process is free."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import msgspec
import sqlalchemy as sa

from perilune.errors import StoreError
from perilune.store import audit, schema
from perilune.store.database import Database

SILENT = timedelta(seconds=60)  # after which a worker that says nothing is taken for dead
ENDED = ("ready", "failed")
_DIED = "its worker ended before it was done; begin it again"


@dataclass(frozen=True, slots=True)
class Job:
    """`state` is queued, running, ready or failed. `source`: what was read, in words. `body`: what was asked."""

    id: str
    kind: str
    who: str
    state: str
    source: str
    body: Mapping[str, object]
    result: Mapping[str, object]
    created: datetime
    begun: datetime | None
    ended: datetime | None


class JobStore:
    """Jobs in the case store's database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(self, kind: str, who: str, source: str, body: Mapping[str, object], *, at: datetime) -> Job:
        row = {"kind": kind, "who": who, "source": source, "state": "preparing", "created": at.isoformat()}
        row["body"] = msgspec.json.encode(body).decode()
        with self._database.writing() as connection:
            number = connection.execute(sa.insert(schema.jobs).values(row)).inserted_primary_key[0]  # type: ignore[index]
            audit.append(connection, kind, {"job": f"J-{number}", "source": source, **body}, at=at, who=who)
        return self.load(f"J-{number}")

    def queue(self, job_id: str) -> None:
        """What it needs is in its place: a worker may take it."""
        self._set(_number(job_id), {"state": "queued"})

    def load(self, job_id: str) -> Job:
        with self._database.reading() as connection:
            row = connection.execute(sa.select(schema.jobs).where(schema.jobs.c.id == _number(job_id))).first()
        if row is None:
            raise StoreError(f"there is no job {job_id}")
        return _job(row)

    def jobs(self, *, limit: int, before: int = 0) -> list[Job]:
        """The newest first."""
        query = sa.select(schema.jobs).order_by(schema.jobs.c.id.desc()).limit(limit)
        if before:
            query = query.where(schema.jobs.c.id < before)
        with self._database.reading() as connection:
            return [_job(row) for row in connection.execute(query)]

    def counts(self) -> dict[str, int]:
        """How many there are in each state."""
        query = sa.select(schema.jobs.c.state, sa.func.count()).group_by(schema.jobs.c.state)
        with self._database.reading() as connection:
            return {row[0]: row[1] for row in connection.execute(query)}

    def claim(self, worker: str, *, at: datetime) -> Job | None:
        """Takes the oldest that waits; those whose worker fell silent are called failed."""
        table = schema.jobs
        oldest = sa.select(table).where(table.c.state == "queued").order_by(table.c.id).limit(1)
        with self._database.writing() as connection:
            dead = sa.and_(table.c.state == "running", table.c.seen < (at - SILENT).isoformat())
            result = msgspec.json.encode({"problem": _DIED}).decode()
            connection.execute(sa.update(table).where(dead).values(state="failed", result=result, ended=at.isoformat()))
            row = connection.execute(oldest).first()
            if row is None:
                return None
            values = {"state": "running", "worker": worker, "begun": at.isoformat(), "seen": at.isoformat()}
            connection.execute(sa.update(table).where(table.c.id == row.id).values(values))
        return self.load(f"J-{row.id}")

    def see(self, job_id: str, *, at: datetime) -> None:
        """Its worker still works on it."""
        self._set(_number(job_id), {"seen": at.isoformat()})

    def end(self, job_id: str, state: str, result: Mapping[str, object], *, at: datetime) -> None:
        text = msgspec.json.encode(result).decode()
        self._set(_number(job_id), {"state": state, "result": text, "ended": at.isoformat()})

    def _set(self, number: int, values: Mapping[str, object]) -> None:
        with self._database.writing() as connection:
            connection.execute(sa.update(schema.jobs).where(schema.jobs.c.id == number).values(dict(values)))


def _number(job_id: str) -> int:
    digits = job_id.strip().upper().removeprefix("J-")
    if not digits.isdecimal() or not digits.isascii() or len(digits) > 15:
        raise StoreError(f"{job_id!r} is not a job", hint="jobs look like J-3")
    return int(digits)


def _job(row: sa.Row[tuple[object, ...]]) -> Job:
    return Job(
        id=f"J-{row.id}",
        kind=row.kind,
        who=row.who,
        state=row.state,
        source=row.source,
        body=msgspec.json.decode(row.body, type=dict[str, object]),
        result=msgspec.json.decode(row.result, type=dict[str, object]),
        created=datetime.fromisoformat(row.created),
        begun=datetime.fromisoformat(row.begun) if row.begun else None,
        ended=datetime.fromisoformat(row.ended) if row.ended else None,
    )
