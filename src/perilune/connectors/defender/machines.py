"""Machines, and what is done to them: every machine action is asked for, taken, and only then under way.

The API has no field that says isolated or restricted: both are read from the machine's actions, the newest first. Each
carries our key in its comment, so that one that may have been sent is found again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import msgspec

from perilune.connectors.defender.api import Api, odata, query, reason
from perilune.errors import ConnectorError
from perilune.model.actions import Endpoint, Observation, Outcome, Receipt, Role, State

ENDED_BADLY = ("Failed", "Cancelled", "TimeOut")
UNDER_WAY = ("Pending", "InProgress")


class _Machine(msgspec.Struct):
    id: str
    computerDnsName: str = ""
    osPlatform: str = ""
    healthStatus: str = ""


class _Machines(msgspec.Struct):
    value: list[_Machine]


class FileInfo(msgspec.Struct):
    fileIdentifier: str | None = ""
    fileIdentifierType: str | None = ""


class Param(msgspec.Struct):
    key: str = ""
    value: str = ""


class Command(msgspec.Struct):
    type: str = ""
    params: list[Param] | None = None


class CommandState(msgspec.Struct):
    index: int = 0
    commandStatus: str = ""
    command: Command | None = None


class MachineAction(msgspec.Struct):
    """One machine action, as the API describes it."""

    id: str
    type: str = ""
    status: str = ""
    machineId: str = ""
    requestorComment: str | None = ""
    creationDateTimeUtc: str = ""
    relatedFileInfo: FileInfo | None = None
    commands: list[CommandState] | None = None

    @property
    def age(self) -> timedelta:
        try:
            made = datetime.fromisoformat(self.creationDateTimeUtc)
        except ValueError:
            return timedelta.max
        return datetime.now(UTC) - (made if made.tzinfo else made.replace(tzinfo=UTC))


class _MachineActions(msgspec.Struct):
    value: list[MachineAction]


@dataclass(frozen=True, slots=True)
class Machines:
    """The machines of a tenant and their actions."""

    api: Api

    def called(self, host: str) -> list[Endpoint]:
        """Active machines of this name; the short name and the whole one are the same machine's."""
        short = host.split(".")[0]
        condition = query(f"startswith(computerDnsName,'{odata(short.lower())}')")
        found = self.api.get(f"/api/machines?{condition}", _Machines).value
        names = {host.lower(), short.lower()}
        same = [one for one in found if one.computerDnsName.lower() in names or _first(one) in names]
        return [
            Endpoint(one.id, host, _role(one.osPlatform), one.healthStatus == "Active", one.osPlatform) for one in same
        ]

    def one(self, host: str) -> Endpoint:
        found = self.called(host)
        if len(found) != 1:
            raise ConnectorError(f"{len(found)} machines are called {host}")
        return found[0]

    def actions(self, machine: Endpoint) -> list[MachineAction]:
        """The newest first."""
        condition = query(f"machineId eq '{odata(machine.id)}'")
        found = self.api.get(f"/api/machineactions?{condition}", _MachineActions).value
        return sorted(found, key=lambda one: one.creationDateTimeUtc, reverse=True)

    def submit(self, machine: Endpoint, call: str, body: Mapping[str, object], key: str) -> Receipt:
        """Once: what was sent under this key before is found by its comment and not sent again."""
        start = opening(key)
        sent = next((one for one in self.actions(machine) if (one.requestorComment or "").startswith(start)), None)
        if sent is not None:
            return Receipt(Outcome.DONE, f"was sent before: {sent.status}", sent.id)
        path = f"/api/machines/{machine.id}/{call}"
        answer = self.api.send("POST", path, body, changes=True)
        if answer.status in (200, 201):
            try:
                taken = msgspec.json.decode(answer.body, type=MachineAction).id
            except msgspec.DecodeError:
                taken = ""
            return Receipt(Outcome.DONE, f"taken with {answer.status}", taken)
        if answer.status >= 500:
            raise ConnectorError(f"{answer.status} {reason(answer)}", where=path)
        return Receipt(Outcome.FAILED, f"{answer.status} {reason(answer)}")


def opening(key: str) -> str:
    """What a comment of ours begins with."""
    return f"Perilune {key}: "


def state_of(action: MachineAction) -> Observation:
    """Taken is not done: only what the API says succeeded holds."""
    words = f"{action.type} is {action.status}"
    if action.status in UNDER_WAY:
        return Observation(State.PENDING, words)
    if action.status == "Succeeded":
        return Observation(State.HOLDS, f"{action.type} succeeded at {action.creationDateTimeUtc}")
    return Observation(State.ABSENT if action.status in ENDED_BADLY else State.UNKNOWN, words)


def _first(machine: _Machine) -> str:
    return machine.computerDnsName.lower().split(".")[0]


def _role(platform: str) -> Role:
    """What the platform's name gives away; Linux may be either."""
    low = platform.lower()
    if "server" in low:
        return Role.SERVER
    return Role.WORKSTATION if low.startswith(("windows1", "macos")) else Role.UNKNOWN
