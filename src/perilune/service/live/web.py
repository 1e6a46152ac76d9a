"""HTTP as shippers speak it: Splunk's event collector and Elasticsearch's bulk interface, as a source.

What arrives is on disk before it is acknowledged. Events are told apart by what they are: JSON objects, Windows events
as XML, audit records, and lines of text, which get a syslog header of what the request says of them.
"""

from __future__ import annotations

import base64
import hmac
import os
import secrets
import ssl
import threading
import zlib
from collections.abc import Mapping
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import orjson

from perilune import __version__
from perilune.errors import UsageError
from perilune.service.live.addresses import Address
from perilune.service.live.bodies import Lines, Refused, of_bulk, of_collector, parsed, text_line
from perilune.service.live.journal import Journal, JournalFull, JournalSource
from perilune.service.live.syslog import key, tls

MOST_BODY = 64 << 20  # bytes, unpacked
MOST_CLIENTS = 64
SECONDS = 30.0  # that a client may be silent within a request
FORMS = {"json": "json", "xml": "event-xml", "audit": "auditd", "text": "syslog"}
_LIKE = "8.17.0"  # the version that shippers are told: they refuse to speak with one that is unknown to them

Plain = Mapping[str, object]


class WebSource(JournalSource):
    """Listens on a port."""

    def __init__(
        self, name: str, folder: Path, where: tuple[str, int], token: str, context: ssl.SSLContext | None
    ) -> None:
        super().__init__(name, folder, FORMS)
        self._where, self._token, self._context = where, token, context
        self._server: Server | None = None
        self._journals: dict[str, Journal] = {}

    def start(self) -> None:
        super().start()
        self._journals = {one: Journal(self.folder / one) for one in FORMS}
        try:
            self._server = Server(self._where, self, self._context)
        except OSError as error:
            raise UsageError(f"{self.name}: cannot listen: {error.strerror or error}") from None
        threading.Thread(target=self._server.serve_forever, args=(0.2,), name=self.name, daemon=True).start()

    @property
    def port(self) -> int:
        assert self._server is not None
        return int(self._server.server_address[1])

    def is_allowed(self, header: str) -> bool:
        """Whether a request's `Authorization` holds the token: Splunk, Bearer, ApiKey, or a password."""
        scheme, _, given = header.strip().partition(" ")
        if scheme.lower() in ("basic", "apikey"):
            with suppress(ValueError):
                given = base64.b64decode(given, validate=True).decode("utf-8", "replace").partition(":")[2] or given
        return hmac.compare_digest(given.strip().encode(), self._token.encode())

    def keep(self, lines: Lines) -> None:
        """Writes what a request brought, for good. Raises JournalFull."""
        try:
            for journal, found in lines.items():
                if found:
                    self._journals[journal].append(b"".join(found), durable=True)
            self.state.problem = ""
        except JournalFull as error:
            self.state.problem = f"requests are refused: {error}"
            raise

    def stop(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
        for journal in self._journals.values():
            journal.close()


class Server(ThreadingHTTPServer):
    """A thread for each connection, so many at a time."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, where: tuple[str, int], source: WebSource, context: ssl.SSLContext | None) -> None:
        self.source = source
        self._context = context
        self._clients = threading.Semaphore(MOST_CLIENTS)
        super().__init__(where, Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        if not self._clients.acquire(blocking=False):
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            request.settimeout(SECONDS)
            if self._context is not None:
                request = self._context.wrap_socket(request, server_side=True)
            super().process_request_thread(request, client_address)
        except (OSError, ssl.SSLError):
            self.shutdown_request(request)
        finally:
            self._clients.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away in the middle is no news."""


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    server_version = "perilune"
    sys_version = ""
    timeout = SECONDS
    server: Server

    def log_message(self, format: str, *args: object) -> None:
        return None

    def do_HEAD(self) -> None:
        self._answer(200, b"")

    def do_GET(self) -> None:
        path = self.path.partition("?")[0].rstrip("/")
        if path.startswith("/services/collector/health"):
            self._answer(200, orjson.dumps({"text": "HEC is healthy", "code": 17}))
        elif not self._is_allowed():
            self._refuse(Refused(401, "the token is missing or wrong", 2))
        elif path in ("", "/_xpack", "/_license"):
            self._answer(200, orjson.dumps(_about(path)))
        else:
            self._answer(404, orjson.dumps({"error": "not here", "status": 404}))

    def do_POST(self) -> None:
        try:
            if not self._is_allowed():
                raise Refused(401, "the token is missing or wrong", 2)
            self._post(self.path.partition("?")[0].rstrip("/"))
        except Refused as refused:
            self._refuse(refused)
        except JournalFull:
            self._refuse(Refused(503, "Server is busy", 9))

    do_PUT = do_POST

    def _post(self, path: str) -> None:
        source = self.server.source
        if path.endswith("/_bulk"):
            lines, items = of_bulk(self._body())
            source.keep(lines)
            self._answer(200, orjson.dumps({"took": 1, "errors": False, "items": items}))
        elif path == "/services/collector/ack":
            asked = parsed(self._body()).get("acks")
            acks = {str(number): True for number in asked} if isinstance(asked, list) else {}
            self._answer(200, orjson.dumps({"acks": acks}))  # what was answered is on disk
        elif path.startswith("/services/collector/raw"):
            source.keep({"text": [text_line({}, line) for line in self._body().splitlines() if line.strip()]})
            self._answer(200, self._success())
        elif path == "/services/collector" or path.startswith("/services/collector/event"):
            source.keep(of_collector(self._body()))
            self._answer(200, self._success())
        else:
            raise Refused(404, "not here; see /services/collector/event and /_bulk")

    def _success(self) -> bytes:
        answer: dict[str, object] = {"text": "Success", "code": 0}
        if self.headers.get("X-Splunk-Request-Channel"):
            answer["ackId"] = secrets.randbelow(1 << 31)
        return orjson.dumps(answer)

    def _is_allowed(self) -> bool:
        return self.server.source.is_allowed(self.headers.get("Authorization", ""))

    def _body(self) -> bytes:
        """The request's body, unpacked, within its budget."""
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or int(length) > MOST_BODY:
            self.close_connection = True
            raise Refused(413 if length.isdecimal() else 411, f"a body of at most {MOST_BODY:,} bytes, with its length")
        data = self.rfile.read(int(length))
        if self.headers.get("Content-Encoding", "") == "gzip":
            unpacking = zlib.decompressobj(zlib.MAX_WBITS | 16)
            try:
                data = unpacking.decompress(data, MOST_BODY)
            except zlib.error:
                raise Refused(400, "broken gzip") from None
            if unpacking.unconsumed_tail:
                raise Refused(413, f"more than {MOST_BODY:,} bytes unpacked")
        return data

    def _refuse(self, refused: Refused) -> None:
        if refused.code != 503:
            self.server.source.state.lost[f"requests refused with {refused.code}"] += 1
        self.close_connection = True  # its body may not have been read
        self._answer(refused.code, orjson.dumps({"text": refused.words, "code": refused.number}))

    def _answer(self, code: int, body: bytes) -> None:
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-Elastic-Product", "Elasticsearch")
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def _about(path: str) -> Plain:
    if path == "/_license":
        return {"license": {"uid": "perilune", "type": "basic", "status": "active"}}
    if path == "/_xpack":
        return {"features": {}, "license": {"type": "basic", "mode": "basic", "status": "active"}}
    version = {"number": _LIKE, "build_flavor": "default", "perilune": __version__}
    return {"name": "perilune", "cluster_name": "perilune", "version": version, "tagline": "You Know, for Search"}


# --- opening


def open_http(address: Address) -> WebSource:
    """`http://HOST:PORT?token_file=FILE`, or `token_env=NAME`: this machine alone, for a token goes with it."""
    address.known("token_file", "token_env")
    where = address.at(8088)
    if not _is_loopback(where[0]):
        raise UsageError(
            f"{address.name}: plain HTTP is for this machine alone",
            hint="https://…?certificate=server.pem&key=server.key, or a proxy that adds TLS",
        )
    return WebSource(address.name, _folder(address), where, token_of(address), None)


def open_https(address: Address) -> WebSource:
    """`https://HOST:PORT?certificate=FILE&key=FILE`, and the same as `http`."""
    context = tls(address, "token_file", "token_env")
    return WebSource(address.name, _folder(address), address.at(8088), token_of(address), context)


def token_of(address: Address) -> str:
    """The token that requests must bring: from where the address says, else made once and kept beside the lake."""
    if name := address.option("token_env"):
        if not (token := os.environ.get(name, "").strip()):
            raise UsageError(f"{address.name}: the environment has no {name}")
        return token
    path = Path(address.option("token_file") or address.folder / "http.token")
    try:
        if not address.option("token_file") and not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as made:
                made.write(secrets.token_urlsafe(32))
        token = path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise UsageError(f"{address.name}: the token cannot be read: {error}") from None
    if len(token) < 16:
        raise UsageError(f"{address.name}: a token of at least 16 characters is needed", where=str(path))
    return token


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _folder(address: Address) -> Path:
    return address.folder / "spool" / key(address)
