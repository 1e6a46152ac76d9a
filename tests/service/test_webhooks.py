"""Webhooks over a real receiver: signed, in order, again after a failure, and not before they were set up."""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from perilune.errors import UsageError
from perilune.model.case import Status
from perilune.service.webhooks import Hook, Teller, hooks_of
from perilune.settings import Settings
from perilune.store import deliveries
from perilune.store.cases import CaseStore
from perilune.store.database import Database
from tests.build import at, case, finding

SECRET = "a secret of two"


class Receiver(ThreadingHTTPServer):
    """Keeps what it is told, and answers with `status`."""

    def __init__(self) -> None:
        self.told: list[tuple[str, bytes]] = []
        self.status = 204
        super().__init__(("127.0.0.1", 0), _Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/hook?team=soc"


class _Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.server.status < 300:
            self.server.told.append((self.headers["X-Perilune-Signature"], body))
        self.send_response(self.server.status)
        self.send_header("Location", "http://127.0.0.1:1/elsewhere")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    server = Receiver()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_what_happens_is_told_signed_in_order_and_once(tmp_path: Path, receiver: Receiver) -> None:
    url = f"sqlite:///{tmp_path / 'cases.db'}"
    store, database, clock = CaseStore(url), Database(url), [at(0)]
    hook = Hook("siem", receiver.url, SECRET, ("case new", "case status"))
    teller = Teller(database, [hook], now=lambda: clock[0])
    store.save(case(finding("before"), key="before"), at=at(0))
    assert teller.tell(hook) == 0  # what was before is not told
    store.save(case(finding("f"), key="k"), at=at(1))
    store.set_owner("C-2", "ana", at=at(2), who="ana")
    store.set_status("C-2", Status.CLOSED, {"note": "over"}, at=at(3), who="ana")
    assert teller.tell(hook) == 2
    assert teller.tell(hook) == 0
    events = [json.loads(body) for _, body in receiver.told]
    assert [(one["kind"], one["body"]["case"]) for one in events] == [("case new", "C-2"), ("case status", "C-2")]
    signed, body = receiver.told[0]
    seconds, mark = (part.partition("=")[2] for part in signed.split(","))
    assert mark == hmac.new(SECRET.encode(), f"{seconds}.".encode() + body, hashlib.sha256).hexdigest()


@pytest.mark.parametrize("status", [500, 302, 404])
def test_a_receiver_that_fails_is_told_again_later(tmp_path: Path, receiver: Receiver, status: int) -> None:
    url = f"sqlite:///{tmp_path / 'cases.db'}"
    store, database, clock = CaseStore(url), Database(url), [at(0)]
    hook = Hook("siem", receiver.url, SECRET)
    teller = Teller(database, [hook], now=lambda: clock[0])
    assert teller.tell(hook) == 0
    store.save(case(finding("f"), key="k"), at=at(1))
    receiver.status = status
    assert teller.tell(hook) == 0
    assert str(status) in deliveries.all_of(database)[0].problem
    receiver.status = 204
    assert teller.tell(hook) == 0  # it rests
    clock[0] += timedelta(minutes=1)
    assert teller.tell(hook) == 1


def test_of_two_processes_one_tells(tmp_path: Path, receiver: Receiver) -> None:
    database = Database(f"sqlite:///{tmp_path / 'cases.db'}")
    assert deliveries.claim(database, "siem", at=at(0)) is not None
    assert deliveries.claim(database, "siem", at=at(1)) is None
    assert deliveries.claim(database, "siem", at=at(0) + timedelta(minutes=2)) is not None


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"url": "http://soc.example/hook", "secret_env": "HOOK"}, "no https address"),
        ({"url": "https://soc.example/hook"}, "secret_env or secret_file is missing"),
        ({"url": "https://soc.example/hook", "secret": "x"}, "does not stand in the settings"),
        ({"url": "https://soc.example/hook", "secret_env": "HOOK", "events": "coffee"}, "no event 'coffee'"),
    ],
)
def test_a_wrong_hook_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: dict[str, str], words: str
) -> None:
    monkeypatch.setenv("HOOK", SECRET)
    with pytest.raises(UsageError, match=words):
        hooks_of(Settings(tmp_path, webhooks={"siem": given}))
