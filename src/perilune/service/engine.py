"""Drives a run: serves what it asks for, keeps every answer, and stops where it must wait.

The engine port is `Journal`: whoever keeps answers, decisions and intents. A run that is driven again is walked
from its start with the kept answers, so that a crash costs nothing but the step that it fell into. `Memory` is the
deterministic twin of the stored journal, for scenario tests and dry runs.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Protocol

from perilune.errors import ConnectorError, TooLate
from perilune.model.actions import Action, Observation, Outcome, Receipt, Result, State
from perilune.ports import Connector, looking
from perilune.response.execute import Running
from perilune.response.steps import (
    Answer,
    Approve,
    Ask,
    Check,
    Decision,
    Do,
    Ended,
    Escalate,
    Pause,
    Step,
    Tell,
)

LONGEST_SLEEP = 30.0  # a longer pause is kept as a time to come back at


@dataclass(frozen=True, slots=True)
class Intent:
    """Leave to act. `refused` says why not.

    again    somebody began this act before and did not say how it ended
    settled  how it ended, where somebody began it before and said so: it is not begun again
    """

    key: str
    refused: str = ""
    again: bool = False
    settled: Receipt | None = None


class Journal(Protocol):
    """What outlives a worker: answers, decisions, intents and the record."""

    def recall(self, number: int, step: Step) -> tuple[bool, Answer]:
        """Whether this step was answered before, and the answer."""
        ...

    def keep(self, number: int, step: Step, answer: Answer) -> None: ...

    def decide(self, action: Action) -> Decision | None:
        """What people decided; None while they have not."""
        ...

    def reply(self, ask: Ask) -> str | None: ...

    def due(self, number: int, seconds: float) -> datetime:
        """When a pause ends: the same time however often it is asked."""
        ...

    def intend(self, action: Action) -> Intent:
        """Asks for leave right before an act: lease, approval, epoch and caps are looked at once more."""
        ...

    def fenced(self, action: Action) -> str:
        """Why it must not be sent after all; asked right before, and keeps the lease for the time that it takes.

        A worker that was asleep is too late here.
        """
        ...

    def settle(self, action: Action, receipt: Receipt) -> None: ...

    def end(self, action: Action, result: Result) -> None:
        """What the check after the act showed, beside what the act itself said."""
        ...

    def note(self, kind: str, body: Mapping[str, object]) -> None: ...

    def now(self) -> datetime: ...


@dataclass(frozen=True, slots=True)
class Waiting(Exception):
    """The run cannot go on now. `until` is a time to come back at; None where a person is waited for."""

    what: str
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run came: finished with its results, or waiting."""

    results: Mapping[int, Result] | None = None
    waiting: str = ""
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Engine:
    """Serves a run's steps with a journal and a connector. `sleep` is given so that tests need not wait."""

    journal: Journal
    connector: Connector
    sleep: Callable[[float], None] = time.sleep
    patience: float = LONGEST_SLEEP

    def drive(self, running: Running) -> Progress:
        """On to the end, or to where it must wait."""
        answer: Answer = None
        number = 0
        try:
            while True:
                step = running.send(answer)
                answer = self.answer(number, step)
                number += 1
        except StopIteration as end:
            return Progress(results=end.value)
        except Waiting as wait:
            return Progress(waiting=wait.what, until=wait.until)

    def answer(self, number: int, step: Step) -> Answer:
        """What was answered before, or what the world says now."""
        known, answer = self.journal.recall(number, step)
        if not known:
            answer = self._serve(number, step)
            self.journal.keep(number, step, answer)
        return answer

    def _serve(self, number: int, step: Step) -> Answer:
        match step:
            case Approve(action):
                return self._approval(action)
            case Check(action):
                return self.look(action)
            case Do(action):
                return self._act(action)
            case Pause(seconds, why):
                self._pause(number, seconds, why)
            case Ask():
                return self._question(step)
            case Escalate(action, why):
                self.journal.note("escalate", {"action": action.number, "what": _words(action), "why": why})
            case Ended(action, result):
                body = {"action": action.number, "what": _words(action), "outcome": result.outcome.value}
                self.journal.note("ended", body | {"detail": result.detail})
                self.journal.end(action, result)
            case Tell(kind, place, text):
                self.journal.note(kind, {"step": place, "text": text})
        return None

    def _approval(self, action: Action) -> Decision:
        decision = self.journal.decide(action)
        if decision is None:
            raise Waiting(f"approval of action {action.number}: {_words(action)}")
        return decision

    def _question(self, ask: Ask) -> str:
        reply = self.journal.reply(ask)
        if reply is None:
            raise Waiting(f"an answer ({' | '.join(ask.choices)}) to: {ask.question}")
        return reply

    def _pause(self, number: int, seconds: float, why: str) -> None:
        due = self.journal.due(number, seconds)
        left = (due - self.journal.now()).total_seconds()
        if left > self.patience:
            raise Waiting(why, due)
        if left > 0:
            self.sleep(left)

    def look(self, action: Action) -> Observation:
        try:
            return self.connector.check(action)
        except ConnectorError as error:
            return Observation(State.UNKNOWN, str(error))

    def _act(self, action: Action) -> Receipt:
        """At most once: an act that was begun before and not ended is looked at before anything is sent again."""
        intent = self.journal.intend(action)
        if intent.refused:
            return Receipt(Outcome.REFUSED, intent.refused)
        if intent.settled is not None:
            return intent.settled
        receipt = self._reconciled(action) if intent.again else None
        if receipt is None:
            receipt = self._send(action, intent.key)
        self.journal.settle(action, receipt)
        return receipt

    def _reconciled(self, action: Action) -> Receipt | None:
        seen = self.look(action)
        body = {"action": action.number, "what": _words(action), "state": seen.state.value, "detail": seen.detail}
        self.journal.note("reconciled", body)
        if seen.state is State.ABSENT:
            return None
        outcome = Outcome.DONE if seen.state is State.HOLDS else Outcome.UNKNOWN
        return Receipt(outcome, f"begun by a worker that did not say how it ended; now: {seen.state} {seen.detail}")

    def _send(self, action: Action, key: str) -> Receipt:
        """Looks once more itself, and again whenever the connector is about to change something."""
        passed = 0

        def look() -> None:
            nonlocal passed
            if late := self.journal.fenced(action):
                raise TooLate(late)
            passed += 1

        try:
            with looking(look):
                look()
                return self.connector.act(action, key)
        except TooLate as error:
            if passed > 1:
                return Receipt(Outcome.UNKNOWN, f"cut short after something was sent: {error}")
            return Receipt(Outcome.REFUSED, str(error))
        except ConnectorError as error:
            return Receipt(Outcome.UNKNOWN, str(error))


def _words(action: Action) -> str:
    return f"{action.kind} {action.target.words}"


@dataclass(slots=True)
class Memory:
    """The journal in memory: deterministic, its clock moved by pauses and tests alone.

    decisions  by the kind of action; `default` for the rest; a missing one is waited for
    """

    run: str = "R-0"
    decisions: Mapping[str, Decision] = field(default_factory=dict)
    replies: Mapping[str, str] = field(default_factory=dict)
    clock: datetime = datetime(2026, 1, 1, tzinfo=UTC)
    notes: list[tuple[str, Mapping[str, object]]] = field(default_factory=list)
    answers: dict[int, Answer] = field(default_factory=dict)
    begun: dict[str, Receipt | None] = field(default_factory=dict)
    results: dict[int, Result] = field(default_factory=dict)

    def recall(self, number: int, step: Step) -> tuple[bool, Answer]:
        return number in self.answers, self.answers.get(number)

    def keep(self, number: int, step: Step, answer: Answer) -> None:
        self.answers[number] = answer

    def decide(self, action: Action) -> Decision | None:
        return self.decisions.get(action.kind.value, self.decisions.get("default"))

    def reply(self, ask: Ask) -> str | None:
        return self.replies.get(ask.question, self.replies.get("default"))

    def due(self, number: int, seconds: float) -> datetime:
        self.clock += timedelta(seconds=seconds)
        return self.clock

    def intend(self, action: Action) -> Intent:
        key = f"{self.run}:{action.number}"
        again, settled = key in self.begun, self.begun.get(key)
        self.begun[key] = settled
        return Intent(key, again=again and settled is None, settled=settled)

    def fenced(self, action: Action) -> str:
        return ""

    def settle(self, action: Action, receipt: Receipt) -> None:
        self.begun[f"{self.run}:{action.number}"] = receipt

    def end(self, action: Action, result: Result) -> None:
        self.results[action.number] = result

    def note(self, kind: str, body: Mapping[str, object]) -> None:
        self.notes.append((kind, body))

    def now(self) -> datetime:
        return self.clock
