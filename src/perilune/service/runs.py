"""Runs, from a case to its end: plan, start, decide, drive on, take back. The command line and the console use it."""

from __future__ import annotations

import socket
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from perilune.errors import LostLease, StoreError, UsageError
from perilune.model.actions import Action, Approval, Plan, Receipt, Result, TargetType
from perilune.model.case import Case
from perilune.ports import Connector
from perilune.response.execute import run
from perilune.response.guards import Surroundings
from perilune.response.kinds import KINDS
from perilune.response.plan import fill_inputs, make_plan, undo_plan
from perilune.response.steps import (
    Answer,
    Ask,
    Decision,
    Step,
    decode_answer,
    describe_step,
    encode_answer,
)
from perilune.service.engine import Engine, Intent, Progress
from perilune.service.playbooks import Shelf, library_of, load_safe_list
from perilune.service.subject import is_interpreter, make_subject
from perilune.store.runs import Run, RunStore, approval_of

LEASE = timedelta(seconds=90)
APPROVAL_HOLDS = timedelta(hours=8)
APPROVAL_WAIT = timedelta(hours=24)
MAX_JOURNAL = 1_000_000
QUICK = timedelta(seconds=0.25)  # between what the store said right before an act, and the act
LOOKS = 20


def plan_case(
    case: Case,
    shelf: Shelf,
    playbook: str,
    connector: Connector,
    *,
    inputs: Mapping[str, str],
    answers: Mapping[str, str],
    content: Path | None,
    related: Sequence[str] = (),
) -> Plan:
    """The plan of the playbook for the case; asks the connector which endpoints there are, and changes nothing."""
    chosen = shelf.find(playbook)
    safe = load_safe_list(content)
    subject = make_subject(case, system_paths=safe.paths, related=related)
    hosts = {
        one.value if one.type is TargetType.HOST else one.host for found in subject.targets.values() for one in found
    }
    endpoints = {host: tuple(connector.endpoints(host)) for host in sorted(hosts) if host}
    around = Surroundings(endpoints, safe, subject.interpreters, is_interpreter)
    full = {f"__{name.strip('_')}__": value for name, value in answers.items()}
    return make_plan(
        shelf.playbooks,
        shelf.pinned(chosen),
        fill_inputs(chosen, inputs),
        subject,
        around,
        connector.name,
        connector.handles,
        full,
    )


def make_owner() -> str:
    """A name for this worker that no other has."""
    return f"{socket.gethostname()}:{uuid.uuid4().hex[:12]}"


@dataclass(slots=True)
class Runner:
    """Drives runs with one connector. `clock` and `patience` are given so that tests need not wait."""

    store: RunStore
    connector: Connector
    owner: str = field(default_factory=make_owner)
    patience: float = 30.0

    def start(self, plan: Plan, playbook: str, *, who: str) -> Run:
        if not plan.actions and not plan.steps:
            raise UsageError("the plan holds nothing to do")
        return self.store.create(plan, playbook, at=self.now(), who=who)

    def advance(self, run_id: str) -> Progress | None:
        """Drives the run on; None while another worker has it."""
        if not self.store.take(run_id, self.owner, at=self.now(), lease=LEASE):
            return None
        record = self.store.load(run_id)
        if record.connector != self.connector.name:
            self.store.give_back(run_id, self.owner)
            raise UsageError(f"{run_id} was started with the connector {record.connector!r}")
        journal = StoredJournal(self.store, record, self.owner)
        engine = Engine(journal, self.connector, patience=self.patience)
        try:
            progress = engine.drive(run(record.plan, library_of(record.plan.documents)))
        except LostLease:  # the other worker goes on from what was kept
            return None
        if progress.results is not None:
            self.store.set_status(run_id, "finished", at=self.now(), who=journal.owner)
        else:
            self.store.set_status(
                run_id, "waiting", waiting=progress.waiting, until=progress.until, at=self.now(), who=self.owner
            )
        self.store.give_back(run_id, self.owner)
        return progress

    def question(self, run_id: str) -> Ask | None:
        """What the run asks a person, if it waits for an answer: the first question without one."""
        record = self.store.load(run_id)
        journal = StoredJournal(self.store, record, self.owner)
        running = run(record.plan, library_of(record.plan.documents))
        answer: Answer = None
        for number in range(MAX_JOURNAL):
            try:
                step = running.send(answer)
            except StopIteration:
                return None
            known, answer = journal.recall(number, step)
            if not known:
                return step if isinstance(step, Ask) else None
        return None

    def undo(self, run_id: str, *, who: str, reason: str, only: Sequence[int] = ()) -> Run:
        """A run that takes another's effects back. Asking for it is approving it."""
        record = self.store.load(run_id)
        plan = undo_plan(record.plan, run_id, self.store.results(run_id), only, self.connector.handles)
        if not plan.actions:
            reasons = "; ".join(dict.fromkeys(one.reason for one in plan.refusals))
            hint = reasons or "`perilune runs show` lists it"
            raise UsageError(f"{run_id} has nothing that can be taken back", hint=hint)
        undoing = self.start(plan, f"undo of {run_id}", who=who)
        self.decide(undoing.id, who=who, granted=True, reason=reason)
        return undoing

    def decide(
        self,
        run_id: str,
        *,
        who: str,
        granted: bool,
        reason: str,
        actions: Sequence[int] = (),
        holds: timedelta = APPROVAL_HOLDS,
    ) -> None:
        """Writes down a person's decision about the run's exact plan."""
        record = self.store.load(run_id)
        if record.status in ("finished", "cancelled"):
            raise UsageError(f"{run_id} is {record.status}")
        known = {action.number for action in record.plan.actions}
        if wrong := sorted(set(actions) - known):
            raise UsageError(f"{run_id} has no action {wrong[0]}", hint=f"it has {len(known)}")
        now = self.now()
        approval = Approval(record.plan_hash, who, granted, reason, now, now + holds, tuple(actions))
        self.store.decide(run_id, approval)

    def now(self) -> datetime:
        return datetime.now(UTC)


@dataclass(slots=True)
class StoredJournal:
    """The journal of one run in the store."""

    store: RunStore
    record: Run
    owner: str
    lease: timedelta = LEASE

    def recall(self, number: int, step: Step) -> tuple[bool, Answer]:
        """A run that would go another way than it went is stopped: the program was changed under it."""
        kept = self.store.recall(self.record.id, number)
        if kept is None:
            return False, None
        if kept[0] != describe_step(step):
            raise StoreError(
                f"{self.record.id}: step {number} was {kept[0]!r} and is now {describe_step(step)!r}",
                hint="it was begun by another version of Perilune; finish it there, or undo it",
            )
        return True, decode_answer(kept[1])

    def keep(self, number: int, step: Step, answer: Answer) -> None:
        now = self.now()
        self.store.take(self.record.id, self.owner, at=now, lease=self.lease)
        text = encode_answer(answer)
        self.store.keep(self.record.id, number, describe_step(step), text, owner=self.owner, at=now)

    def decide(self, action: Action) -> Decision | None:
        now = self.now()
        granted, why = approval_of(self.store.decisions(self.record.id), self.record.plan_hash, action, now)
        if granted is not None:
            return Decision(granted, why)
        due = self.store.due(self.record.id, f"approval {action.number}", now + APPROVAL_WAIT)
        return Decision(False, f"{why} until {due.isoformat()}, when it expired") if now >= due else None

    def reply(self, ask: Ask) -> str | None:
        answer = self.store.reply(self.record.id, ask.step)
        return answer if answer in ask.choices else None

    def due(self, number: int, seconds: float) -> datetime:
        return self.store.due(self.record.id, f"pause {number}", self.now() + timedelta(seconds=seconds))

    def intend(self, action: Action) -> Intent:
        hourly = KINDS[action.kind].hourly
        leave = self.store.intend(self.record.id, action, owner=self.owner, at=self.now(), hourly=hourly)
        return Intent(f"{self.record.id}:{action.number}", leave.refused, leave.again, leave.settled)

    def fenced(self, action: Action) -> str:
        """A look that took long says nothing of now, as when this process was stopped in the middle of it."""
        for _ in range(LOOKS):
            late, at = self.store.fenced(self.record.id, action, owner=self.owner, clock=self.now, lease=self.lease)
            if abs(self.now() - at) < QUICK:
                return late
        raise LostLease(f"{self.record.id}: the store is too slow to act on what it says")

    def settle(self, action: Action, receipt: Receipt) -> None:
        self.store.settle(self.record.id, action, receipt, at=self.now())

    def end(self, action: Action, result: Result) -> None:
        self.store.conclude(self.record.id, action, result, at=self.now())

    def note(self, kind: str, body: Mapping[str, object]) -> None:
        self.store.note(self.record.id, kind, body, at=self.now())

    def now(self) -> datetime:
        return datetime.now(UTC)
