"""The case store: cases as append-only entries in SQLite (or PostgreSQL), with a summary row for the queue.

The summary in `cases` can always be rebuilt from `entries`; nothing but `entries` is evidence. A case is found
again by its findings, whose ids are the same in every run, so hunting the same logs twice changes nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

import msgspec
import sqlalchemy as sa

from perilune.errors import StoreError
from perilune.model.case import Case, Entry, Status
from perilune.model.rules import Level
from perilune.store import audit, schema
from perilune.store.changes import Change, new_owner, new_status, search_text
from perilune.store.database import Database
from perilune.store.merge import merge

Weigh = Callable[[Case], Case]
_SNAPSHOTS = {"hunt": "case grown", "merge": "case joined", "split": "case split"}  # in the audit log


class Outcome(StrEnum):
    """What saving a case did."""

    NEW = "new"
    GROWN = "grown"  # findings were added to a case that was there
    LEARNED = "learned"  # no finding was new, but more is known around them
    KNOWN = "known"  # everything was there already


@dataclass(frozen=True, slots=True)
class Summary:
    """A case's line in the queue."""

    id: str
    status: Status
    level: Level
    score: int
    title: str
    host: str
    users: tuple[str, ...]
    techniques: tuple[str, ...]
    findings: int
    first: str | None
    last: str | None
    updated: str
    owner: str = ""


class CaseStore:
    """Opened with a URL; migrated on opening. Safe for several processes on one file."""

    def __init__(self, url: str) -> None:
        self._database = Database(url)
        self._engine = self._database.engine

    def close(self) -> None:
        self._database.close()

    def save(
        self, case: Case, *, at: datetime, who: str = "perilune", weigh: Weigh | None = None
    ) -> tuple[Case, Outcome]:
        """Stores what a hunt found, under the case that already holds some of it if there is one.

        weigh: scores and answers a case anew that was joined with what was stored.
        """
        with self._database.writing() as connection:
            number = self._holder(connection, case)
            if number is None:
                return self._create(connection, case, at, who), Outcome.NEW
            return self._grow(connection, number, case, at, who, weigh)

    def join(self, case: Case, others: Sequence[str], *, at: datetime, who: str, note: str = "") -> Case:
        """Puts the other cases' findings into `case`, the joined one; the others are closed and say where to."""
        with self._database.writing() as connection:
            number = _number(case.id)
            self._row(connection, number)
            for other in others:
                self._close_into(connection, _number(other), number, at, who)
            body = {"case": _plain(case), "from": list(others), "note": note}
            self._snapshot(connection, number, "merge", case, body, at, who)
            return self._load(connection, number)

    def part(self, rest: Case, taken: Case, *, at: datetime, who: str, note: str = "") -> tuple[Case, Case]:
        """Takes a case apart: `rest` stays under its id, `taken` becomes a case of its own that hunts respect."""
        with self._database.writing() as connection:
            number = _number(rest.id)
            self._row(connection, number)
            row = {"key": taken.key, "status": taken.status.value} | _summary_columns(taken, at)
            made = connection.execute(sa.insert(schema.cases).values(row)).inserted_primary_key[0]  # type: ignore[index]
            self._add_entry(connection, made, "split", {"case": _plain(taken), "from": rest.id, "note": note}, at, who)
            audit.append(connection, "case new", _told(taken, made), at=at, who=who)
            self._move(connection, [finding.id for finding in taken.findings], made)
            body = {"case": _plain(rest), "into": f"C-{made}", "note": note}
            self._snapshot(connection, number, "split", rest, body, at, who)
            return self._load(connection, number), self._load(connection, made)

    def feedback(self) -> dict[str, tuple[int, int]]:
        """By rule id, in how many cases people called it true and false; of a case, the last word counts."""
        table = schema.entries
        query = sa.select(table).where(table.c.kind == "feedback").order_by(table.c.case_number, table.c.number)
        with self._engine.connect() as connection:
            last = {row.case_number: msgspec.json.decode(row.body) for row in connection.execute(query)}
        counts: dict[str, tuple[int, int]] = {}
        for body in last.values():
            for rule in body.get("rules", ()):
                true, false = counts.get(rule, (0, 0))
                counts[rule] = (true + 1, false) if body.get("true") is True else (true, false + 1)
        return counts

    def append(self, case_id: str, kind: str, body: Mapping[str, object], *, at: datetime, who: str) -> None:
        """Adds one entry to a case's record."""
        self.change(case_id, Change(kind, body), at=at, who=who)

    def set_status(self, case_id: str, status: Status, body: Mapping[str, object], *, at: datetime, who: str) -> None:
        """Opens or closes a case, with an entry that says why."""
        self.change(case_id, new_status(status, body), at=at, who=who)

    def set_owner(self, case_id: str, owner: str, *, at: datetime, who: str) -> None:
        """Gives a case to a person, or to nobody (an empty name), with an entry that says so."""
        self.change(case_id, new_owner(owner), at=at, who=who)

    def change(self, case_id: str, *changes: Change, at: datetime, who: str, through: str = "") -> Summary:
        """Makes the changes, all or none: the queue's line, an entry and a line of the audit log for each.

        through: what the person worked with, for the audit log.
        """
        with self._database.writing() as connection:
            number = _number(case_id)
            for one in changes:
                self._change(connection, number, one, at, who, through)
            return summary_of(self._row(connection, number))

    def _change(
        self, connection: sa.Connection, number: int, one: Change, at: datetime, who: str, through: str
    ) -> None:
        row = self._row(connection, number)
        if one.values:
            values = {**one.values, "updated": at.isoformat()}
            values["search"] = search_text({**row._mapping, **values})
            connection.execute(sa.update(schema.cases).where(schema.cases.c.number == number).values(values))
        self._add_entry(connection, number, one.kind, one.body, at, who)
        noted = {"case": f"C-{number}", **one.values} | ({"as": through} if through else {})
        audit.append(connection, f"case {one.kind}", noted, at=at, who=who)

    def summary(self, case_id: str) -> Summary:
        """A case's line in the queue."""
        with self._engine.connect() as connection:
            return summary_of(self._row(connection, _number(case_id)))

    def stamp(self, case_id: str) -> tuple[Summary, int]:
        """A case's line and the number of its last entry: whatever is known of it is the same while these are."""
        number = _number(case_id)
        last = sa.select(sa.func.max(schema.entries.c.number)).where(schema.entries.c.case_number == number)
        with self._engine.connect() as connection:
            return summary_of(self._row(connection, number)), connection.execute(last).scalar() or 0

    def load(self, case_id: str) -> Case:
        """A case with all its entries."""
        with self._engine.connect() as connection:
            return self._load(connection, _number(case_id))

    def queue(self, *, limit: int = 100, least: Level = Level.INFORMATIONAL) -> list[Summary]:
        """The cases that matter most, first: by score, then the newest."""
        table = schema.cases
        query = (
            sa.select(table)
            .where(table.c.level >= int(least))
            .order_by(table.c.score.desc(), table.c.number.desc())
            .limit(limit)
        )
        with self._engine.connect() as connection:
            return [summary_of(row) for row in connection.execute(query)]

    def count(self) -> int:
        with self._engine.connect() as connection:
            return int(connection.execute(sa.select(sa.func.count()).select_from(schema.cases)).scalar_one())

    def _holder(self, connection: sa.Connection, case: Case) -> int | None:
        """The stored case that shares the most findings with this one, else one that hangs on the same key."""
        table = schema.findings
        shared: Counter[int] = Counter()
        ids = [finding.id for finding in case.findings]
        for chunk in (ids[i : i + 500] for i in range(0, len(ids), 500)):
            shared.update(connection.execute(sa.select(table.c.case_number).where(table.c.id.in_(chunk))).scalars())
        if shared:
            return min(shared, key=lambda number: (-shared[number], number))
        by_key = sa.select(schema.cases.c.number).where(schema.cases.c.key == case.key)
        return connection.execute(by_key.order_by(schema.cases.c.number)).scalars().first()

    def _create(self, connection: sa.Connection, case: Case, at: datetime, who: str) -> Case:
        row = {"key": case.key, "status": case.status.value} | _summary_columns(case, at)
        number = connection.execute(sa.insert(schema.cases).values(row)).inserted_primary_key[0]  # type: ignore[index]
        self._add_entry(connection, number, "hunt", {"case": _plain(case)}, at, who)
        audit.append(connection, "case new", _told(case, number), at=at, who=who)
        self._claim(connection, number, [finding.id for finding in case.findings])
        return replace(case, id=f"C-{number}")

    def _grow(
        self, connection: sa.Connection, number: int, case: Case, at: datetime, who: str, weigh: Weigh | None
    ) -> tuple[Case, Outcome]:
        stored = self._load(connection, number)
        held = {finding.id for finding in stored.findings}
        elsewhere = self._elsewhere(connection, number, [finding.id for finding in case.findings])
        own = replace(case, findings=tuple(f for f in case.findings if f.id not in elsewhere))
        fresh = [finding for finding in own.findings if finding.id not in held]
        grown = merge(stored, own)
        if weigh is not None:
            grown = weigh(grown)
        if not fresh and not _more_is_known(stored, grown):
            return stored, Outcome.KNOWN
        body = {"case": _plain(grown), "added": [f.id for f in fresh]}
        self._snapshot(connection, number, "hunt", grown, body, at, who)
        self._claim(connection, number, [finding.id for finding in fresh])
        return self._load(connection, number), Outcome.GROWN if fresh else Outcome.LEARNED

    def _snapshot(
        self,
        connection: sa.Connection,
        number: int,
        kind: str,
        case: Case,
        body: Mapping[str, object],
        at: datetime,
        who: str,
    ) -> None:
        """Writes a case as it is now, and its line in the queue."""
        self._add_entry(connection, number, kind, body, at, who)
        audit.append(connection, _SNAPSHOTS[kind], _told(case, number), at=at, who=who)
        self._move(connection, [finding.id for finding in case.findings], number, only_free=kind == "hunt")
        values = _summary_columns(case, at, self._row(connection, number).owner)
        connection.execute(sa.update(schema.cases).where(schema.cases.c.number == number).values(values))

    def _close_into(self, connection: sa.Connection, number: int, into: int, at: datetime, who: str) -> None:
        """A case that went into another: closed, out of the queue's head, and no hunt finds it again."""
        row = self._row(connection, number)
        values = {
            "key": f"merged:{row.key}", "status": Status.CLOSED.value, "level": int(Level.INFORMATIONAL), "score": 0,
            "title": f"Merged into C-{into}", "findings": 0, "updated": at.isoformat(),
        }  # fmt: skip
        values["search"] = search_text({**row._mapping, **values})
        connection.execute(sa.update(schema.cases).where(schema.cases.c.number == number).values(values))
        self._add_entry(connection, number, "merged", {"into": f"C-{into}"}, at, who)

    def _move(self, connection: sa.Connection, ids: Sequence[str], number: int, *, only_free: bool = False) -> None:
        """Makes the findings a case's, whoever had them."""
        if only_free:
            return
        table = schema.findings
        for chunk in (ids[i : i + 500] for i in range(0, len(ids), 500)):
            connection.execute(sa.update(table).where(table.c.id.in_(chunk)).values(case_number=number))
        self._claim(connection, number, ids)

    def _elsewhere(self, connection: sa.Connection, number: int, ids: Sequence[str]) -> set[str]:
        """Those findings that another case holds, because a person put them there or it came first."""
        table = schema.findings
        found: set[str] = set()
        for chunk in (ids[i : i + 500] for i in range(0, len(ids), 500)):
            query = sa.select(table.c.id).where(table.c.id.in_(chunk), table.c.case_number != number)
            found.update(connection.execute(query).scalars())
        return found

    def _claim(self, connection: sa.Connection, number: int, ids: Sequence[str]) -> None:
        """Notes whose the findings are; one that another case holds stays there."""
        table = schema.findings
        known: set[str] = set()
        for chunk in (ids[i : i + 500] for i in range(0, len(ids), 500)):
            known.update(connection.execute(sa.select(table.c.id).where(table.c.id.in_(chunk))).scalars())
        if rows := [{"id": i, "case_number": number} for i in dict.fromkeys(ids) if i not in known]:
            connection.execute(sa.insert(table), rows)

    def _add_entry(
        self,
        connection: sa.Connection,
        number: int,
        kind: str,
        body: Mapping[str, object],
        at: datetime,
        who: str,
    ) -> None:
        table = schema.entries
        last = connection.execute(sa.select(sa.func.max(table.c.number)).where(table.c.case_number == number)).scalar()
        connection.execute(
            sa.insert(table).values(
                case_number=number,
                number=(last or 0) + 1,
                at=at.isoformat(),
                who=who,
                kind=kind,
                body=msgspec.json.encode(body).decode(),
            )
        )

    def _load(self, connection: sa.Connection, number: int) -> Case:
        summary = self._row(connection, number)
        table = schema.entries
        rows = connection.execute(sa.select(table).where(table.c.case_number == number).order_by(table.c.number)).all()
        entries = tuple(_entry(row) for row in rows)
        snapshot = next(entry for entry in reversed(entries) if "case" in entry.body)
        case = msgspec.convert(snapshot.body["case"], Case, strict=False)
        return replace(
            case,
            id=f"C-{number}",
            status=Status(summary.status),
            entries=tuple(_without_snapshot(entry) for entry in entries),
        )

    def _row(self, connection: sa.Connection, number: int) -> sa.Row[tuple[object, ...]]:
        row = connection.execute(sa.select(schema.cases).where(schema.cases.c.number == number)).first()
        if row is None:
            raise StoreError(f"there is no case C-{number}", hint="`perilune case list` shows what there is")
        return row


def _more_is_known(stored: Case, grown: Case) -> bool:
    """Whether an answer or a reason changed: what was read beside the findings, or what people said, says more."""
    before = {answer.id: (answer.said, answer.needs) for answer in stored.answers}
    after = {answer.id: (answer.said, answer.needs) for answer in grown.answers}
    return before != after or stored.reasons != grown.reasons


def _plain(case: Case) -> object:
    return msgspec.to_builtins(replace(case, id="", entries=()))


def _summary_columns(case: Case, at: datetime, owner: str = "") -> dict[str, object]:
    found = {
        "level": int(case.level),
        "score": case.score,
        "title": case.title,
        "host": case.host,
        "users": "\n".join(case.users),
        "techniques": " ".join(case.techniques),
        "findings": len(case.findings),
        "first": case.first.isoformat() if case.first else None,
        "last": case.last.isoformat() if case.last else None,
        "updated": at.isoformat(),
    }
    return found | {"search": search_text({**found, "owner": owner})}


def _told(case: Case, number: int) -> dict[str, object]:
    return {"case": f"C-{number}", "severity": case.level.word, "score": case.score}


def summary_of(row: sa.Row[tuple[object, ...]]) -> Summary:
    """A row of `cases` as the queue shows it."""
    return Summary(
        id=f"C-{row.number}",
        status=Status(row.status),
        level=Level(row.level),
        score=row.score,
        title=row.title,
        host=row.host,
        users=tuple(row.users.split("\n")) if row.users else (),
        techniques=tuple(row.techniques.split()),
        findings=row.findings,
        first=row.first,
        last=row.last,
        updated=row.updated,
        owner=row.owner,
    )


def _entry(row: sa.Row[tuple[object, ...]]) -> Entry:
    return Entry(
        number=row.number,
        at=datetime.fromisoformat(row.at),
        who=row.who,
        kind=row.kind,
        body=msgspec.json.decode(row.body),
    )


def _without_snapshot(entry: Entry) -> Entry:
    """The entry as its reader needs it: the whole case is already there."""
    body = {name: value for name, value in entry.body.items() if name != "case"}
    if entry.kind == "hunt":
        snapshot = entry.body["case"]
        count = len(snapshot.get("findings", ())) if isinstance(snapshot, dict) else 0
        body["findings"] = len(body.pop("added", ())) or count  # type: ignore[arg-type]
    return replace(entry, body=body)


def _number(case_id: str) -> int:
    digits = case_id.strip().upper().removeprefix("C-")
    if not digits.isdecimal() or not digits.isascii() or len(digits) > 15:
        raise StoreError(f"{case_id!r} is not a case", hint="cases look like C-12; see `perilune case list`")
    return int(digits)
