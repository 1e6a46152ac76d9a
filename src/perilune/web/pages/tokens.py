"""A user's own tokens for the API."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Form, Request
from starlette.responses import RedirectResponse, Response

from perilune.errors import UsageError
from perilune.model.roles import Act
from perilune.web import look
from perilune.web.auth import Anyone, AnyoneForm, Caller
from perilune.web.problems import not_found
from perilune.web.rooms import rooms

router = APIRouter(include_in_schema=False)
OFFERED = (Act.READ, Act.WORK, Act.RESPOND, Act.APPROVE, Act.AUDIT)  # the acts that the API has
Word = Annotated[str, Form(max_length=100)]


@router.get("/tokens")
def show(request: Request, caller: Anyone) -> Response:
    return _page(request, caller)


@router.post("/tokens")
def make(
    request: Request,
    caller: AnyoneForm,
    scope: Annotated[list[str], Form(max_length=10)] = [],  # noqa: B006 - FastAPI copies it
    name: Word = "",
    days: Annotated[int, Form(ge=1, le=365)] = 30,
) -> Response:
    held = rooms(request)
    chosen = [act for act in OFFERED if act.value in scope and caller.may(act)]
    if not chosen or not name.strip():
        raise UsageError("a token has a name and at least one scope that your role allows")
    made = held.sessions.make_token(caller.name, name.strip(), chosen, at=held.now(), lasts=timedelta(days=days))
    if made is None:
        raise UsageError("you have too many tokens", hint="revoke one that nobody uses")
    return _page(request, caller, made[0])


@router.post("/tokens/{number}")
def revoke(request: Request, caller: AnyoneForm, number: int) -> Response:
    held = rooms(request)
    if not held.sessions.revoke(number, caller.name, at=held.now()):
        raise not_found("You have no such token.")
    return RedirectResponse("/tokens?done=token", 303)


def _page(request: Request, caller: Caller, secret: str = "") -> Response:
    """`secret`: of a token just made, shown this once."""
    tokens = rooms(request).sessions.tokens(caller.name)
    offered = [act for act in OFFERED if caller.may(act)]
    return look.page(request, caller, "tokens.html.j2", tokens=tokens, offered=offered, secret=secret)
