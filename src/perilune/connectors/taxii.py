"""Fetches a TAXII 2.1 collection into a STIX 2.1 bundle. The one place that asks the network for indicators.

Only the reading of objects is spoken, page after page: `GET {collection}/objects/`. The usual client for Python has
had no release since 2021; what is needed of the protocol is below. Certificates are always checked, redirects never
followed (they would carry the password elsewhere), and a server may take neither memory nor time beyond a budget.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

import orjson

from perilune.errors import ConnectorError, UsageError
from perilune.model.feeds import Feed

if TYPE_CHECKING:
    import httpx

MEDIA = "application/taxii+json;version=2.1"
MAX_PAGES = 2_000
MAX_PAGE = 32_000_000  # bytes of one answer
TRIES = 4
LONGEST_WAIT = 60.0  # seconds, whatever a server asks for
PAUSES = (1.0, 4.0, 15.0)
PASSING = frozenset((429, 500, 502, 503, 504))  # worth another try


@dataclass(frozen=True, slots=True)
class Secret:
    """What lets in: a password for the feed's user, or a token. It never shows itself."""

    password: str = field(default="", repr=False)
    token: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Fetched:
    """What came. `cut` says why it is not all, where it is not."""

    bundle: bytes
    objects: int
    pages: int
    cut: str = ""


@dataclass(frozen=True, slots=True)
class _Page:
    objects: list[object]
    more: bool
    next: str
    last: str


def fetch(feed: Feed, secret: Secret, *, added_after: str = "", wait: Callable[[float], None] = time.sleep) -> Fetched:
    """The objects of a collection; those that came after a moment, where one is given.

    Raises:
        ConnectorError: the server refused, or did not answer as it should after several tries.
    """
    objects: list[object] = []
    pages, cut = 0, ""
    try:
        for page in _pages(feed, secret, wait):
            objects += page.objects
            pages += 1
    except _Full as full:
        cut = str(full)
    bundle = {"type": "bundle", "id": f"bundle--{uuid.uuid4()}", "objects": objects}
    return Fetched(orjson.dumps(bundle), len(objects), pages, cut)


class _Full(Exception):
    """A budget is used up; what came before stays."""


def _pages(feed: Feed, secret: Secret, wait: Callable[[float], None]) -> Iterator[_Page]:
    room = feed.max_mb * 1_000_000
    where: dict[str, str] = {}
    seen: set[tuple[str, ...]] = set()
    with _client(feed, secret) as client:
        for _ in range(MAX_PAGES):
            body, headers = _asked(client, feed, where, min(MAX_PAGE, room), wait)
            room -= len(body)
            page = _parsed(body, headers, feed)
            yield page
            where = _following(page)
            if not where:
                return
            key = tuple(where.values())
            if key in seen:
                raise ConnectorError("the server gives the same page again and again", where=feed.url)
            seen.add(key)
            if room <= 0:
                raise _Full(f"the budget of {feed.max_mb} MB was used up (max_mb)")
    raise _Full(f"more than {MAX_PAGES:,} pages")


def _client(feed: Feed, secret: Secret) -> httpx.Client:
    try:
        import httpx
    except ImportError:
        raise UsageError("fetching feeds needs httpx", hint='pip install "perilune[feeds]"') from None
    import ssl

    try:
        trust = ssl.create_default_context(cafile=feed.ca) if feed.ca else True
    except (OSError, ssl.SSLError) as error:
        raise UsageError(f"the file of certificates cannot be read: {error}", where=feed.ca) from None
    headers = {"Accept": MEDIA, "User-Agent": "perilune"}
    if secret.token:
        headers["Authorization"] = f"Bearer {secret.token}"
    auth = (feed.username, secret.password) if feed.username else None
    return httpx.Client(headers=headers, auth=auth, verify=trust, timeout=feed.timeout, follow_redirects=False)


def _asked(
    client: httpx.Client, feed: Feed, where: Mapping[str, str], most: int, wait: Callable[[float], None]
) -> tuple[bytes, Mapping[str, str]]:
    """One answer's body and headers, after as many tries as it is worth."""
    import httpx

    said, pause = "", 0.0
    for attempt in range(TRIES):
        if attempt:
            wait(pause)
        pause = PAUSES[min(attempt, len(PAUSES) - 1)]
        try:
            with client.stream("GET", feed.url.rstrip("/") + "/objects/", params=dict(where)) as answer:
                if answer.status_code == 200:
                    return _body(answer, feed, most), answer.headers
                said = f"status {answer.status_code}"
                if answer.status_code not in PASSING:
                    raise _refused(answer.status_code, feed)
                pause = _asked_pause(answer.headers.get("retry-after", ""), pause)
        except httpx.TransportError as error:
            said = str(error) or type(error).__name__
    raise ConnectorError(f"no whole answer after {TRIES} tries: {said}", where=feed.url)


def _body(answer: httpx.Response, feed: Feed, most: int) -> bytes:
    """The body, unless it is larger than there is room for; compressed ones count as they come out."""
    parts: list[bytes] = []
    size, started = 0, time.monotonic()
    for part in answer.iter_bytes():
        size += len(part)
        if size > most:
            raise _Full(f"an answer of more than {most / 1e6:.0f} MB, which was not read")
        if time.monotonic() - started > 10 * feed.timeout:
            raise ConnectorError(f"one answer took longer than {10 * feed.timeout:.0f} seconds", where=feed.url)
        parts.append(part)
    return b"".join(parts)


_WHY = {
    401: "the server wants to know who asks", 403: "this user may not read the collection",
    404: "there is no such collection", 406: "the server does not speak TAXII 2.1",
}  # fmt: skip


def _refused(status: int, feed: Feed) -> ConnectorError:
    if 300 <= status < 400:
        return ConnectorError(f"the server redirects (status {status})", where=feed.url, hint="write the new url")
    hint = "look at username, password_env, token_env of the feed" if status in (401, 403) else None
    return ConnectorError(_WHY.get(status, f"the server refused: status {status}"), where=feed.url, hint=hint)


def _asked_pause(written: str, otherwise: float) -> float:
    """How long `Retry-After` asks to wait: seconds or a date, and never longer than we would."""
    if written.isdigit():
        return min(float(written), LONGEST_WAIT)
    try:
        seconds = (parsedate_to_datetime(written) - datetime.now(UTC)).total_seconds()
    except (TypeError, ValueError):
        return otherwise
    return max(0.0, min(seconds, LONGEST_WAIT))


def _parsed(body: bytes, headers: Mapping[str, str], feed: Feed) -> _Page:
    try:
        envelope = orjson.loads(body) if body.strip() else {}
    except orjson.JSONDecodeError as error:
        raise ConnectorError(f"the answer is no JSON: {error}", where=feed.url) from None
    objects = envelope.get("objects", []) if isinstance(envelope, dict) else None
    if not isinstance(objects, list):
        raise ConnectorError("the answer is no TAXII envelope", where=feed.url, hint="is this a collection's url?")
    following = envelope.get("next")
    last = headers.get("x-taxii-date-added-last", "")
    return _Page(objects, envelope.get("more") is True, following if isinstance(following, str) else "", last[:64])


def _following(page: _Page) -> dict[str, str]:
    """What to ask for the next page; nothing where this was the last."""
    if not page.more:
        return {}
    if page.next:
        return {"next": page.next}
    return {"added_after": page.last} if page.last else {}
