"""Webhooks: chosen lines of the audit log, told to an address of the settings, signed, in order, at least once.

The audit log is the list of what happened, so nothing that was written down can be forgotten by a crash between the act
and the telling. A receiver that is away is told later; one that is away for long is told where it stood.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import orjson

from perilune.connectors.http import Client
from perilune.errors import ConnectorError, PeriluneError, UsageError
from perilune.settings import Settings, secret_value
from perilune.store import deliveries
from perilune.store.audit import Line
from perilune.store.database import Database
from perilune.store.deliveries import Delivery

EVENTS = (
    "case new", "case grown", "case status", "case owner", "case comment", "run", "status", "decision", "ended",
    "escalate",
)  # fmt: skip
SIGNATURE = "X-Perilune-Signature"
EVERY = 2.0
LINES_MOST = 100  # told in one go
_REST_MOST = timedelta(hours=1)
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Hook:
    """`events`: kinds of the audit log's lines."""

    name: str
    url: str
    secret: str = field(repr=False)
    events: tuple[str, ...] = EVENTS


def hooks_of(settings: Settings) -> list[Hook]:
    """The settings' webhooks; one that is wrong is an error at the start, not a silence later."""
    found = []
    for name, given in sorted(settings.webhooks.items()):
        where = f"webhooks.{name}"
        events = tuple(one.strip() for one in given.get("events", "").split(",") if one.strip()) or EVENTS
        if unknown := sorted(set(events) - set(EVENTS)):
            raise UsageError(f"there is no event {unknown[0]!r}", where=where, hint=f"there are: {', '.join(EVENTS)}")
        hook = Hook(name, given.get("url", ""), secret_value(given, "secret", where), events)
        _client(hook)  # looks at the address
        found.append(hook)
    return found


def signature(secret: str, at: int, body: bytes) -> str:
    """`t=SECONDS,v1=HMAC-SHA256 of "SECONDS.BODY"`: a receiver compares it, and refuses one that is old."""
    digest = hmac.new(secret.encode(), str(at).encode() + b"." + body, hashlib.sha256).hexdigest()
    return f"t={at},v1={digest}"


@dataclass(slots=True)
class Teller:
    """Tells the hooks in a thread; of several processes over one store, one tells each hook at a time."""

    database: Database
    hooks: list[Hook]
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    _stop: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def start(self) -> None:
        if self.hooks:
            self._thread = threading.Thread(target=self._tell, name="webhooks", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join(5)

    def _tell(self) -> None:
        while not self._stop.wait(EVERY):
            for hook in self.hooks:
                try:
                    self.tell(hook)
                except PeriluneError as error:
                    _log.warning("webhook %s: %s", hook.name, error)

    def tell(self, hook: Hook) -> int:
        """Tells what is new, in order; how many lines were told."""
        found = deliveries.claim(self.database, hook.name, at=self.now())
        if found is None:
            return 0
        lines, looked = deliveries.lines_after(self.database, found.number, hook.events, LINES_MOST)
        for told, line in enumerate(lines):
            try:
                self._send(hook, line)
            except ConnectorError as error:
                self._rest(found, error)
                return told
            found = replace(found, number=line.number, tries=0)
        deliveries.told(self.database, hook.name, looked, at=self.now())
        return len(lines)

    def _send(self, hook: Hook, line: Line) -> None:
        event = {"number": line.number, "at": line.at, "who": line.who, "kind": line.kind, "run": line.run}
        body = orjson.dumps(event | {"body": line.body})
        headers = {
            "Content-Type": "application/json",
            SIGNATURE: signature(hook.secret, int(self.now().timestamp()), body),
        }
        path = urlsplit(hook.url)
        target = path.path + (f"?{path.query}" if path.query else "")
        answer = _client(hook).send("POST", target, lambda: headers, body, changes=True)
        if not 200 <= answer.status < 300:
            raise ConnectorError(f"the receiver answered {answer.status}", where=hook.name)

    def _rest(self, found: Delivery, error: ConnectorError) -> None:
        rest = min(timedelta(seconds=5) * 2 ** min(found.tries, 12), _REST_MOST)
        deliveries.failed(self.database, found, error.what, self.now() + rest, at=self.now())


def _client(hook: Hook) -> Client:
    parts = urlsplit(hook.url)
    return Client(f"{parts.scheme}://{parts.netloc}", timeout=10.0, hidden=(hook.secret,))
