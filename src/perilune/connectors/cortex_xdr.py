"""Cortex XDR and XSIAM: endpoints isolated, files quarantined and restored, hashes blocked, by the public API.

Written after the vendor's documentation of the generation that is reached under `public_api/v1`. Nothing of it is
idempotent, so states are read first; an endpoint's isolation is read from the endpoint itself, not from the answer that
took the request. The advanced key signs each request anew with a nonce and the time.
"""

from __future__ import annotations

import hashlib
import secrets as randomness
import string
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
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
NONCE = 64
PAGE = 100
AWAY = ("DISCONNECTED", "LOST")
_ISOLATION = {
    "AGENT_ISOLATED": True,
    "AGENT_UNISOLATED": False,
}
_PENDING = ("AGENT_PENDING_ISOLATION", "AGENT_PENDING_ISOLATION_CANCELLATION")


class _Endpoint(msgspec.Struct):
    endpoint_id: str
    endpoint_name: str = ""
    endpoint_type: str = ""
    endpoint_status: str = ""
    is_isolated: str | None = None
    os_type: str = ""


class _Endpoints(msgspec.Struct):
    endpoints: list[_Endpoint] = []


class _EndpointsReply(msgspec.Struct):
    reply: _Endpoints


class _Taken(msgspec.Struct):
    action_id: int | str = ""


class _TakenReply(msgspec.Struct):
    reply: _Taken | bool | None = None


class _FileStatus(msgspec.Struct):
    endpoint_id: str = ""
    file_path: str = ""
    file_hash: str = ""
    status: bool = False


class _FileReply(msgspec.Struct):
    reply: list[_FileStatus] = []


class _Problem(msgspec.Struct):
    err_code: int | str = ""
    err_msg: str = ""


class _ProblemReply(msgspec.Struct):
    reply: _Problem


@dataclass(frozen=True, slots=True)
class Key:
    """An API key. `advanced` keys sign each request; a standard one is sent as it is."""

    id: str
    value: str = field(repr=False)
    advanced: bool = True

    def headers(self, now_ms: int, nonce: str) -> dict[str, str]:
        if not self.advanced:
            return {"x-xdr-auth-id": self.id, "Authorization": self.value}
        digest = hashlib.sha256(f"{self.value}{nonce}{now_ms}".encode()).hexdigest()
        return {
            "x-xdr-auth-id": self.id,
            "x-xdr-timestamp": str(now_ms),
            "x-xdr-nonce": nonce,
            "Authorization": digest,
        }


@dataclass(slots=True)
class CortexXdr:
    """The connector. `base` is the tenant's API address, `https://api-NAME.xdr.REGION.paloaltonetworks.com`."""

    base: str
    key: Key
    sleep: Callable[[float], None] = time.sleep
    name: str = "cortex_xdr"
    handles: frozenset[tuple[Kind, TargetType]] = frozenset(
        {
            (Kind.ISOLATE_HOST, TargetType.HOST),
            (Kind.RELEASE_HOST, TargetType.HOST),
            (Kind.QUARANTINE_FILE, TargetType.FILE),
            (Kind.RESTORE_FILE, TargetType.FILE),
        }
    )

    def endpoints(self, host: str) -> Sequence[Endpoint]:
        """Every endpoint of exactly this name, uninstalled ones left out."""
        names = {host.lower(), host.split(".")[0].lower()}
        return [_known(one, host) for one in self._named(sorted(names)) if one.endpoint_name.lower() in names]

    def describe(self, action: Action) -> Sequence[Request]:
        path, data = self._request(action, "{endpoint}")
        body = msgspec.json.encode({"request_data": data}).decode()
        return [Request(f"POST {self.base}{_path(path)}", body, f"{action.kind} {action.target.words}")]

    def check(self, action: Action) -> Observation:
        one = self._one(action)
        if action.target.type is TargetType.FILE:
            return self._check_file(action, one)
        wanted = action.kind is Kind.ISOLATE_HOST
        state = one.is_isolated or ""
        if state in _PENDING:
            return Observation(State.PENDING, state)
        if state not in _ISOLATION:
            return Observation(State.UNKNOWN, f"is_isolated is {state or 'missing'}")
        if _ISOLATION[state] is wanted:
            return Observation(State.HOLDS, state)
        if one.endpoint_status in AWAY:
            return Observation(State.AWAY, f"{state}, {one.endpoint_status}")
        return Observation(State.ABSENT, state)

    def act(self, action: Action, key: str) -> Receipt:
        one = self._one(action)
        if action.target.type is TargetType.FILE and not action.target.sha256:
            return Receipt(Outcome.REFUSED, "Cortex takes a file by path and SHA-256, and the hash is not known")
        path, data = self._request(action, one.endpoint_id)
        answer = self._post(path, data, changes=True)
        if answer.status >= 500:
            raise ConnectorError(f"{answer.status} {_reason(answer)}", where=path)
        if answer.status != 200:
            return Receipt(Outcome.FAILED, f"{answer.status} {_reason(answer)}")
        taken = _decoded(answer, _TakenReply, path).reply
        return Receipt(Outcome.DONE, "taken", str(taken.action_id) if isinstance(taken, _Taken) else "")

    def _check_file(self, action: Action, one: _Endpoint) -> Observation:
        target = action.target
        asked = {"endpoint_id": one.endpoint_id, "file_path": target.value, "file_hash": target.sha256}
        answer = self._ask("quarantine/status", {"files": [asked]}, _FileReply).reply
        if not answer:
            return Observation(State.UNKNOWN, "no answer about this file")
        held = answer[0].status is (action.kind is Kind.QUARANTINE_FILE)
        detail = "in quarantine" if answer[0].status else "not in quarantine"
        if not held and one.endpoint_status in AWAY:
            return Observation(State.AWAY, f"{detail}, {one.endpoint_status}")
        return Observation(State.HOLDS if held else State.ABSENT, detail)

    def _request(self, action: Action, endpoint: str) -> tuple[str, dict[str, object]]:
        target = action.target
        chosen = {"field": "endpoint_id_list", "operator": "in", "value": [endpoint]}
        match action.kind:
            case Kind.ISOLATE_HOST:
                return "endpoints/isolate", {"endpoint_id": endpoint}
            case Kind.RELEASE_HOST:
                return "endpoints/unisolate", {"endpoint_id": endpoint}
            case Kind.QUARANTINE_FILE:
                data: dict[str, object] = {"filters": [chosen], "file_path": target.value, "file_hash": target.sha256}
                return "endpoints/quarantine", data
            case _:
                return "endpoints/restore", {"file_hash": target.sha256, "endpoint_id": endpoint}

    def _one(self, action: Action) -> _Endpoint:
        host = action.target.value if action.target.type is TargetType.HOST else action.target.host
        names = {host.lower(), host.split(".")[0].lower()}
        found = [one for one in self._named(sorted(names)) if one.endpoint_name.lower() in names]
        if len(found) != 1:
            raise ConnectorError(f"{len(found)} endpoints are called {host}")
        return found[0]

    def _named(self, names: Sequence[str]) -> list[_Endpoint]:
        """All of these names, page by page."""
        found: list[_Endpoint] = []
        while True:
            data = {
                "filters": [{"field": "hostname", "operator": "in", "value": list(names)}],
                "search_from": len(found),
                "search_to": len(found) + PAGE,
            }
            page = self._ask("endpoints/get_endpoint", data, _EndpointsReply).reply.endpoints
            found += page
            if len(page) < PAGE or len(found) >= 10 * PAGE:
                return [one for one in found if one.endpoint_status != "UNINSTALLED"]

    def _ask(self, path: str, data: Mapping[str, object], kind: type[T]) -> T:
        answer = self._post(path, data, changes=False)
        if answer.status != 200:
            raise ConnectorError(f"{answer.status} {_reason(answer)}", where=path)
        return _decoded(answer, kind, path)

    def _post(self, path: str, data: Mapping[str, object], *, changes: bool) -> Answer:
        body = msgspec.json.encode({"request_data": data})
        return Client(self.base, sleep=self.sleep).send("POST", _path(path), self._headers, body, changes=changes)

    def _headers(self) -> dict[str, str]:
        nonce = "".join(randomness.choice(string.ascii_letters + string.digits) for _ in range(NONCE))
        return self.key.headers(int(time.time() * 1000), nonce) | {"Content-Type": "application/json"}


def _path(call: str) -> str:
    return f"/public_api/v1/{call}/"


def _known(one: _Endpoint, host: str) -> Endpoint:
    kind = one.endpoint_type.upper()
    role = Role.SERVER if "SERVER" in kind else Role.WORKSTATION if "WORKSTATION" in kind else Role.UNKNOWN
    return Endpoint(one.endpoint_id, host, role, one.endpoint_status not in AWAY, one.os_type)


def _decoded(answer: Answer, kind: type[T], path: str) -> T:
    try:
        return msgspec.json.decode(answer.body, type=kind)
    except msgspec.DecodeError as error:
        raise ConnectorError(f"the answer is not what is documented: {error}", where=path) from error


def _reason(answer: Answer) -> str:
    try:
        problem = msgspec.json.decode(answer.body, type=_ProblemReply).reply
    except msgspec.DecodeError:
        return ""
    return f"{problem.err_code}: {problem.err_msg}"[:300]
