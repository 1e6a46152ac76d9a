"""Users and their roles, for admins."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Request
from starlette.responses import RedirectResponse, Response

from perilune.errors import UsageError
from perilune.model.roles import Role
from perilune.web import look, passwords
from perilune.web.auth import Administrator, AdministratorForm, Caller
from perilune.web.problems import not_found
from perilune.web.rooms import rooms

router = APIRouter(include_in_schema=False)
Word = Annotated[str, Form(max_length=200)]


@router.get("/users")
def show(request: Request, caller: Administrator) -> Response:
    return _page(request, caller)


@router.post("/users")
def create(request: Request, caller: AdministratorForm, name: Word = "", role: Word = "") -> Response:
    held = rooms(request)
    password = passwords.make_password()
    made = held.users.create(
        name.strip().lower(), _role(role), passwords.hash_password(password), at=held.now(), who=caller.name
    )
    return _page(request, caller, made.name, password)


@router.post("/users/{name}")
def change(request: Request, caller: AdministratorForm, name: str, act: Word = "", role: Word = "") -> Response:
    held = rooms(request)
    if held.users.find(name) is None:
        raise not_found("There is no such user.")
    if act == "password":
        password = passwords.make_password()
        hashed = passwords.hash_password(password)
        held.users.set_password(name, hashed, must_change=True, at=held.now(), who=caller.name)
        return _page(request, caller, name, password)
    if act == "role":
        held.users.set_role(name, _role(role), at=held.now(), who=caller.name)
    elif act in ("enable", "disable"):
        held.users.set_disabled(name, act == "disable", at=held.now(), who=caller.name)
    else:
        raise UsageError("what to change is role, password, enable or disable")
    return RedirectResponse("/users?done=user", 303)


def _page(request: Request, caller: Caller, told: str = "", password: str = "") -> Response:
    """`password`: a one-time password, shown this once for the user `told`."""
    return look.page(
        request, caller, "users.html.j2", users=rooms(request).users.all(), roles=tuple(Role), told=told,
        password=password,
    )  # fmt: skip


def _role(word: str) -> Role:
    if word not in set(Role):
        raise UsageError(f"a role is one of {', '.join(Role)}")
    return Role(word)
