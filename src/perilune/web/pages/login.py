"""Logging in and out, and the change of one's password."""

from __future__ import annotations

import hmac
import secrets
from typing import Annotated

from fastapi import APIRouter, Form, HTTPException, Request
from starlette.responses import RedirectResponse, Response

from perilune.errors import UsageError
from perilune.web import look, passwords
from perilune.web.auth import AnyoneUnready, AnyoneUnreadyForm, cookie_name, local_path
from perilune.web.rooms import Rooms, rooms

router = APIRouter(include_in_schema=False)
_ASKED = "perilune_login"  # the cookie that binds a login form to this browser
Field = Annotated[str, Form(max_length=1000)]


@router.get("/login")
def show_login(request: Request, next: str = "") -> Response:
    return _login_page(request, next)


@router.post("/login")
def log_in(request: Request, name: Field = "", password: Field = "", csrf: Field = "", next: Field = "") -> Response:
    held = rooms(request)
    asked = request.cookies.get(_ASKED, "")
    if not asked or not hmac.compare_digest(asked.encode(), csrf.encode()):
        return _login_page(request, next, "The form was out of date. Please try again.", 403)
    address = request.client.host if request.client else ""
    if wait := held.logins.wait(address):
        raise HTTPException(429, "Too many logins from your address.", {"Retry-After": str(int(wait) + 1)})
    if not _is_good(held, name.strip().lower(), password, address):
        return _login_page(request, next, "Name and password do not fit, or the account rests for a while.", 401)
    answer = RedirectResponse(local_path(next), 303)
    _remember(answer, held, held.sessions.open(name.strip().lower(), at=held.now()))
    answer.delete_cookie(_ASKED)
    return answer


@router.post("/logout")
def log_out(request: Request, caller: AnyoneUnreadyForm) -> Response:
    held = rooms(request)
    held.sessions.close(request.cookies[cookie_name(held)], caller.name, at=held.now())
    answer = RedirectResponse("/login", 303)
    answer.delete_cookie(cookie_name(held), secure=held.options.secure, httponly=True, samesite="strict")
    return answer


@router.get("/password")
def show_password(request: Request, caller: AnyoneUnready) -> Response:
    return look.page(request, caller, "password.html.j2", problem="")


@router.post("/password")
def change_password(
    request: Request, caller: AnyoneUnreadyForm, old: Field = "", new: Field = "", again: Field = ""
) -> Response:
    held = rooms(request)
    if not _is_good(held, caller.name, old, "the page for a new password"):
        problem = "The old password is another, or the account rests for a while."
        return look.page(request, caller, "password.html.j2", status=400, problem=problem)
    try:
        passwords.check_new(new, name=caller.name, old=old)
        if new != again:
            raise UsageError("the two new passwords differ")
    except UsageError as error:
        return look.page(request, caller, "password.html.j2", status=400, problem=error.what)
    held.users.set_password(
        caller.name, passwords.hash_password(new), must_change=False, at=held.now(), who=caller.name
    )
    answer = RedirectResponse("/cases?done=password", 303)
    _remember(answer, held, held.sessions.open(caller.name, at=held.now()))
    return answer


def _is_good(held: Rooms, name: str, password: str, address: str) -> bool:
    """Checks and records one login. Every way to fail takes as long and reads the same."""
    may = held.users.begin_try(name, at=held.now())
    user = held.users.find(name) if may else None
    good = passwords.is_password(user.password if user else None, password)
    known = name if user or held.users.find(name) else "unknown"  # a password typed as a name stays out of the log
    held.users.end_try(known, good, at=held.now(), body={"from": address})
    return good


def _remember(answer: Response, held: Rooms, secret: str) -> None:
    answer.set_cookie(
        cookie_name(held), secret, httponly=True, samesite="strict", secure=held.options.secure, path="/"
    )  # fmt: skip


def _login_page(request: Request, next: str, problem: str = "", status: int = 200) -> Response:
    word = secrets.token_hex(32)
    answer = look.page(
        request, None, "login.html.j2", status=status, problem=problem, word=word, next=local_path(next)
    )  # fmt: skip
    answer.set_cookie(
        _ASKED, word, max_age=3600, httponly=True, samesite="strict", secure=rooms(request).options.secure
    )  # fmt: skip
    return answer
