"""How the public API is spoken to: one envelope for every call, keys of two kinds, errors in words.

A standard key is sent as it is; an advanced one signs each request anew with a nonce and the time.
"""

from __future__ import annotations

import hashlib
import re
import secrets as randomness
import string
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

import msgspec

from perilune.connectors.http import Answer, Client, decoded
from perilune.errors import ConnectorError, UsageError
from perilune.model.actions import Outcome, Receipt

T = TypeVar("T")
NONCE = 64
_NAME = re.compile(r"[a-z0-9-]+(\.[a-z0-9-]+)+")


class _Problem(msgspec.Struct):
    err_code: int | str = ""
    err_msg: str = ""
    err_extra: object = None


class _ProblemReply(msgspec.Struct):
    reply: _Problem


class _Taken(msgspec.Struct):
    action_id: int | str = ""
    group_action_id: int | str = ""


class _TakenReply(msgspec.Struct):
    reply: _Taken | bool | None = None


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


def tenant_base(name: str) -> str:
    """The API's address of a tenant, from the address that its console has: `corp.xdr.eu.paloaltonetworks.com`."""
    name = name.strip().lower().removeprefix("https://").rstrip("/")
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"{name!r} is no tenant", hint="give the console's address, NAME.xdr.REGION.paloaltonetworks.com"
        )
    return f"https://{name}" if name.startswith("api-") else f"https://api-{name}"


@dataclass(slots=True)
class Api:
    """One tenant. `base` is its API's address, `https://api-NAME.xdr.REGION.paloaltonetworks.com`."""

    base: str
    key: Key
    sleep: Callable[[float], None] = time.sleep

    def ask(self, call: str, data: Mapping[str, object], kind: type[T]) -> T:
        """A call that changes nothing."""
        answer = self.post(call, data, changes=False)
        if answer.status != 200:
            raise ConnectorError(f"{answer.status} {reason(answer)}", where=call)
        return decoded(answer, kind, call)

    def change(self, call: str, data: Mapping[str, object]) -> Receipt:
        """A call that changes something: taken, refused, or nobody knows."""
        answer = self.post(call, data, changes=True)
        if answer.status >= 500:
            raise ConnectorError(f"{answer.status} {reason(answer)}", where=call)
        if answer.status != 200:
            return Receipt(Outcome.FAILED, f"{answer.status} {reason(answer)}")
        taken = decoded(answer, _TakenReply, call).reply
        if taken is False:
            return Receipt(Outcome.FAILED, "the answer is no")
        reference = str(taken.action_id or taken.group_action_id) if isinstance(taken, _Taken) else ""
        return Receipt(Outcome.DONE, "taken", reference)

    def post(self, call: str, data: Mapping[str, object], *, changes: bool) -> Answer:
        body = msgspec.json.encode({"request_data": data})
        client = Client(self.base, sleep=self.sleep, hidden=(self.key.value,))
        return client.send("POST", path_of(call), self._headers, body, changes=changes)

    def _headers(self) -> dict[str, str]:
        nonce = "".join(randomness.choice(string.ascii_letters + string.digits) for _ in range(NONCE))
        return self.key.headers(int(time.time() * 1000), nonce) | {"Content-Type": "application/json"}


def path_of(call: str) -> str:
    return f"/public_api/v1/{call}/"


def envelope(data: Mapping[str, object]) -> str:
    return msgspec.json.encode({"request_data": data}).decode()


def reason(answer: Answer) -> str:
    try:
        problem = msgspec.json.decode(answer.body, type=_ProblemReply).reply
    except msgspec.DecodeError:
        return ""
    extra = f" ({problem.err_extra})" if problem.err_extra else ""
    return f"{problem.err_code}: {problem.err_msg}{extra}"[:300]
