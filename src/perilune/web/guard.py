"""What every request passes before anything of ours sees it, and every answer before it leaves."""

from __future__ import annotations

from http import HTTPStatus
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from perilune.web.options import Options

BODY_MOST = 256 * 1024
UPLOADS = frozenset({"/hunts", "/api/v1/hunts"})  # which take files, as large as the options allow
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Cache-Control": "no-store",
}


class TooLarge(Exception):
    """A body beyond what its address takes; raised into whoever reads it."""


class Guard:
    """Refuses foreign names, foreign origins and large bodies; puts the security headers on every answer."""

    def __init__(self, app: ASGIApp, options: Options) -> None:
        self._app = app
        self._options = options

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return
        send = self._dressed(send)
        if refusal := self._refusal(scope, Headers(scope=scope)):
            await _refused(scope, *refusal)(scope, receive, send)
            return
        begun = False

        async def noting(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._app(scope, _bounded(receive, self._most(scope)), noting)
        except TooLarge:
            if begun:
                raise
            await _refused(scope, 413, "the request is too large")(scope, receive, send)

    def _refusal(self, scope: Scope, headers: Headers) -> tuple[int, str] | None:
        host = headers.get("host", "")
        names = self._options.names
        if names and _name(host) not in names:
            return 421, "this console is not known under that name; open it at " + self._options.address
        length = headers.get("content-length", "0")
        if not length.isdecimal() or len(length) > 12 or int(length) > self._most(scope):
            return 413, "the request is too large"
        if scope["method"] not in SAFE and not _is_own(headers, host):
            return 403, "this request came from another site"
        return None

    def _most(self, scope: Scope) -> int:
        return self._options.upload_most if scope["path"] in UPLOADS else BODY_MOST

    def _dressed(self, send: Send) -> Send:
        async def dressed(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
                if self._options.secure:
                    headers["Strict-Transport-Security"] = "max-age=31536000"
            await send(message)

        return dressed


def _refused(scope: Scope, status: int, words: str) -> Response:
    if not scope["path"].startswith("/api/"):
        return PlainTextResponse(f"{words}\n", status)
    body = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "detail": words}
    return JSONResponse(body, status, media_type="application/problem+json")


def _bounded(receive: Receive, most: int) -> Receive:
    seen = 0

    async def bounded() -> Message:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        if seen > most:
            raise TooLarge
        return message

    return bounded


def _is_own(headers: Headers, host: str) -> bool:
    """Whether a changing request came from a page of ours, or from no page at all."""
    if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        return False
    origin = headers.get("origin")
    return origin is None or urlsplit(origin).netloc == host


def _name(host: str) -> str:
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""
