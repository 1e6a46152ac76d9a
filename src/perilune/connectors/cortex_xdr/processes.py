"""Processes ended by the id that Cortex gives each of them: found by XQL from number and start, never by name.

A whole tree is ended as a causality chain, and only where the chain begins at this very process: else more would end.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import msgspec

from perilune.connectors.cortex_xdr.api import Api, envelope, path_of
from perilune.connectors.cortex_xdr.endpoints import Endpoints
from perilune.connectors.cortex_xdr.xql import Xql, literal
from perilune.errors import ConnectorError
from perilune.model.actions import Action, Kind, Observation, Outcome, Receipt, Request, State

TOLERANCE = timedelta(seconds=2)
AROUND = timedelta(minutes=5)
LATER = timedelta(days=1)
UNDER_WAY = ("PENDING", "IN_PROGRESS", "PENDING_ABORT")
_CALLS = {
    Kind.TERMINATE_PROCESS: ("endpoints/terminate_process", "instance_id"),
    Kind.TERMINATE_TREE: ("endpoints/terminate_causality", "causality_id"),
}
_FIELDS = (
    "action_process_instance_id, action_process_causality_id, action_process_instance_execution_time, "
    "causality_actor_process_image_name"
)


class _Status(msgspec.Struct):
    data: dict[str, str] = {}


class _StatusReply(msgspec.Struct):
    reply: _Status


@dataclass(frozen=True, slots=True)
class Found:
    """A process as Cortex knows it, and the chain that it belongs to."""

    endpoint: str
    instance: str
    causality: str
    began_with: str


@dataclass(frozen=True, slots=True)
class Processes:
    """`terminate-process` and `terminate-tree`. `sent` remembers the product's ids of what was asked, by target."""

    api: Api
    sent: dict[str, str] = field(default_factory=dict)

    def describe(self, action: Action) -> Sequence[Request]:
        call, name = _CALLS[action.kind]
        data = {"agent_id": "{endpoint}", name: "{found by XQL from number and start}"}
        return [Request(f"POST {self.api.base}{path_of(call)}", envelope(data), f"{action.kind} {action.target.words}")]

    def check(self, action: Action) -> Observation:
        """By the state of what was asked here; else by the telemetry, which has a process's end in it."""
        if (group := self.sent.get(action.target.key)) is not None:
            return self._asked(group)
        found = self._find(action)
        ended = self._ended(found, action)
        return Observation(
            State.HOLDS if ended else State.ABSENT, "its end was recorded" if ended else "no end recorded"
        )

    def act(self, action: Action, key: str) -> Receipt:
        found = self._find(action)
        call, name = _CALLS[action.kind]
        if action.kind is Kind.TERMINATE_TREE and found.causality != found.instance:
            return Receipt(Outcome.REFUSED, f"its chain began with {found.began_with}: ending it would end more")
        value = found.instance if action.kind is Kind.TERMINATE_PROCESS else found.causality
        receipt = self.api.change(call, {"agent_id": found.endpoint, name: value})
        if receipt.reference:
            self.sent[action.target.key] = receipt.reference
        return receipt

    def _asked(self, group: str) -> Observation:
        asked = {"group_action_id": int(group) if group.isdecimal() else group}
        states = set(self.api.ask("actions/get_action_status", asked, _StatusReply).reply.data.values())
        words = ", ".join(sorted(states)) or "no state"
        if states == {"COMPLETED_SUCCESSFULLY"}:
            return Observation(State.HOLDS, words)
        if states & set(UNDER_WAY):
            return Observation(State.PENDING, words)
        return Observation(State.ABSENT if states else State.UNKNOWN, words)

    def _find(self, action: Action) -> Found:
        """The one process of this number and start on this endpoint."""
        target = action.target
        if target.pid is None or target.started is None:
            raise ConnectorError("a process is named by its number and its start", where=target.value)
        endpoint = Endpoints(self.api).one(action).endpoint_id
        query = (
            f"dataset = xdr_data | filter agent_id = {literal(endpoint)} and event_type = ENUM.PROCESS and "
            f"event_sub_type = ENUM.PROCESS_START and action_process_os_pid = {target.pid} "
            f"| fields {_FIELDS} | limit 100"
        )
        rows = Xql(self.api).run(query, target.started - AROUND, target.started + AROUND)
        same = {
            Found(endpoint, _text(row, 0), _text(row, 1), _text(row, 3)) for row in rows if _is_at(row, target.started)
        }
        if len(same) != 1:
            raise ConnectorError(
                f"{len(same)} processes in Cortex's records have this number and start", where=target.words
            )
        return same.pop()

    def _ended(self, found: Found, action: Action) -> bool:
        query = (
            f"dataset = xdr_data | filter agent_id = {literal(found.endpoint)} and event_type = ENUM.PROCESS and "
            f"event_sub_type = ENUM.PROCESS_STOP and action_process_instance_id = {literal(found.instance)} | limit 1"
        )
        since = action.target.started or datetime.now(UTC)
        return bool(Xql(self.api).run(query, since, max(datetime.now(UTC), since) + LATER))


def _text(row: dict[str, object], number: int) -> str:
    return str(row.get(_FIELDS.split(", ")[number]) or "")


def _is_at(row: dict[str, object], started: datetime) -> bool:
    value = row.get("action_process_instance_execution_time")
    if not isinstance(value, int | float):
        return False
    return abs(datetime.fromtimestamp(value / 1000, UTC) - started) <= TOLERANCE
