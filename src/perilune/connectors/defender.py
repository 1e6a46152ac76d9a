"""Microsoft Defender for Endpoint: actions on machines, files and indicators by its REST API.

Written after Microsoft's documentation of the API. Nothing of it is idempotent, so each act reads first; every request
carries our key in its comment, so that one that may have been sent is found again. A machine action holds only when the
API says that it succeeded, not when it was taken.
"""

from __future__ import annotations

import time
import urllib.parse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import product
from typing import TypeVar

import msgspec

from perilune.connectors.http import Answer, Client
from perilune.errors import ConnectorError
from perilune.model.actions import (
    Action,
    Endpoint,
    Kind,
    Observation,
    Outcome,
    Receipt,
    Request,
    Role,
    State,
    TargetType,
)

T = TypeVar("T")
LOGIN = "https://login.microsoftonline.com"
API = "https://api.securitycenter.microsoft.com"
MARGIN = 300  # seconds before its end at which a token is not used any more
ENDED_BADLY = ("Failed", "Cancelled", "TimeOut")
UNDER_WAY = ("Pending", "InProgress")
_MACHINE_CALLS = {
    Kind.ISOLATE_HOST: ("isolate", "Isolate"),
    Kind.RELEASE_HOST: ("unisolate", "Unisolate"),
    Kind.COLLECT_EVIDENCE: ("collectInvestigationPackage", "CollectInvestigationPackage"),
}
_INDICATORS = {
    TargetType.ADDRESS: "IpAddress",
    TargetType.DOMAIN: "DomainName",
    TargetType.URL: "Url",
}
_HASHES = {40: "FileSha1", 64: "FileSha256", 32: "FileMd5"}


class _Token(msgspec.Struct):
    access_token: str
    expires_in: int = 3600


class _Machine(msgspec.Struct):
    id: str
    computerDnsName: str = ""
    osPlatform: str = ""
    healthStatus: str = ""


class _Machines(msgspec.Struct):
    value: list[_Machine]


class _MachineAction(msgspec.Struct):
    id: str
    type: str = ""
    status: str = ""
    machineId: str = ""
    requestorComment: str = ""
    creationDateTimeUtc: str = ""


class _MachineActions(msgspec.Struct):
    value: list[_MachineAction]


class _Indicator(msgspec.Struct):
    id: str | int
    indicatorValue: str = ""
    action: str = ""
    description: str = ""


class _Indicators(msgspec.Struct):
    value: list[_Indicator]


class _Problem(msgspec.Struct):
    code: str = ""
    message: str = ""


class _Failed(msgspec.Struct):
    error: _Problem


@dataclass(frozen=True, slots=True)
class Secrets:
    """An application's registration in the tenant. Never shown."""

    tenant: str
    client: str
    secret: str = field(repr=False)


@dataclass(slots=True)
class Defender:
    """The connector. `base` is the API's host for the tenant's region."""

    secrets: Secrets
    base: str = API
    login: str = LOGIN
    sleep: Callable[[float], None] = time.sleep
    name: str = "defender"
    handles: frozenset[tuple[Kind, TargetType]] = frozenset(
        {
            *product(_MACHINE_CALLS, (TargetType.HOST,)),
            *product((Kind.BLOCK_INDICATOR, Kind.UNBLOCK_INDICATOR), (*_INDICATORS, TargetType.HASH)),
        }
    )
    _token: tuple[str, float] = ("", 0.0)

    def endpoints(self, host: str) -> Sequence[Endpoint]:
        """Active machines of this name; the short name and the whole one are the same machine's."""
        short = host.split(".")[0]
        query = urllib.parse.quote(f"startswith(computerDnsName,'{_quoted(short.lower())}')")
        found = self._get(f"/api/machines?$filter={query}", _Machines).value
        names = {host.lower(), short.lower()}
        same = [one for one in found if one.computerDnsName.lower() in names or _first(one) in names]
        return [
            Endpoint(one.id, host, _role(one.osPlatform), one.healthStatus == "Active", one.osPlatform) for one in same
        ]

    def describe(self, action: Action) -> Sequence[Request]:
        method, path, body = self._request(action, "{machine}", "{run}:{action}")
        text = msgspec.json.encode(body).decode() if body else ""
        return [Request(f"{method} {self.base}{path}", text, f"{action.kind} {action.target.words}")]

    def check(self, action: Action) -> Observation:
        if action.kind in _MACHINE_CALLS:
            return self._check_machine(action)
        found = self._indicator(action)
        blocked = found is not None and found.action in ("Block", "BlockAndRemediate")
        wanted = action.kind is Kind.BLOCK_INDICATOR
        return Observation(State.HOLDS if blocked is wanted else State.ABSENT, found.action if found else "not listed")

    def act(self, action: Action, key: str) -> Receipt:
        """Once: what was sent under this key before is found by its comment and not sent again."""
        machine = self._machine(action) if action.kind in _MACHINE_CALLS else None
        if machine is not None and (sent := self._sent(machine, key)):
            return Receipt(Outcome.DONE, f"was sent before: {sent.status}", sent.id)
        method, path, body = self._request(action, machine.id if machine else "", key)
        if action.kind is Kind.UNBLOCK_INDICATOR:
            found = self._indicator(action)
            if found is None:
                return Receipt(Outcome.DONE, "not listed")
            path = f"/api/indicators/{found.id}"
        answer = self._send(method, path, body, changes=True)
        if answer.status in (200, 201, 204):
            reference = _reference(answer)
            return Receipt(Outcome.DONE, f"taken with {answer.status}", reference)
        if answer.status >= 500:
            raise ConnectorError(f"{answer.status} {_reason(answer)}", where=path)
        return Receipt(Outcome.FAILED, f"{answer.status} {_reason(answer)}")

    def _check_machine(self, action: Action) -> Observation:
        """From the machine's actions, the newest first: the API has no field that says isolated."""
        machine = self._machine(action)
        kinds = {"CollectInvestigationPackage"} if action.kind is Kind.COLLECT_EVIDENCE else {"Isolate", "Unisolate"}
        alive = (one for one in self._actions(machine) if one.type in kinds and one.status not in ENDED_BADLY)
        newest = next(alive, None)
        word = _MACHINE_CALLS[action.kind][1]
        if newest is None:
            return Observation(State.HOLDS if word == "Unisolate" else State.ABSENT, "no such action on record")
        if newest.type != word:
            return Observation(State.ABSENT, f"the last was {newest.type}")
        if newest.status in UNDER_WAY:
            return Observation(State.PENDING, f"{newest.type} is {newest.status}")
        if newest.status != "Succeeded":
            return Observation(State.UNKNOWN, f"{newest.type} is {newest.status}")
        if action.kind is Kind.COLLECT_EVIDENCE and _age(newest) > timedelta(hours=1):
            return Observation(State.ABSENT, "the last package is older than an hour")
        return Observation(State.HOLDS, f"{newest.type} succeeded at {newest.creationDateTimeUtc}")

    def _request(self, action: Action, machine: str, key: str) -> tuple[str, str, dict[str, object] | None]:
        comment = f"Perilune {key}: {action.why}"
        if action.kind in _MACHINE_CALLS:
            body: dict[str, object] = {"Comment": comment}
            if action.kind is Kind.ISOLATE_HOST:
                body["IsolationType"] = "Full"
            return "POST", f"/api/machines/{machine}/{_MACHINE_CALLS[action.kind][0]}", body
        if action.kind is Kind.UNBLOCK_INDICATOR:
            return "DELETE", "/api/indicators/{indicator}", None
        body = {
            "indicatorValue": action.target.value,
            "indicatorType": _indicator_type(action),
            "action": "Block",
            "title": f"Perilune: {action.target.value}"[:200],
            "description": comment,
            "severity": "High",
        }
        if action.lasts:
            ends = datetime.now(UTC) + timedelta(seconds=action.lasts)
            body["expirationTime"] = ends.strftime("%Y-%m-%dT%H:%M:%SZ")
        return "POST", "/api/indicators", body

    def _machine(self, action: Action) -> Endpoint:
        found = self.endpoints(action.target.value)
        if len(found) != 1:
            raise ConnectorError(f"{len(found)} machines are called {action.target.value}")
        return found[0]

    def _actions(self, machine: Endpoint) -> list[_MachineAction]:
        query = urllib.parse.quote(f"machineId eq '{_quoted(machine.id)}'")
        found = self._get(f"/api/machineactions?$filter={query}", _MachineActions).value
        return sorted(found, key=lambda one: one.creationDateTimeUtc, reverse=True)

    def _sent(self, machine: Endpoint, key: str) -> _MachineAction | None:
        start = f"Perilune {key}: "
        return next((one for one in self._actions(machine) if one.requestorComment.startswith(start)), None)

    def _indicator(self, action: Action) -> _Indicator | None:
        query = urllib.parse.quote(f"indicatorValue eq '{_quoted(action.target.value)}'")
        found = self._get(f"/api/indicators?$filter={query}", _Indicators).value
        return next((one for one in found if one.indicatorValue.lower() == action.target.value.lower()), None)

    def _get(self, path: str, kind: type[T]) -> T:
        answer = self._send("GET", path, None, changes=False)
        if answer.status != 200:
            raise ConnectorError(f"{answer.status} {_reason(answer)}", where=path.split("?")[0])
        try:
            return msgspec.json.decode(answer.body, type=kind)
        except msgspec.DecodeError as error:
            raise ConnectorError(f"the answer is not what is documented: {error}", where=path.split("?")[0]) from error

    def _send(self, method: str, path: str, body: Mapping[str, object] | None, *, changes: bool) -> Answer:
        """With a token; one that was refused is got anew once, for the API then did nothing."""
        client = Client(self.base, sleep=self.sleep)
        data = msgspec.json.encode(body) if body is not None else None
        for fresh in (False, True):
            headers = self._headers(data is not None, fresh=fresh)
            answer = client.send(method, path, partial(dict, headers), data, changes=changes)
            if answer.status != 401:
                break
        return answer

    def _headers(self, has_body: bool, *, fresh: bool) -> dict[str, str]:
        headers = {"Authorization": f"Bearer {self._bearer(fresh=fresh)}", "Accept": "application/json"}
        return headers | ({"Content-Type": "application/json"} if has_body else {})

    def _bearer(self, *, fresh: bool) -> str:
        token, ends = self._token
        if token and not fresh and time.time() < ends:
            return token
        form = {
            "grant_type": "client_credentials",
            "client_id": self.secrets.client,
            "client_secret": self.secrets.secret,
            "scope": f"{API}/.default",
        }
        path = f"/{urllib.parse.quote(self.secrets.tenant)}/oauth2/v2.0/token"
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        client = Client(self.login, sleep=self.sleep)
        answer = client.send("POST", path, lambda: headers, urllib.parse.urlencode(form).encode(), changes=False)
        if answer.status != 200:
            raise ConnectorError(f"no token: {answer.status}", hint="are tenant, client and secret right?")
        try:
            got = msgspec.json.decode(answer.body, type=_Token)
        except msgspec.DecodeError as error:
            raise ConnectorError("the answer to the login is not what is documented") from error
        self._token = (got.access_token, time.time() + max(got.expires_in - MARGIN, 0))
        return got.access_token


def _quoted(text: str) -> str:
    """Text inside an OData literal."""
    return text.replace("'", "''")


def _first(machine: _Machine) -> str:
    return machine.computerDnsName.lower().split(".")[0]


def _role(platform: str) -> Role:
    """What the platform's name gives away; Linux may be either."""
    low = platform.lower()
    if "server" in low:
        return Role.SERVER
    return Role.WORKSTATION if low.startswith(("windows1", "macos")) else Role.UNKNOWN


def _indicator_type(action: Action) -> str:
    if action.target.type is TargetType.HASH:
        kind = _HASHES.get(len(action.target.value))
        if kind is None:
            raise ConnectorError(f"{action.target.value} is no MD5, SHA-1 or SHA-256")
        return kind
    return _INDICATORS[action.target.type]


def _age(one: _MachineAction) -> timedelta:
    try:
        made = datetime.fromisoformat(one.creationDateTimeUtc)
    except ValueError:
        return timedelta.max
    return datetime.now(UTC) - (made if made.tzinfo else made.replace(tzinfo=UTC))


def _reason(answer: Answer) -> str:
    try:
        problem = msgspec.json.decode(answer.body, type=_Failed).error
    except msgspec.DecodeError:
        return ""
    return f"{problem.code}: {problem.message}"[:300]


def _reference(answer: Answer) -> str:
    try:
        return str(msgspec.json.decode(answer.body, type=_Indicator).id)
    except msgspec.DecodeError:
        return ""
