"""One HTTP exchange with a product's API: JSON in and out, bounded, with the waits that the product asks for.

What is tried again is only what is safe to: a request that the product says it did not take (429, 503), or one that
changes nothing. A request that changes something and got no whole answer is unknown, never repeated here.
"""

from __future__ import annotations

import http.client
import ssl
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

import msgspec

from perilune.errors import ConnectorError, UsageError
from perilune.ports import look_again

T = TypeVar("T")
MAX_BYTES = 128 << 20  # the largest answer that is documented: 124 MB of rows
TRIES = 4
LONGEST_WAIT = 60.0
NOT_TAKEN = (429, 503)


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: the status, and the body as it is."""

    status: int
    body: bytes


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A product's API does not send a token elsewhere."""

    def redirect_request(self, *_: object) -> None:
        return None


@dataclass(frozen=True, slots=True)
class Client:
    """Speaks to one base URL; http only to a server on this machine.

    hidden  secrets that are sent: an error that gives one back is shown without it
    """

    base: str
    timeout: float = 30.0
    hidden: tuple[str, ...] = field(default=(), repr=False)
    sleep: Callable[[float], None] = field(default=time.sleep)

    def __post_init__(self) -> None:
        parts = urllib.parse.urlsplit(self.base)
        local = parts.hostname in ("127.0.0.1", "::1", "localhost")
        if parts.scheme != "https" and not (parts.scheme == "http" and local):
            raise UsageError(f"{self.base} is no https address", hint="secrets are sent to it")

    def send(
        self, method: str, path: str, headers: Callable[[], Mapping[str, str]], body: bytes | None, *, changes: bool
    ) -> Answer:
        """The answer, whatever its status; a ConnectorError where there is none. `changes`: must not be repeated.

        `headers` are made for each try: a signature with a nonce holds once.
        """
        for attempt in range(TRIES):
            if changes:
                look_again()
            try:
                answer, wait = self._once(method, path, headers(), body)
            except (OSError, http.client.HTTPException) as error:
                if changes or attempt == TRIES - 1:
                    raise ConnectorError(f"no answer: {_words(error)}", where=f"{method} {path}") from error
                self.sleep(2.0**attempt)
                continue
            again = answer.status in NOT_TAKEN or (answer.status >= 500 and not changes)
            if not again or attempt == TRIES - 1:
                return answer
            self.sleep(min(wait if wait is not None else 2.0**attempt, LONGEST_WAIT))
        raise ConnectorError("no answer", where=f"{method} {path}")

    def _once(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes | None
    ) -> tuple[Answer, float | None]:
        url = urllib.parse.urljoin(self.base.rstrip("/") + "/", path.lstrip("/"))
        request = urllib.request.Request(url, body, dict(headers), method=method)  # noqa: S310 - https, see __post_init__
        opener = urllib.request.build_opener(
            _NoRedirect, urllib.request.HTTPSHandler(context=ssl.create_default_context())
        )
        try:
            with opener.open(request, timeout=self.timeout) as response:
                return Answer(response.status, _read(response)), None
        except urllib.error.HTTPError as error:
            with error:
                body = self._without_secrets(_read(error))
                return Answer(error.code, body), _seconds(error.headers.get("Retry-After"))

    def _without_secrets(self, body: bytes) -> bytes:
        for one in self.hidden:
            body = body.replace(one.encode(), b"***") if one else body
        return body


def decoded(answer: Answer, kind: type[T], where: str) -> T:
    """The body as what the documentation says that it is."""
    try:
        return msgspec.json.decode(answer.body, type=kind)
    except msgspec.DecodeError as error:
        raise ConnectorError(f"the answer is not what is documented: {error}", where=where) from error


def _read(response: http.client.HTTPResponse | urllib.error.HTTPError) -> bytes:
    data: bytes = response.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise ConnectorError(f"the answer is larger than {MAX_BYTES:,} bytes")
    promised = response.headers.get("Content-Length")
    if promised is not None and promised.isdecimal() and len(data) < int(promised):
        raise http.client.IncompleteRead(data, int(promised) - len(data))  # a bounded read does not notice
    return data


def _seconds(text: str | None) -> float | None:
    return float(text) if text is not None and text.strip().isdecimal() else None


def _words(error: Exception) -> str:
    """Without anything that was sent: a URL or a header may hold a secret."""
    reason = getattr(error, "reason", None)
    return f"{type(error).__name__}: {reason}" if reason else type(error).__name__
