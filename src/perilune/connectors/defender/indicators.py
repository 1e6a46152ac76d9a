"""Custom indicators: addresses, domains, URLs and hashes blocked for a time, and released."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import msgspec

from perilune.connectors.defender.api import Api, odata, query, reason
from perilune.connectors.defender.machines import opening
from perilune.errors import ConnectorError
from perilune.model.actions import Action, Kind, Observation, Outcome, Receipt, Request, State, TargetType

TYPES = {
    TargetType.ADDRESS: "IpAddress",
    TargetType.DOMAIN: "DomainName",
    TargetType.URL: "Url",
}
HASHES = {40: "FileSha1", 64: "FileSha256", 32: "FileMd5"}
BLOCKS = ("Block", "BlockAndRemediate", "AlertAndBlock")
PATH = "/api/indicators"


class _Indicator(msgspec.Struct):
    id: str | int
    indicatorValue: str = ""
    action: str = ""
    description: str = ""
    expirationTime: str | None = None


class _Indicators(msgspec.Struct):
    value: list[_Indicator]


@dataclass(frozen=True, slots=True)
class Indicators:
    """Block and release. The API replaces an indicator of the same value, so somebody else's is never overwritten."""

    api: Api

    def describe(self, action: Action) -> Sequence[Request]:
        effect = f"{action.kind} {action.target.words}"
        if action.kind is Kind.UNBLOCK_INDICATOR:
            return [Request(f"DELETE {self.api.base}{PATH}/{{indicator}}", "", effect)]
        body = msgspec.json.encode(_body(action, "{run}:{action}")).decode()
        return [Request(f"POST {self.api.base}{PATH}", body, effect)]

    def check(self, action: Action) -> Observation:
        found = self._find(action)
        blocked = found is not None and found.action in BLOCKS and not _is_over(found)
        wanted = action.kind is Kind.BLOCK_INDICATOR
        return Observation(State.HOLDS if blocked is wanted else State.ABSENT, found.action if found else "not listed")

    def act(self, action: Action, key: str) -> Receipt:
        found = self._find(action)
        if action.kind is Kind.UNBLOCK_INDICATOR:
            if found is None:
                return Receipt(Outcome.DONE, "not listed")
            return self._sent("DELETE", f"{PATH}/{found.id}", None)
        if found is not None and not found.description.startswith("Perilune ") and not _is_over(found):
            return Receipt(Outcome.REFUSED, f"somebody else listed it already, as {found.action}: change it there")
        return self._sent("POST", PATH, _body(action, key))

    def _sent(self, method: str, path: str, body: dict[str, object] | None) -> Receipt:
        answer = self.api.send(method, path, body, changes=True)
        if answer.status >= 500:
            raise ConnectorError(f"{answer.status} {reason(answer)}", where=path)
        if answer.status not in (200, 201, 204):
            return Receipt(Outcome.FAILED, f"{answer.status} {reason(answer)}")
        try:
            taken = str(msgspec.json.decode(answer.body, type=_Indicator).id)
        except msgspec.DecodeError:
            taken = ""
        return Receipt(Outcome.DONE, f"taken with {answer.status}", taken)

    def _find(self, action: Action) -> _Indicator | None:
        condition = query(f"indicatorValue eq '{odata(action.target.value)}'")
        found = self.api.get(f"{PATH}?{condition}", _Indicators).value
        return next((one for one in found if one.indicatorValue.lower() == action.target.value.lower()), None)


def _body(action: Action, key: str) -> dict[str, object]:
    body: dict[str, object] = {
        "indicatorValue": action.target.value,
        "indicatorType": _type(action),
        "action": "Block",
        "title": f"Perilune: {action.target.value}"[:200],
        "description": opening(key) + action.why,
        "severity": "High",
    }
    if action.lasts:
        ends = datetime.now(UTC) + timedelta(seconds=action.lasts)
        body["expirationTime"] = ends.strftime("%Y-%m-%dT%H:%M:%SZ")
    return body


def _type(action: Action) -> str:
    if action.target.type is not TargetType.HASH:
        return TYPES[action.target.type]
    kind = HASHES.get(len(action.target.value))
    if kind is None:
        raise ConnectorError(f"{action.target.value} is no MD5, SHA-1 or SHA-256")
    return kind


def _is_over(one: _Indicator) -> bool:
    try:
        return bool(one.expirationTime) and datetime.fromisoformat(one.expirationTime or "") <= datetime.now(UTC)
    except (ValueError, TypeError):
        return False
