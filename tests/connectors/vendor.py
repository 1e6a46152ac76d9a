"""A server that answers as a vendor's documentation says, refuses what it does not allow, and fails on order."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Reply = tuple[int, object]


@dataclass
class Lines:
    """A body of JSON lines."""

    lines: list[str]

    def encoded(self) -> bytes:
        return "\n".join(self.lines).encode()


@dataclass
class Asked:
    """One request, as it came."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Vendor:
    """What a fake vendor needs: an answer to each request. `faults` come first, each once.

    A fault is a status, `close` (the connection ends without an answer), `half` (the body is cut), or `lost`: the
    request is carried out and the connection ends.
    """

    answer: Callable[[Asked], Reply]
    asked: list[Asked] = field(default_factory=list)
    faults: list[int | str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    only: str = ""
    url: str = ""


@contextlib.contextmanager
def serving(vendor: Vendor) -> Iterator[Vendor]:
    class Handler(BaseHTTPRequestHandler):
        def _any(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            one = Asked(
                self.command, self.path, {k.lower(): v for k, v in self.headers.items()}, self.rfile.read(length)
            )
            vendor.asked.append(one)
            fault: int | str = 0
            if vendor.faults and vendor.only in f"{one.method} {one.path}":
                fault = vendor.faults.pop(0)
            if fault == "close":
                self.connection.close()
                return
            status, body = (
                (fault, {"error": {"code": "Fault", "message": "on order"}})
                if isinstance(fault, int) and fault
                else vendor.answer(one)
            )
            if fault == "lost":
                self.connection.close()
                return
            data = body.encoded() if isinstance(body, Lines) else json.dumps(body).encode() if body is not None else b""
            self.send_response(status)
            if status == 429:
                self.send_header("Retry-After", "7")
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data[: len(data) // 2] if fault == "half" else data)
            if fault == "half":
                self.close_connection = True

        do_GET = do_POST = do_DELETE = do_PATCH = _any

        def log_message(self, *_: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    vendor.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield vendor
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
    assert vendor.wrong == [], vendor.wrong
