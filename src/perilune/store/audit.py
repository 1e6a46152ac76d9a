"""The audit log: append-only, each line bound to the one before by its hash, safe with several writers.

A line changed, left out or put between breaks the chain at that place, and `verify` names it. What the log says of
plans, playbooks, approvals and effects is compared with what is stored of them, so a change there is named too.
Cutting off the end leaves a good chain: keep the head's hash elsewhere and give it to `verify`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

import msgspec
import sqlalchemy as sa

from perilune.store import schema
from perilune.store.database import Database

GENESIS = "0" * 64
_LOCK = 7_059_011  # PostgreSQL's advisory lock for the end of the chain


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the log. `who` is a person, or `perilune`."""

    number: int
    at: str
    who: str
    kind: str
    run: str
    body: Mapping[str, object]
    previous: str
    hash: str


@dataclass(frozen=True, slots=True)
class Break:
    """Something that is not as it was written."""

    where: str
    what: str


def append(
    connection: sa.Connection, kind: str, body: Mapping[str, object], *, at: datetime, who: str, run: str = ""
) -> None:
    """Adds a line inside the caller's transaction, which holds the write lock."""
    if connection.dialect.name == "postgresql":
        connection.execute(sa.text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
    table = schema.audit
    last = connection.execute(sa.select(table.c.number, table.c.hash).order_by(table.c.number.desc()).limit(1)).first()
    number, previous = (last.number + 1, last.hash) if last else (1, GENESIS)
    text = msgspec.json.encode(body, order="deterministic").decode()
    row = {"number": number, "at": at.isoformat(), "who": who, "kind": kind, "run": run, "body": text}
    row |= {"previous": previous, "hash": _hash(row, previous)}
    connection.execute(sa.insert(table).values(row))


def lines(database: Database) -> Iterator[Line]:
    """The whole log, oldest first."""
    with database.reading() as connection:
        for row in connection.execute(sa.select(schema.audit).order_by(schema.audit.c.number)):
            yield line_of(row)


def newest(database: Database, *, limit: int, before: int = 0) -> list[Line]:
    """The last lines, newest first; with `before`, those before that number."""
    query = sa.select(schema.audit).order_by(schema.audit.c.number.desc()).limit(limit)
    if before:
        query = query.where(schema.audit.c.number < before)
    with database.reading() as connection:
        return [line_of(row) for row in connection.execute(query)]


def head(database: Database) -> tuple[int, str]:
    """The last line's number and hash."""
    table = schema.audit
    with database.reading() as connection:
        row = connection.execute(
            sa.select(table.c.number, table.c.hash).order_by(table.c.number.desc()).limit(1)
        ).first()
    return (row.number, row.hash) if row else (0, GENESIS)


def verify(database: Database, head: str | None = None) -> tuple[int, str, list[Break]]:
    """How many lines there are, the head's hash, and everything that is not as it was written."""
    breaks: list[Break] = []
    previous, count, seen = GENESIS, 0, set()
    with database.reading() as connection:
        for row in connection.execute(sa.select(schema.audit).order_by(schema.audit.c.number)):
            count += 1
            breaks += _broken(row, count, previous)
            previous = row.hash
            seen.add(row.hash)
        breaks += _stored(connection)
    if head is not None and head not in seen:
        breaks.append(Break("the end", f"no line has the hash {head}: lines were cut off or rewritten"))
    return count, previous, breaks


def line_of(row: sa.Row[tuple[object, ...]]) -> Line:
    body = msgspec.json.decode(row.body, type=dict[str, object])
    return Line(row.number, row.at, row.who, row.kind, row.run, body, row.previous, row.hash)


def _plain(row: sa.Row[tuple[object, ...]]) -> dict[str, object]:
    return {str(name): value for name, value in row._mapping.items()}


def _hash(row: Mapping[str, object], previous: str) -> str:
    parts = [row[name] for name in ("number", "at", "who", "kind", "run", "body")]
    return hashlib.sha256(msgspec.json.encode([*parts, previous])).hexdigest()


def _broken(row: sa.Row[tuple[object, ...]], expected: int, previous: str) -> Iterator[Break]:
    where = f"line {row.number} ({row.kind} of {row.run or 'perilune'}, {row.at})"
    if row.number != expected:
        yield Break(where, f"line {expected} should come here: lines are missing")
    if row.previous != previous:
        yield Break(where, "is not bound to the line before it")
    if _hash(_plain(row), row.previous) != row.hash:
        yield Break(where, "was changed: its hash is another")


def _stored(connection: sa.Connection) -> Iterator[Break]:
    """What the log says of plans and approvals, against what is stored of them."""
    said = _said(connection)
    for row in connection.execute(sa.select(schema.runs)):
        digest = hashlib.sha256(row.plan.encode()).hexdigest()
        if digest != row.plan_hash or said.get(("run", row.id)) != digest:
            yield Break(f"run R-{row.id}", "its plan is not the one that was made: the hash is another")
        yield from _documents(row)
    for row in connection.execute(sa.select(schema.decisions)):
        if said.get(("decision", row.run, row.number)) != decision_digest(_plain(row)):
            yield Break(f"run R-{row.run}, decision {row.number} of {row.approver}", "is not what was decided")
    for row in connection.execute(sa.select(schema.intents)):
        if said.get(("effect", row.run, row.action)) != row.outcome:
            yield Break(f"run R-{row.run}, action {row.action}", "its outcome is not what was recorded")
    for row in connection.execute(sa.select(schema.answers)):
        if said.get(("answer", row.run, row.step)) != row.answer:
            yield Break(f"run R-{row.run}, the answer at {row.step}", "is not what was answered")
    yield from _missing(connection, said)


def _said(connection: sa.Connection) -> dict[tuple[object, ...], object]:
    said: dict[tuple[object, ...], object] = {}
    query = sa.select(schema.audit).where(schema.audit.c.kind.in_(("run", "decision", "effect", "answer")))
    for row in connection.execute(query.order_by(schema.audit.c.number)):
        body = msgspec.json.decode(row.body, type=dict[str, object])
        run = int(row.run.removeprefix("R-"))
        if row.kind == "run":
            said["run", run] = body.get("plan")
        elif row.kind == "decision":
            said["decision", run, body.get("number")] = body.get("digest")
        elif row.kind == "answer":
            said["answer", run, body.get("step")] = body.get("answer")
        else:
            said["effect", run, body.get("action")] = body.get("outcome")
    return said


def _documents(row: sa.Row[tuple[object, ...]]) -> Iterator[Break]:
    try:
        documents = msgspec.json.decode(row.plan, type=dict[str, object]).get("documents", [])
    except msgspec.DecodeError:
        return
    for document in documents if isinstance(documents, list) else ():
        if hashlib.sha256(str(document.get("text")).encode()).hexdigest() != document.get("sha256"):
            yield Break(f"run R-{row.id}, playbook {document.get('name')!r}", "was changed after it was pinned")


def _missing(connection: sa.Connection, said: Mapping[tuple[object, ...], object]) -> Iterator[Break]:
    runs = set(connection.execute(sa.select(schema.runs.c.id)).scalars())
    decisions = {(row.run, row.number) for row in connection.execute(sa.select(schema.decisions))}
    effects = {(row.run, row.action) for row in connection.execute(sa.select(schema.intents))}
    answers = {(row.run, row.step) for row in connection.execute(sa.select(schema.answers))}
    kept = {"decision": decisions, "effect": effects, "answer": answers}
    words = {"decision": "decision", "effect": "what came of action", "answer": "the answer at"}
    for what, run, *rest in said:
        if what == "run" and run not in runs:
            yield Break(f"run R-{run}", "is in the log and was deleted")
        if what in kept and (run, *rest) not in kept[str(what)]:
            yield Break(f"run R-{run}, {words[str(what)]} {rest[0]}", "is in the log and was deleted")


def decision_digest(row: Mapping[str, object]) -> str:
    """The hash of everything that a decision says."""
    names = ("plan_hash", "approver", "granted", "reason", "at", "expires", "actions")
    return hashlib.sha256(msgspec.json.encode([row[name] for name in names])).hexdigest()
