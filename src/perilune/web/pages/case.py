"""One case: everything that is known, and what people may do with it."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from perilune import __version__
from perilune.errors import StoreError, UsageError
from perilune.model.case import Case, Status
from perilune.model.roles import ACTS, Act
from perilune.report import html, markdown
from perilune.report.text import visible
from perilune.store.runlist import find_runs
from perilune.triage import guides
from perilune.web import look
from perilune.web.auth import Reader, WorkerForm, local_path
from perilune.web.frames import frame
from perilune.web.problems import not_found
from perilune.web.rooms import Rooms, rooms

router = APIRouter(include_in_schema=False)
COMMENT_MOST = 10_000
RUNS_MOST = 20
Text = Annotated[str, Form(max_length=COMMENT_MOST)]
Word = Annotated[str, Form(max_length=1000)]


def load(held: Rooms, case_id: str, who: str, how: str) -> Case:
    """A case, its reading noted in the audit log."""
    try:
        found = held.cases.load(case_id)
    except StoreError as error:
        raise not_found(error.what) from None
    held.note("case read", {"case": found.id, "as": how}, who)
    return found


@router.get("/cases/{case_id}")
def show(request: Request, case_id: str, caller: Reader, more: bool = False) -> Response:
    held = rooms(request)
    line = held.cases.summary(existing_id(held, case_id))
    held.note("case read", {"case": line.id, "as": "page"}, caller.name)
    found = frame(held, line.id, more)
    bar = look.fragment(request, caller, "bar.html.j2")
    acts = look.fragment(
        request, caller, "case_acts.html.j2",
        case=line, owner=line.owner, runs=find_runs(held.database, limit=RUNS_MOST, case=line.id)[0],
        people=[one.name for one in held.users.all() if not one.disabled and Act.WORK in ACTS[one.role]],
    )  # fmt: skip
    return HTMLResponse("".join((found.before, bar, found.between, acts, found.after)))


@router.get("/cases/{case_id}/report.{kind}")
def report(request: Request, case_id: str, kind: str, caller: Reader) -> Response:
    """The whole report as a file, the same as `perilune report` writes."""
    if kind not in ("html", "md"):
        raise not_found("Reports are report.html and report.md.")
    held = rooms(request)
    case = load(held, case_id, caller.name, f"report.{kind}")
    text = (html if kind == "html" else markdown).render(
        case,
        generated=held.now(),
        version=__version__,
        sources=case.sources,
        explained=case.explained,
        guide=guides.render(case) if case.findings else None,
    )
    return Response(
        text.encode("utf-8", "replace"),
        media_type="text/html" if kind == "html" else "text/markdown",
        headers={"Content-Disposition": f'attachment; filename="{case.id}.{kind}"'},
    )


@router.post("/cases/{case_id}/status")
def set_status(
    request: Request, case_id: str, caller: WorkerForm, status: Word = "", note: Text = "", next: Word = ""
) -> Response:
    held = rooms(request)
    if status not in set(Status):
        raise UsageError("a status is new, open or closed")
    note = plain_text(note)
    if status == Status.CLOSED and not note:
        raise UsageError("say in a word why the case is closed")
    id = existing_id(held, case_id)
    held.cases.set_status(id, Status(status), {"note": note} if note else {}, at=held.now(), who=caller.name)
    return _back(id, next, "status")


@router.post("/cases/{case_id}/owner")
def set_owner(request: Request, case_id: str, caller: WorkerForm, owner: Word = "", next: Word = "") -> Response:
    """Gives the case to a person: `-` to nobody, empty to oneself."""
    held = rooms(request)
    name = "" if owner == "-" else owner or caller.name
    user = held.users.find(name) if name else None
    if name and (user is None or user.disabled or Act.WORK not in ACTS[user.role]):
        raise UsageError("there is nobody of this name who works on cases")
    id = existing_id(held, case_id)
    held.cases.set_owner(id, name, at=held.now(), who=caller.name)
    return _back(id, next, "owner")


@router.post("/cases/{case_id}/comment")
def comment(request: Request, case_id: str, caller: WorkerForm, text: Text = "") -> Response:
    held = rooms(request)
    if not (words := plain_text(text)):
        raise UsageError("the comment is empty")
    id = existing_id(held, case_id)
    held.cases.append(id, "comment", {"text": words}, at=held.now(), who=caller.name)
    return _back(id, "", "comment")


@router.post("/cases/{case_id}/feedback")
def feedback(request: Request, case_id: str, caller: WorkerForm, verdict: Word = "", note: Text = "") -> Response:
    held = rooms(request)
    if verdict not in ("true", "false"):
        raise UsageError("a case is a true or a false positive")
    case = load(held, case_id, caller.name, "feedback")
    rules = list(dict.fromkeys(finding.rule_id for finding in case.findings))
    body = {"true": verdict == "true", "rules": rules, "note": plain_text(note)}
    held.cases.append(case.id, "feedback", body, at=held.now(), who=caller.name)
    return _back(case.id, "", "feedback")


def existing_id(held: Rooms, case_id: str) -> str:
    """The id as the store writes it, of a case that is there."""
    try:
        return held.cases.summary(case_id).id
    except StoreError as error:
        raise not_found(error.what) from None


def plain_text(raw: str) -> str:
    """What a person wrote: hidden characters written out, line breaks kept."""
    lines = raw.replace("\r\n", "\n").strip().split("\n")
    return "\n".join(visible(line.replace("\t", "    ")) for line in lines)


def _back(id: str, next: str, done: str) -> Response:
    where = local_path(next) if next else f"/cases/{id}"
    return RedirectResponse(f"{where}{'&' if '?' in where else '?'}done={done}", 303)
