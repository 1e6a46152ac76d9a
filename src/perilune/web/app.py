"""The application: pages, API, static files, health, behind the guard."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from importlib.resources import files

from fastapi import FastAPI, Request
from starlette.responses import PlainTextResponse, Response

from perilune import __version__
from perilune.errors import StoreError
from perilune.model.roles import Role
from perilune.web import api, api_jobs, api_runs, events, passwords, problems
from perilune.web.guard import Guard
from perilune.web.pages import audit, case, content, hunts, installation, login, queue, reference, runs, tokens, users
from perilune.web.problems import not_found
from perilune.web.rooms import Rooms, rooms

_STATIC = {
    "console.css": "text/css",
    "console.js": "text/javascript",
    "icon.svg": "image/svg+xml",
    "report.css": "text/css",
}
FIRST_ADMIN = "admin"


def make_app(held: Rooms) -> FastAPI:
    """The console over these stores."""
    app = FastAPI(
        title="Perilune",
        version=__version__,
        summary="Cases of abused script and command interpreters (ATT&CK T1059)",
        openapi_url="/api/v1/openapi.json",
        docs_url=None,  # both pages load scripts from elsewhere
        redoc_url=None,
        redirect_slashes=False,
        lifespan=_living,
    )
    app.state.rooms = held
    for room in (
        login,
        events,
        queue,
        runs,
        case,
        users,
        audit,
        hunts,
        content,
        installation,
        reference,
        tokens,
        api,
        api_runs,
        api_jobs,
    ):
        app.include_router(room.router)
    app.add_api_route("/static/{name}", _static, include_in_schema=False)
    app.add_api_route("/health", _health, include_in_schema=False)
    app.add_api_route("/ready", _ready, include_in_schema=False)
    app.openapi = api.describe(app.openapi)  # type: ignore[method-assign]
    problems.install(app)
    app.add_middleware(Guard, options=held.options)
    return app


@asynccontextmanager
async def _living(app: FastAPI) -> AsyncIterator[None]:
    """While it serves, it drives runs."""
    held = app.state.rooms
    held.driver.start()
    held.crew.start()
    held.teller.start()
    try:
        yield
    finally:
        held.closing = True
        held.driver.stop()
        held.crew.stop()
        held.teller.stop()


def make_first_admin(held: Rooms) -> str | None:
    """Where there is no user yet: an admin, and the one-time password to be told once."""
    if held.users.all():
        return None
    password = passwords.make_password()
    hashed = passwords.hash_password(password)
    held.users.create(FIRST_ADMIN, Role.ADMIN, hashed, at=held.now(), who="perilune")
    return password


def _static(request: Request, name: str) -> Response:
    if name not in _STATIC:
        raise not_found("There is no such file.")
    body, tag = _read_static(name)
    caching = {"Cache-Control": "max-age=60, must-revalidate", "ETag": tag}
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers=caching)
    return Response(body, media_type=_STATIC[name], headers=caching)


@cache
def _read_static(name: str) -> tuple[bytes, str]:
    folder = files("perilune.web") / "static"
    path = files("perilune.report") / "templates" / "case.css" if name == "report.css" else folder / name
    body = path.read_bytes()
    return body, f'"{hashlib.sha256(body).hexdigest()[:20]}"'


def _health() -> PlainTextResponse:
    return PlainTextResponse("ok\n")


def _ready(request: Request) -> PlainTextResponse:
    try:
        rooms(request).counts()
    except StoreError:
        return PlainTextResponse("the store cannot be read\n", 503)
    return PlainTextResponse("ready\n")
