"""How Defender's API is spoken to: a token for the application, JSON both ways, one more try where a token ended."""

from __future__ import annotations

import time
import urllib.parse
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

import msgspec

from perilune.connectors.http import Answer, Client, decoded
from perilune.errors import ConnectorError, UsageError

T = TypeVar("T")
LOGIN = "https://login.microsoftonline.com"
API = "https://api.securitycenter.microsoft.com"
REGIONS = ("us", "eu", "uk", "au", "swa", "ina")
MARGIN = 300  # seconds before its end at which a token is not used any more


class _Token(msgspec.Struct):
    access_token: str
    expires_in: int = 3600


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


def region_base(region: str) -> str:
    """The API's address for a region of the tenant's data; faster than the one for all."""
    if region not in REGIONS:
        raise UsageError(f"Defender has no region {region!r}", hint=f"there are: {', '.join(REGIONS)}")
    return f"https://{region}.api.security.microsoft.com"


@dataclass(slots=True)
class Api:
    """One tenant. `base` is the API's host for its region."""

    secrets: Secrets
    base: str = API
    login: str = LOGIN
    sleep: Callable[[float], None] = time.sleep
    _token: tuple[str, float] = ("", 0.0)

    def get(self, path: str, kind: type[T]) -> T:
        return self._read(self.send("GET", path, None, changes=False), path, kind)

    def ask(self, path: str, body: Mapping[str, object], kind: type[T]) -> T:
        """A POST that changes nothing."""
        return self._read(self.send("POST", path, body, changes=False), path, kind)

    def send(self, method: str, path: str, body: Mapping[str, object] | None, *, changes: bool) -> Answer:
        """With a token; one that was refused is got anew once, for the API then did nothing."""
        client = Client(self.base, sleep=self.sleep, hidden=(self.secrets.secret, self._token[0]))
        data = msgspec.json.encode(body) if body is not None else None
        for fresh in (False, True):
            headers = self._headers(data is not None, fresh=fresh)
            answer = client.send(method, path, partial(dict, headers), data, changes=changes)
            if answer.status != 401:
                break
        return answer

    def _read(self, answer: Answer, path: str, kind: type[T]) -> T:
        where = path.split("?")[0]
        if answer.status != 200:
            raise ConnectorError(f"{answer.status} {reason(answer)}", where=where)
        return decoded(answer, kind, where)

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
        path = f"/{urllib.parse.quote(self.secrets.tenant, safe='')}/oauth2/v2.0/token"
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        client = Client(self.login, sleep=self.sleep, hidden=(self.secrets.secret,))
        answer = client.send("POST", path, lambda: headers, urllib.parse.urlencode(form).encode(), changes=False)
        if answer.status != 200:
            raise ConnectorError(f"no token: {answer.status}", hint="are tenant, client and secret right?")
        got = decoded(answer, _Token, "the login")
        self._token = (got.access_token, time.time() + max(got.expires_in - MARGIN, 0))
        return got.access_token


def odata(text: str) -> str:
    """Text inside an OData literal."""
    return text.replace("'", "''")


def query(condition: str) -> str:
    return f"$filter={urllib.parse.quote(condition)}"


def reason(answer: Answer) -> str:
    try:
        problem = msgspec.json.decode(answer.body, type=_Failed).error
    except msgspec.DecodeError:
        return ""
    return f"{problem.code}: {problem.message}"[:300]
