"""Runs of playbooks: their plans, answers, approvals, leases, intents and effects, each change with its audit line.

An engine that drives a run may be replaced; what keeps an action from being lost, doubled, or done after its approval
ended is in these tables and in their transactions.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import msgspec
import sqlalchemy as sa

from perilune.errors import LostLease, StoreError
from perilune.model.actions import Action, Approval, Outcome, Plan, Receipt, Result
from perilune.store import audit, schema
from perilune.store.database import Database

SYSTEM = "perilune"


@dataclass(frozen=True, slots=True)
class Run:
    """One run. `status` is running, waiting, finished or cancelled."""

    id: str
    case: str
    playbook: str
    connector: str
    plan: Plan
    plan_hash: str
    undoes: str
    status: str
    waiting: str
    until: datetime | None
    created: datetime
    updated: datetime
    who: str


@dataclass(frozen=True, slots=True)
class Leave:
    """The answer to an intent: a reason to refuse, or leave; see `service.engine.Intent`."""

    refused: str = ""
    again: bool = False
    settled: Receipt | None = None


class RunStore:
    """Opened over a Database; every method is one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(self, plan: Plan, playbook: str, *, at: datetime, who: str) -> Run:
        """A new run of the plan. One that takes another back raises its targets' epochs: nobody acts on them again."""
        text = msgspec.json.encode(plan, order="deterministic").decode()
        digest = hashlib.sha256(text.encode()).hexdigest()
        row = {
            "case_id": plan.case, "playbook": playbook, "connector": plan.connector, "plan": text, "plan_hash": digest,
            "undoes": plan.undoes, "status": "running", "waiting": "", "created": at.isoformat(),
            "updated": at.isoformat(), "who": who,
        }  # fmt: skip
        with self._database.writing() as connection:
            number = connection.execute(sa.insert(schema.runs).values(row)).inserted_primary_key[0]  # type: ignore[index]
            if plan.undoes:
                _raise_epochs(connection, plan)
            _keep_epochs(connection, number, plan)
            body: dict[str, object] = {"plan": digest, "playbook": playbook, "case": plan.case}
            body |= {"connector": plan.connector, "actions": len(plan.actions), "undoes": plan.undoes}
            body["documents"] = {one.name: one.sha256 for one in plan.documents}
            audit.append(connection, "run", body, at=at, who=who, run=f"R-{number}")
        return self.load(f"R-{number}")

    def load(self, run_id: str) -> Run:
        with self._database.reading() as connection:
            return _run(_row(connection, _number(run_id)))

    def runs(self, *, limit: int = 100, open_only: bool = False) -> list[Run]:
        """The newest first."""
        query = sa.select(schema.runs).order_by(schema.runs.c.id.desc()).limit(limit)
        if open_only:
            query = query.where(schema.runs.c.status.in_(("running", "waiting")))
        with self._database.reading() as connection:
            return [_run(row) for row in connection.execute(query)]

    def set_status(
        self, run_id: str, status: str, *, waiting: str = "", until: datetime | None = None, at: datetime, who: str
    ) -> None:
        number = _number(run_id)
        values = {"status": status, "waiting": waiting, "until": until and until.isoformat(), "updated": at.isoformat()}
        with self._database.writing() as connection:
            before = _row(connection, number, hold=True)
            connection.execute(sa.update(schema.runs).where(schema.runs.c.id == number).values(values))
            if (before.status, before.waiting) != (status, waiting):
                body = {"status": status, "waiting": waiting}
                audit.append(connection, "status", body, at=at, who=who, run=run_id)

    def take(self, run_id: str, owner: str, *, at: datetime, lease: timedelta) -> bool:
        """Takes or keeps the run's lease; false while another worker has it."""
        number = _number(run_id)
        with self._database.writing() as connection:
            row = _row(connection, number, hold=True)
            held = row.owner not in (None, owner) and row.lease is not None and row.lease > at.isoformat()
            if held or row.status in ("finished", "cancelled"):
                return False
            values = {"owner": owner, "lease": (at + lease).isoformat()}
            connection.execute(sa.update(schema.runs).where(schema.runs.c.id == number).values(values))
            if row.owner not in (None, owner):
                audit.append(connection, "taken", {"from": row.owner, "by": owner}, at=at, who=SYSTEM, run=run_id)
        return True

    def keep_leases(self, runs: Sequence[str], owner: str, *, at: datetime, lease: timedelta) -> None:
        """Renews the leases that this worker still has; one that ended is not taken again by this."""
        if not runs:
            return
        table = schema.runs
        held = [table.c.id.in_([_number(one) for one in runs]), table.c.owner == owner, table.c.lease > at.isoformat()]
        with self._database.writing() as connection:
            query = sa.update(table).where(*held, table.c.status.in_(("running", "waiting")))
            connection.execute(query.values(lease=(at + lease).isoformat()))

    def decided_since(self, line: int) -> tuple[int, list[str]]:
        """The audit log's last line, and the runs that somebody said something about after the given one."""
        table = schema.audit
        said = table.c.kind.in_(("decision", "answer", "cancel"))
        with self._database.reading() as connection:
            last = connection.execute(sa.select(sa.func.max(table.c.number))).scalar() or 0
            found = connection.execute(sa.select(table.c.run).where(table.c.number > line, said)).scalars()
            return last, sorted(set(found))

    def is_free(self, run_id: str, *, at: datetime) -> bool:
        """Whether nobody drives the run now: its lease is over, or was given back."""
        with self._database.reading() as connection:
            row = _row(connection, _number(run_id))
        return row.owner is None or row.lease is None or row.lease <= at.isoformat()

    def give_back(self, run_id: str, owner: str) -> None:
        mine = sa.and_(schema.runs.c.id == _number(run_id), schema.runs.c.owner == owner)
        with self._database.writing() as connection:
            connection.execute(sa.update(schema.runs).where(mine).values(owner=None, lease=None))

    def note(self, run_id: str, kind: str, body: Mapping[str, object], *, at: datetime, who: str = SYSTEM) -> None:
        with self._database.writing() as connection:
            audit.append(connection, kind, body, at=at, who=who, run=run_id)

    def recall(self, run_id: str, number: int) -> tuple[str, str] | None:
        """The step and answer that were kept under this number."""
        table = schema.journal
        query = sa.select(table).where(table.c.run == _number(run_id), table.c.number == number)
        with self._database.reading() as connection:
            row = connection.execute(query).first()
        return (row.step, row.answer) if row else None

    def keep(self, run_id: str, number: int, step: str, answer: str, *, owner: str, at: datetime) -> None:
        """Keeps an answer; only the worker that has the lease may."""
        run = _number(run_id)
        with self._database.writing() as connection:
            if (lost := _lost(_row(connection, run, hold=True), owner, at)) is not None:
                raise LostLease(f"{run_id}: {lost}")
            row = {"run": run, "number": number, "step": step, "answer": answer}
            connection.execute(sa.insert(schema.journal).values(row))

    def decide(self, run_id: str, approval: Approval) -> None:
        """Adds what a person decided, and its audit line."""
        run = _number(run_id)
        row: dict[str, object] = {
            "plan_hash": approval.plan, "approver": approval.approver, "granted": approval.granted,
            "reason": approval.reason, "at": approval.at.isoformat(), "expires": approval.expires.isoformat(),
            "actions": " ".join(map(str, approval.actions)),
        }  # fmt: skip
        with self._database.writing() as connection:
            stored = _row(connection, run, hold=True)
            if stored.plan_hash != approval.plan:
                raise StoreError(f"{run_id}: the approval is of another plan", hint="look at the plan again")
            last = sa.select(sa.func.max(schema.decisions.c.number)).where(schema.decisions.c.run == run)
            number = (connection.execute(last).scalar() or 0) + 1
            connection.execute(sa.insert(schema.decisions).values({"run": run, "number": number, **row}))
            body = {"number": number, "digest": audit.decision_digest(row), **row}
            audit.append(connection, "decision", body, at=approval.at, who=approval.approver, run=run_id)

    def decisions(self, run_id: str) -> list[Approval]:
        table = schema.decisions
        query = sa.select(table).where(table.c.run == _number(run_id)).order_by(table.c.number)
        with self._database.reading() as connection:
            return [_approval(row) for row in connection.execute(query)]

    def answer(self, run_id: str, step: str, answer: str, *, at: datetime, who: str) -> None:
        """Adds a person's answer; the first one counts."""
        row = {"run": _number(run_id), "step": step, "answer": answer}
        with self._database.writing() as connection:
            audit.append(connection, "answer", {"step": step, "answer": answer}, at=at, who=who, run=run_id)
            connection.execute(sa.insert(schema.answers).values(row))

    def reply(self, run_id: str, step: str) -> str | None:
        table = schema.answers
        query = sa.select(table.c.answer).where(table.c.run == _number(run_id), table.c.step == step)
        with self._database.reading() as connection:
            return connection.execute(query).scalar()

    def due(self, run_id: str, what: str, due: datetime) -> datetime:
        """When a wait ends: as it was said the first time."""
        run = _number(run_id)
        table = schema.waits
        with self._database.writing() as connection:
            query = sa.select(table.c.due).where(table.c.run == run, table.c.what == what)
            known = connection.execute(query).scalar()
            if known is not None:
                return datetime.fromisoformat(known)
            connection.execute(sa.insert(table).values({"run": run, "what": what, "due": due.isoformat()}))
        return due

    def intend(self, run_id: str, action: Action, *, owner: str, at: datetime, hourly: int) -> Leave:
        """Leave to act, in one transaction: lease, plan, approval, epoch and the hour's cap are looked at right now."""
        run = _number(run_id)
        with self._database.writing() as connection:
            row = _row(connection, run, hold=True)
            if (lost := _lost(row, owner, at)) is not None:
                raise LostLease(f"{run_id}: {lost}")
            known = _intent(connection, run, action.number)
            reason = _refused(connection, row, action, at)
            if reason is None and known is None:
                reason = _over_hour(connection, action, at, hourly)
            if reason is not None:
                audit.append(
                    connection, "refused", {"action": action.number, "why": reason}, at=at, who=SYSTEM, run=run_id
                )
                return Leave(refused=reason)
            if known is not None:
                return Leave(again=known.outcome is None, settled=_settled(known))
            _begin(connection, run, action, owner, at)
            body = {"action": action.number, "kind": action.kind.value, "target": action.target.words}
            audit.append(connection, "intent", body, at=at, who=SYSTEM, run=run_id)
        return Leave()

    def fenced(
        self, run_id: str, action: Action, *, owner: str, clock: Callable[[], datetime], lease: timedelta
    ) -> tuple[str, datetime]:
        """Why an act that was given leave must not be sent after all, and when that was looked at.

        The clock is read when the row is held, and the lease begins anew then: the act has all of it. LostLease where
        another worker has the run.
        """
        number = _number(run_id)
        with self._database.writing() as connection:
            row = _row(connection, number, hold=True)
            at = clock()
            if (lost := _lost(row, owner, at)) is not None:
                raise LostLease(f"{run_id}: {lost}")
            values = {"lease": (at + lease).isoformat()}
            connection.execute(sa.update(schema.runs).where(schema.runs.c.id == number).values(values))
            return _refused(connection, row, action, at) or "", at

    def settle(self, run_id: str, action: Action, receipt: Receipt, *, at: datetime) -> None:
        """Writes how an act ended. It is written even by a worker that lost its lease: it did happen."""
        self._end(run_id, action, Result(receipt.outcome, receipt.detail), at)

    def conclude(self, run_id: str, action: Action, result: Result, *, at: datetime) -> None:
        """Writes what the check after the act showed."""
        with self._database.reading() as connection:
            known = _intent(connection, _number(run_id), action.number)
        if known is not None and known.outcome != result.outcome.value:
            self._end(run_id, action, result, at)

    def _end(self, run_id: str, action: Action, result: Result, at: datetime) -> None:
        run = _number(run_id)
        table = schema.intents
        lasts = action.lasts if result.outcome is Outcome.DONE else None
        values = {"outcome": result.outcome.value, "detail": result.detail, "ended": at.isoformat()}
        values["due"] = (at + timedelta(seconds=lasts)).isoformat() if lasts else None  # type: ignore[assignment]
        mine = sa.and_(table.c.run == run, table.c.action == action.number)
        with self._database.writing() as connection:
            connection.execute(sa.update(table).where(mine).values(values))
            body = {"action": action.number, "outcome": result.outcome.value, "detail": result.detail}
            audit.append(connection, "effect", body, at=at, who=SYSTEM, run=run_id)

    def results(self, run_id: str) -> dict[int, Result]:
        """What came of the actions that were begun."""
        table = schema.intents
        with self._database.reading() as connection:
            rows = connection.execute(sa.select(table).where(table.c.run == _number(run_id))).all()
        return {row.action: Result(Outcome(row.outcome or "unknown"), row.detail or "") for row in rows}

    def overdue(self, at: datetime) -> list[tuple[str, int]]:
        """Effects whose time is over and that no other run takes back: the run and the action."""
        table = schema.intents
        query = sa.select(table.c.run, table.c.action).where(table.c.due <= at.isoformat())
        taken = sa.select(schema.runs.c.undoes, schema.runs.c.plan).where(schema.runs.c.undoes != "")
        with self._database.reading() as connection:
            undone = {f"{row.undoes}:{n}" for row in connection.execute(taken) for n in _undone(row.plan)}
            found = [(f"R-{row.run}", row.action) for row in connection.execute(query)]
        return [(run, action) for run, action in found if f"{run}:{action}" not in undone]


def _undone(plan: str) -> Sequence[int]:
    actions = msgspec.json.decode(plan, type=Plan).actions
    return [int(action.undoes.rsplit(":", 1)[-1]) for action in actions if action.undoes]


def _number(run_id: str) -> int:
    digits = run_id.strip().upper().removeprefix("R-")
    if not digits.isdecimal() or not digits.isascii() or len(digits) > 15:
        raise StoreError(f"{run_id!r} is not a run", hint="runs look like R-3; see `perilune runs list`")
    return int(digits)


def _row(connection: sa.Connection, number: int, *, hold: bool = False) -> sa.Row[tuple[object, ...]]:
    """The run's row; `hold` keeps other writers from it until the transaction ends (SQLite has one writer anyway)."""
    query = sa.select(schema.runs).where(schema.runs.c.id == number)
    row = connection.execute(query.with_for_update() if hold else query).first()
    if row is None:
        raise StoreError(f"there is no run R-{number}", hint="`perilune runs list` shows what there is")
    return row


def _run(row: sa.Row[tuple[object, ...]]) -> Run:
    return Run(
        id=f"R-{row.id}",
        case=row.case_id,
        playbook=row.playbook,
        connector=row.connector,
        plan=msgspec.json.decode(row.plan, type=Plan),
        plan_hash=row.plan_hash,
        undoes=row.undoes,
        status=row.status,
        waiting=row.waiting,
        until=datetime.fromisoformat(row.until) if row.until else None,
        created=datetime.fromisoformat(row.created),
        updated=datetime.fromisoformat(row.updated),
        who=row.who,
    )


def _approval(row: sa.Row[tuple[object, ...]]) -> Approval:
    return Approval(
        plan=row.plan_hash,
        approver=row.approver,
        granted=row.granted,
        reason=row.reason,
        at=datetime.fromisoformat(row.at),
        expires=datetime.fromisoformat(row.expires),
        actions=tuple(int(one) for one in row.actions.split()),
    )


def _lost(row: sa.Row[tuple[object, ...]], owner: str, at: datetime) -> str | None:
    if row.status in ("finished", "cancelled"):
        return f"the run is {row.status}"
    if row.owner != owner or row.lease is None or row.lease <= at.isoformat():
        return "another worker took the run over, or the lease ended"
    return None


def _intent(connection: sa.Connection, run: int, action: int) -> sa.Row[tuple[object, ...]] | None:
    table = schema.intents
    return connection.execute(sa.select(table).where(table.c.run == run, table.c.action == action)).first()


def approval_of(decisions: Sequence[Approval], plan_hash: str, action: Action, at: datetime) -> tuple[bool | None, str]:
    """Granted, refused, or not decided yet (None), and why. Each person counts once; what expired does not count."""
    mine = [one for one in decisions if one.plan == plan_hash and one.covers(action.number)]
    for one in mine:
        if not one.granted:
            return False, f"denied by {one.approver}: {one.reason}"
    valid = {one.approver.strip().lower() for one in mine if one.expires > at}
    if len(valid) >= action.approvers:
        return True, f"approved by {', '.join(sorted(valid))}"
    if mine and not valid:
        return False, f"the approval of {mine[-1].approver} expired at {mine[-1].expires.isoformat()}"
    return None, f"{len(valid)} of {action.approvers} approvals"


def _refused(connection: sa.Connection, row: sa.Row[tuple[object, ...]], action: Action, at: datetime) -> str | None:
    if hashlib.sha256(row.plan.encode()).hexdigest() != row.plan_hash:
        return "the stored plan is not the one that was made"
    if action.approvers:
        query = sa.select(schema.decisions).where(schema.decisions.c.run == row.id)
        decisions = [_approval(one) for one in connection.execute(query)]
        granted, why = approval_of(decisions, row.plan_hash, action, at)
        if not granted:
            return f"right before the act: {why}"
    kept = _epoch(connection, schema.run_epochs, action.target.key, row.id)
    if _epoch(connection, schema.epochs, action.target.key) != kept:
        return "the target was released by a later run since this plan was made"
    return None


def _settled(known: sa.Row[tuple[object, ...]]) -> Receipt | None:
    return Receipt(Outcome(known.outcome), known.detail or "") if known.outcome else None


def _epoch(connection: sa.Connection, table: sa.Table, target: str, run: int | None = None) -> int:
    query = sa.select(table.c.epoch).where(table.c.target == target)
    if run is not None:
        query = query.where(table.c.run == run)
    return connection.execute(query).scalar() or 0


def _targets(plan: Plan) -> list[str]:
    return list(dict.fromkeys(action.target.key for action in plan.actions))


def _raise_epochs(connection: sa.Connection, plan: Plan) -> None:
    for target in _targets(plan):
        epoch = _epoch(connection, schema.epochs, target)
        connection.execute(sa.delete(schema.epochs).where(schema.epochs.c.target == target))
        connection.execute(sa.insert(schema.epochs).values({"target": target, "epoch": epoch + 1}))


def _keep_epochs(connection: sa.Connection, run: int, plan: Plan) -> None:
    rows = [{"run": run, "target": t, "epoch": _epoch(connection, schema.epochs, t)} for t in _targets(plan)]
    if rows:
        connection.execute(sa.insert(schema.run_epochs), rows)


def _over_hour(connection: sa.Connection, action: Action, at: datetime, hourly: int) -> str | None:
    table = schema.intents
    since = (at - timedelta(hours=1)).isoformat()
    query = sa.select(sa.func.count()).where(table.c.kind == action.kind.value, table.c.begun > since)
    count = connection.execute(query).scalar_one()
    return f"{count} of these were done in the last hour, and {hourly} may be" if count >= hourly else None


def _begin(connection: sa.Connection, run: int, action: Action, owner: str, at: datetime) -> None:
    row = {
        "run": run, "action": action.number, "kind": action.kind.value, "target": action.target.key, "owner": owner,
        "begun": at.isoformat(), "epoch": _epoch(connection, schema.epochs, action.target.key),
    }  # fmt: skip
    connection.execute(sa.insert(schema.intents).values(row))
