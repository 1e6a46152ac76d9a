"""The part of a run that is done here: notes in a case's record, the closing of a case. The rest is the connector's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from perilune.model.actions import Action, Endpoint, Kind, Observation, Outcome, Receipt, Request, State, TargetType
from perilune.model.case import Status
from perilune.ports import Connector, look_again
from perilune.store.cases import CaseStore

HERE = frozenset({Kind.NOTIFY, Kind.CLOSE_CASE})


@dataclass(frozen=True, slots=True)
class Desk:
    """A connector with a desk: what is done to a case is done in the case store."""

    connector: Connector
    cases: CaseStore

    @property
    def name(self) -> str:
        return self.connector.name

    @property
    def handles(self) -> frozenset[tuple[Kind, TargetType]]:
        return self.connector.handles | {(kind, TargetType.CASE) for kind in HERE}

    def endpoints(self, host: str) -> Sequence[Endpoint]:
        return self.connector.endpoints(host)

    def describe(self, action: Action) -> Sequence[Request]:
        if action.kind not in HERE:
            return self.connector.describe(action)
        return [
            Request(f"case store: {action.kind} {action.target.value}", action.why, "an entry in the case's record")
        ]

    def check(self, action: Action) -> Observation:
        if action.kind not in HERE:
            return self.connector.check(action)
        case = self.cases.load(action.target.value)
        if action.kind is Kind.CLOSE_CASE:
            held = case.status is Status.CLOSED
            return Observation(State.HOLDS if held else State.ABSENT, f"the case is {case.status.value}")
        held = any(entry.kind == "note" and entry.body.get("step") == action.step for entry in case.entries)
        return Observation(State.HOLDS if held else State.ABSENT, "the note is there" if held else "")

    def act(self, action: Action, key: str) -> Receipt:
        if action.kind not in HERE:
            return self.connector.act(action, key)
        now = datetime.now(UTC)
        body = {"text": action.why, "run": key, "step": action.step}
        look_again()
        if action.kind is Kind.CLOSE_CASE:
            self.cases.set_status(action.target.value, Status.CLOSED, body, at=now, who="perilune")
        else:
            self.cases.append(action.target.value, "note", body, at=now, who="perilune")
        return Receipt(Outcome.DONE, reference=key)
