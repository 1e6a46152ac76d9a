"""Who is asking, and whether they may: sessions for pages, tokens for the API. Every route names its `Act` here.

No `from __future__ import annotations`: FastAPI reads the annotations of these callables as they are.
"""

import hmac
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import quote

from fastapi import Depends, Form, Header, HTTPException, Request
from starlette.concurrency import run_in_threadpool

from perilune.model.roles import ACTS, Act
from perilune.store.users import User
from perilune.web.rooms import Rooms, rooms

FILES_MOST = 20  # of one upload
FIELD_MOST = 256 * 1024


@dataclass(frozen=True, slots=True)
class Caller:
    """A user, what they may do in this request, and the word that their forms must carry."""

    user: User
    acts: frozenset[Act]
    csrf: str = ""

    @property
    def name(self) -> str:
        return self.user.name

    def may(self, act: Act) -> bool:
        return act in self.acts


def cookie_name(held: Rooms) -> str:
    """`__Host-` binds the cookie to this host and to TLS; a browser refuses it without."""
    return "__Host-perilune" if held.options.secure else "perilune"


class Allow:
    """A page for those who may `act`; any user who is logged in where it is None."""

    def __init__(self, act: Act | None, *, fresh: bool = True) -> None:
        self.act = act
        self.fresh = fresh  # whether a one-time password must have been changed

    def __call__(self, request: Request) -> Caller:
        held = rooms(request)
        secret = request.cookies.get(cookie_name(held), "")
        session = held.sessions.find(secret, at=held.now()) if secret else None
        user = held.users.find(session.user) if session else None
        if session is None or user is None or user.disabled:
            raise _go(_login(request))
        if user.must_change and self.fresh:
            raise _go("/password")
        _count(held, user)
        caller = Caller(user, ACTS[user.role], session.csrf)
        _check(caller, self.act)
        return caller


class AllowForm(Allow):
    """The same for a form, which must carry the session's word."""

    def __call__(self, request: Request, csrf: Annotated[str, Form(max_length=200)] = "") -> Caller:
        caller = super().__call__(request)
        if not hmac.compare_digest(csrf.encode(), caller.csrf.encode()):
            raise HTTPException(403, "This form is out of date. Go back, load the page again and repeat.")
        return caller


class AllowUpload(Allow):
    """A form with files. Who asks is looked at before a byte of the body is read, the session's word before any use."""

    async def __call__(self, request: Request) -> AsyncIterator[Caller]:  # type: ignore[override]
        caller = await run_in_threadpool(super().__call__, request)
        async with request.form(max_files=FILES_MOST, max_fields=20, max_part_size=FIELD_MOST) as form:
            if not hmac.compare_digest(str(form.get("csrf", "")).encode(), caller.csrf.encode()):
                raise HTTPException(403, "This form is out of date. Go back, load the page again and repeat.")
            yield caller


class AllowToken:
    """An API call with a token whose scopes and whose user allow the act. Cookies count for nothing here."""

    def __init__(self, act: Act) -> None:
        self.act = act

    def __call__(self, request: Request, authorization: Annotated[str, Header(include_in_schema=False)] = "") -> Caller:
        held = rooms(request)
        kind, _, secret = authorization.partition(" ")
        token = held.sessions.find_token(secret.strip(), at=held.now()) if kind.lower() == "bearer" else None
        user = held.users.find(token.user) if token else None
        if token is None or user is None or user.disabled or user.must_change:
            raise HTTPException(401, "a valid API token is needed", {"WWW-Authenticate": "Bearer"})
        _count(held, user)
        caller = Caller(user, ACTS[user.role] & token.scopes)
        _check(caller, self.act)
        return caller


def _check(caller: Caller, act: Act | None) -> None:
    if act is not None and not caller.may(act):
        raise HTTPException(403, f"Your role does not allow this ({act.value}).")


def _count(held: Rooms, user: User) -> None:
    if wait := held.asks.wait(user.name):
        raise HTTPException(429, "Too many requests.", {"Retry-After": str(int(wait) + 1)})


def _login(request: Request) -> str:
    if request.method != "GET":
        return "/login"
    path = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    return "/login" if path == "/" else f"/login?next={quote(path, safe='')}"


def _go(where: str) -> HTTPException:
    return HTTPException(303, headers={"Location": where})


def local_path(wanted: str) -> str:
    """A path of this console, or the queue: nobody is sent elsewhere by a link to the login."""
    safe = wanted.startswith("/") and not wanted.startswith(("//", "/\\")) and wanted.isprintable()
    return wanted if safe and "\\" not in wanted and len(wanted) < 1000 else "/cases"


Anyone = Annotated[Caller, Depends(Allow(None))]
AnyoneUnready = Annotated[Caller, Depends(Allow(None, fresh=False))]
AnyoneForm = Annotated[Caller, Depends(AllowForm(None))]
AnyoneUnreadyForm = Annotated[Caller, Depends(AllowForm(None, fresh=False))]
Reader = Annotated[Caller, Depends(Allow(Act.READ))]
WorkerForm = Annotated[Caller, Depends(AllowForm(Act.WORK))]
Responder = Annotated[Caller, Depends(Allow(Act.RESPOND))]
ResponderForm = Annotated[Caller, Depends(AllowForm(Act.RESPOND))]
ApproverForm = Annotated[Caller, Depends(AllowForm(Act.APPROVE))]
Worker = Annotated[Caller, Depends(Allow(Act.WORK))]
Uploader = Annotated[Caller, Depends(AllowUpload(Act.WORK))]
Auditor = Annotated[Caller, Depends(Allow(Act.AUDIT))]
Administrator = Annotated[Caller, Depends(Allow(Act.ADMINISTER))]
AdministratorForm = Annotated[Caller, Depends(AllowForm(Act.ADMINISTER))]
TokenReader = Annotated[Caller, Depends(AllowToken(Act.READ))]
TokenWorker = Annotated[Caller, Depends(AllowToken(Act.WORK))]
TokenResponder = Annotated[Caller, Depends(AllowToken(Act.RESPOND))]
TokenApprover = Annotated[Caller, Depends(AllowToken(Act.APPROVE))]
TokenAuditor = Annotated[Caller, Depends(AllowToken(Act.AUDIT))]
