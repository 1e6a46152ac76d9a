"""Endpoints and what is done to them: isolation, and files in quarantine; states are read from the product."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from perilune.connectors.cortex_xdr.api import Api, envelope, path_of
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

PAGE = 100
MOST = 1000
AWAY = ("DISCONNECTED", "LOST")
_ISOLATION = {
    "AGENT_ISOLATED": True,
    "AGENT_UNISOLATED": False,
}
_PENDING = ("AGENT_PENDING_ISOLATION", "AGENT_PENDING_ISOLATION_CANCELLATION")


class Known(msgspec.Struct):
    """An endpoint, as the API describes it."""

    endpoint_id: str
    endpoint_name: str = ""
    endpoint_type: str = ""
    endpoint_status: str = ""
    is_isolated: str | None = None
    os_type: str = ""


class _Endpoints(msgspec.Struct):
    endpoints: list[Known] = []


class _EndpointsReply(msgspec.Struct):
    reply: _Endpoints


class _FileStatus(msgspec.Struct):
    endpoint_id: str = ""
    file_path: str = ""
    file_hash: str = ""
    status: bool = False


class _FileReply(msgspec.Struct):
    reply: list[_FileStatus] = []


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Isolate and release, quarantine and restore."""

    api: Api

    def called(self, host: str) -> list[Known]:
        """Every endpoint of exactly this name, uninstalled ones left out, page by page."""
        names = {host.lower(), host.split(".")[0].lower()}
        found: list[Known] = []
        while True:
            data = {
                "filters": [{"field": "hostname", "operator": "in", "value": sorted(names)}],
                "search_from": len(found),
                "search_to": len(found) + PAGE,
            }
            page = self.api.ask("endpoints/get_endpoint", data, _EndpointsReply).reply.endpoints
            found += page
            if len(page) < PAGE or len(found) >= MOST:
                break
        same = [one for one in found if one.endpoint_name.lower() in names]
        return [one for one in same if one.endpoint_status != "UNINSTALLED"]

    def one(self, action: Action) -> Known:
        host = action.target.value if action.target.type is TargetType.HOST else action.target.host
        found = self.called(host)
        if len(found) != 1:
            raise ConnectorError(f"{len(found)} endpoints are called {host}")
        return found[0]

    def describe(self, action: Action) -> Sequence[Request]:
        call, data = _request(action, "{endpoint}")
        return [Request(f"POST {self.api.base}{path_of(call)}", envelope(data), f"{action.kind} {action.target.words}")]

    def check(self, action: Action) -> Observation:
        one = self.one(action)
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
        if action.target.type is TargetType.FILE and not action.target.sha256:
            return Receipt(Outcome.REFUSED, "Cortex takes a file by path and SHA-256, and the hash is not known")
        return self.api.change(*_request(action, self.one(action).endpoint_id))

    def _check_file(self, action: Action, one: Known) -> Observation:
        target = action.target
        asked = {"endpoint_id": one.endpoint_id, "file_path": target.value, "file_hash": target.sha256}
        answer = self.api.ask("quarantine/status", {"files": [asked]}, _FileReply).reply
        if not answer:
            return Observation(State.UNKNOWN, "no answer about this file")
        held = answer[0].status is (action.kind is Kind.QUARANTINE_FILE)
        detail = "in quarantine" if answer[0].status else "not in quarantine"
        if not held and one.endpoint_status in AWAY:
            return Observation(State.AWAY, f"{detail}, {one.endpoint_status}")
        return Observation(State.HOLDS if held else State.ABSENT, detail)


def chosen(endpoint: str) -> list[dict[str, object]]:
    """The filter that means one endpoint."""
    return [{"field": "endpoint_id_list", "operator": "in", "value": [endpoint]}]


def as_endpoint(one: Known, host: str) -> Endpoint:
    kind = one.endpoint_type.upper()
    role = Role.SERVER if "SERVER" in kind else Role.WORKSTATION if "WORKSTATION" in kind else Role.UNKNOWN
    return Endpoint(one.endpoint_id, host, role, one.endpoint_status not in AWAY, one.os_type)


def _request(action: Action, endpoint: str) -> tuple[str, dict[str, object]]:
    target = action.target
    match action.kind:
        case Kind.ISOLATE_HOST:
            return "endpoints/isolate", {"endpoint_id": endpoint}
        case Kind.RELEASE_HOST:
            return "endpoints/unisolate", {"endpoint_id": endpoint}
        case Kind.QUARANTINE_FILE:
            data: dict[str, object] = {"file_path": target.value, "file_hash": target.sha256}
            return "endpoints/quarantine", {"filters": chosen(endpoint), **data}
        case _:
            return "endpoints/restore", {"file_hash": target.sha256, "endpoint_id": endpoint}
