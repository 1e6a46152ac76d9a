"""A TAXII 2.1 collection fetched from a real server on this machine, which answers well and badly on demand."""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import orjson
import pytest
from click.testing import CliRunner

from perilune.analysis import analyze
from perilune.analysis.lists import Lists, parse
from perilune.cli.main import cli
from perilune.connectors import taxii
from perilune.errors import ConnectorError, UsageError
from perilune.model.feeds import Feed

OBJECTS = [
    {
        "type": "indicator", "spec_version": "2.1", "id": f"indicator--00000000-0000-4000-8000-00000000000{n}",
        "name": f"Bad host {n}", "valid_from": "2026-10-01T00:00:00Z", "created": "2026-10-01T00:00:00Z",
        "pattern_type": "stix", "pattern": f"[domain-name:value = 'bad{n}.example.net']",
    }
    for n in range(5)
]  # fmt: skip


class Server:
    """Pages of two objects. `faults` are used up first, one for each request."""

    def __init__(self) -> None:
        self.faults: list[Callable[[BaseHTTPRequestHandler], None]] = []
        self.requests: list[tuple[str, dict[str, str]]] = []
        self.by_date = False
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_: Any) -> None:
                pass

            def do_GET(self) -> None:
                outer.requests.append((self.path, {k.lower(): v for k, v in self.headers.items()}))
                if outer.faults:
                    outer.faults.pop(0)(self)
                    return
                asked = parse_qs(urlsplit(self.path).query)
                first = int((asked.get("next") or asked.get("added_after") or ["0"])[0])
                page: dict[str, Any] = {"objects": OBJECTS[first : first + 2]}
                if first + 2 < len(OBJECTS):
                    page |= {"more": True} | ({} if outer.by_date else {"next": str(first + 2)})
                answer(self, 200, json.dumps(page).encode(), {"X-TAXII-Date-Added-Last": str(first + 2)})

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/api1/collections/91a7b528/"


def answer(to: BaseHTTPRequestHandler, status: int, body: bytes = b"{}", headers: dict[str, str] | None = None) -> None:
    to.send_response(status)
    for name, value in {"Content-Type": taxii.MEDIA, "Content-Length": str(len(body)), **(headers or {})}.items():
        to.send_header(name, value)
    to.end_headers()
    to.wfile.write(body)


def status(code: int, **headers: str) -> Callable[[BaseHTTPRequestHandler], None]:
    return lambda to: answer(to, code, headers={k.replace("_", "-"): v for k, v in headers.items()})


def half(to: BaseHTTPRequestHandler) -> None:
    answer(to, 200, b'{"objects": [', {"Content-Length": "1000"})
    to.close_connection = True


def silent(to: BaseHTTPRequestHandler) -> None:
    time.sleep(0.6)
    to.close_connection = True


@pytest.fixture
def server() -> Iterator[Server]:
    one = Server()
    thread = threading.Thread(target=one.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield one
    one.server.shutdown()
    one.server.server_close()
    thread.join()


def fetched(server: Server, waited: list[float] | None = None, **changes: Any) -> taxii.Fetched:
    feed = Feed("corp", server.url, **{"timeout": 0.3, **changes})
    return taxii.fetch(
        feed, taxii.Secret("pw" if feed.username else ""), wait=([] if waited is None else waited).append
    )


@pytest.mark.parametrize("by_date", [False, True])
def test_all_pages_become_one_bundle(server: Server, by_date: bool) -> None:
    server.by_date = by_date
    found = fetched(server)
    assert (found.objects, found.pages, found.cut) == (5, 3, "")
    bundle = orjson.loads(found.bundle)
    assert bundle["type"] == "bundle"
    assert bundle["objects"] == OBJECTS
    assert all(headers["accept"] == taxii.MEDIA for _, headers in server.requests)


def test_the_bundle_is_a_list_whose_hits_say_list_entry_and_age(server: Server) -> None:
    from datetime import date

    lists = Lists([parse(fetched(server).bundle.decode(), "corp.json")], today=date(2026, 11, 1))
    hits = [h for i in analyze("curl http://bad3.example.net/x", lists=lists).indicators for h in i.listings]
    assert [(h.list, h.age_days) for h in hits][:1] == [("corp.json", 31)]
    assert "bad3.example.net" in hits[0].entry


@pytest.mark.parametrize(
    "fault",
    [status(429), status(500), status(502), status(503), half, silent],
    ids=["429", "500", "502", "503", "half", "silent"],
)  # fmt: skip
def test_a_passing_fault_is_tried_again(server: Server, fault: Callable[[BaseHTTPRequestHandler], None]) -> None:
    server.faults = [fault, fault]
    waited: list[float] = []
    assert fetched(server, waited).objects == 5
    assert waited == [1.0, 4.0]


def test_the_server_s_wish_to_wait_is_heeded_within_reason(server: Server) -> None:
    server.faults = [status(429, Retry_After="7"), status(503, Retry_After="86400"), status(503, Retry_After="soon")]
    waited: list[float] = []
    fetched(server, waited)
    assert waited == [7.0, taxii.LONGEST_WAIT, taxii.PAUSES[2]]


@pytest.mark.parametrize("fault", [status(503), half])
def test_a_lasting_fault_is_said_after_some_tries(
    server: Server, fault: Callable[[BaseHTTPRequestHandler], None]
) -> None:
    server.faults = [fault] * 10
    with pytest.raises(ConnectorError, match=f"after {taxii.TRIES} tries"):
        fetched(server)
    assert len(server.requests) == taxii.TRIES


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (status(401), "who asks"),
        (status(403), "may not read"),
        (status(404), "no such collection"),
        (status(302, Location="http://127.0.0.1:9/"), "redirects"),
        (lambda to: answer(to, 200, b"<html>"), "no JSON"),
        (lambda to: answer(to, 200, b"[1]"), "no TAXII envelope"),
    ],
)
def test_a_refusal_is_not_tried_again(server: Server, fault: Callable[..., None], said: str) -> None:
    server.faults = [fault]
    with pytest.raises(ConnectorError, match=said):
        fetched(server)
    assert len(server.requests) == 1


def test_the_password_goes_with_each_request_and_shows_nowhere(server: Server) -> None:
    fetched(server, username="soc")
    wanted = "Basic " + base64.b64encode(b"soc:pw").decode()
    assert {headers["authorization"] for _, headers in server.requests} == {wanted}
    assert "hunter" not in repr(taxii.Secret("hunter", "hunter"))


def test_a_token_goes_as_a_bearer(server: Server) -> None:
    taxii.fetch(Feed("a", server.url), taxii.Secret(token="t0k"))
    assert server.requests[0][1]["authorization"] == "Bearer t0k"


def test_an_endless_server_is_cut(server: Server) -> None:
    server.faults = [lambda to: answer(to, 200, b'{"more": true, "next": "1", "objects": []}')] * 3
    with pytest.raises(ConnectorError, match="same page"):
        fetched(server)


def test_what_is_larger_than_the_budget_is_cut_and_said(server: Server) -> None:
    big = json.dumps({"more": True, "next": "2", "objects": [{"x": "y" * 700_000}]}).encode()
    server.faults = [lambda to: answer(to, 200, big), lambda to: answer(to, 200, big)]
    found = fetched(server, max_mb=1)
    assert (found.objects, found.pages) == (1, 1)
    assert "MB" in found.cut


def test_a_certificate_that_nobody_vouches_for_is_refused() -> None:
    import ssl
    import subprocess
    import tempfile

    folder = Path(tempfile.mkdtemp())
    made = subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", folder / "k", "-out", folder / "c",
         "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"],
        capture_output=True, check=False,
    )  # fmt: skip
    if made.returncode:
        pytest.skip("no openssl to make a certificate with")
    one = Server()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "c", folder / "k")
    one.server.socket = context.wrap_socket(one.server.socket, server_side=True)
    threading.Thread(target=one.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    url = f"https://localhost:{one.server.server_port}/c/"
    try:
        with pytest.raises(ConnectorError, match=r"(?i)certificate"):
            taxii.fetch(Feed("a", url), taxii.Secret(), wait=lambda _: None)
        assert taxii.fetch(Feed("a", url, ca=str(folder / "c")), taxii.Secret()).objects == 5
    finally:
        one.server.shutdown()
        one.server.server_close()


def test_refresh_writes_the_list_and_a_failure_leaves_it(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PERILUNE_HOME", str(tmp_path))
    monkeypatch.setenv("CORP_PW", "pw")
    monkeypatch.setattr(taxii.time, "sleep", lambda _: None)
    settings = f'[feeds.corp]\nurl = "{server.url}"\nusername = "soc"\npassword_env = "CORP_PW"\n'
    (tmp_path / "config.toml").write_text(settings)
    done = CliRunner().invoke(cli, ["lists", "refresh", "--json"])
    assert done.exit_code == 0, done.output
    assert orjson.loads(done.output)["lists"][0]["objects"] == 5
    before = (tmp_path / "lists" / "corp.json").read_bytes()
    server.faults = [status(401)]
    failed = CliRunner().invoke(cli, ["lists", "refresh"])
    assert failed.exit_code == 3
    assert "as it was" in failed.output
    assert (tmp_path / "lists" / "corp.json").read_bytes() == before
    assert "corp" in CliRunner().invoke(cli, ["lists", "show"]).output


def test_nothing_is_fetched_that_the_settings_do_not_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PERILUNE_HOME", str(tmp_path))
    done = CliRunner().invoke(cli, ["lists", "refresh"])
    assert isinstance(done.exception, UsageError)
    assert "no feed is set up" in str(done.exception)
