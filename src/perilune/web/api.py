"""The REST API, `/api/v1`: the queue and the cases, in the shapes that `--json` prints, for tokens only."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Body, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import PlainTextResponse, Response

from perilune.cli import output
from perilune.errors import UsageError
from perilune.model.case import Status
from perilune.model.roles import ACTS, Act
from perilune.model.rules import Level
from perilune.store import audit
from perilune.store.cases import Summary
from perilune.store.changes import Change, new_owner, new_status
from perilune.store.queue import Order, Wanted, find_cases
from perilune.store.runlist import count_runs
from perilune.web.auth import TokenReader, TokenWorker
from perilune.web.described import SECURITY, CaseId, problems
from perilune.web.pages.case import COMMENT_MOST, existing_id, load, plain_text
from perilune.web.rooms import rooms

_NO_CASE = problems(404)
CURSOR = r"^([0-9]{1,15}\.[0-9]{1,15})?$"

router = APIRouter(prefix="/api/v1", responses=problems(400, 401, 403, 413, 422, 429), tags=["cases"])
Severity = Literal["informational", "low", "medium", "high", "critical"]


class CaseLine(BaseModel):
    """A case's line in the queue."""

    id: str
    status: Status
    severity: Severity
    score: int
    title: str
    host: str
    users: list[str]
    techniques: list[str]
    findings: int
    owner: str
    first: str | None
    last: str | None
    updated: str


class CaseLines(BaseModel):
    """`next` is the cursor of the following page, null at the end."""

    cases: list[CaseLine]
    next: str | None


class CaseChange(BaseModel):
    """What to change of a case. A closed one says why, in `note`."""

    model_config = ConfigDict(extra="forbid")

    status: Status | None = None
    owner: str | None = Field(None, max_length=63, description="A user's name; empty for nobody.")
    comment: str | None = Field(None, min_length=1, max_length=COMMENT_MOST)
    note: str = Field("", max_length=COMMENT_MOST)


@router.get("/cases", openapi_extra=SECURITY, summary="The queue", operation_id="list_cases")
def list_cases(
    request: Request,
    caller: TokenReader,
    q: Annotated[str, Query(max_length=200, description="Words that all stand in the line.")] = "",
    status: Annotated[list[Status], Query(max_length=3)] = [Status.NEW, Status.OPEN],  # noqa: B006 - FastAPI copies it
    severity: Annotated[Severity, Query(description="This severity and above.")] = "informational",
    owner: Annotated[str, Query(max_length=63, description="A user's name; `-` for cases of nobody.")] = "",
    technique: Annotated[str, Query(max_length=40)] = "",
    order: Order = Order.URGENT,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
    after: Annotated[str, Query(pattern=CURSOR, description="`next` of the page before.")] = "",
) -> CaseLines:
    least = next(one for one in Level if one.word == severity)
    wanted = Wanted(tuple(status), least, owner, technique, q, order)
    page = find_cases(rooms(request).database, wanted, limit=limit, after=after)
    return CaseLines(cases=[_line(one) for one in page.cases], next=page.after or None)


@router.get(
    "/cases/{case_id}", openapi_extra=SECURITY, summary="One case, whole", operation_id="get_case",
    response_class=Response,
    responses=_NO_CASE | {
        200: {"description": "As `perilune case show --json`.",
              "content": {"application/json": {"schema": {"type": "object", "required": ["case"]}}}},
    },
)  # fmt: skip
def get_case(request: Request, case_id: CaseId, caller: TokenReader) -> Response:
    case = load(rooms(request), case_id, caller.name, "api")
    return _json({"case": output.case_object(case, whole=True)})


@router.patch(
    "/cases/{case_id}", openapi_extra=SECURITY, summary="Change a case", operation_id="change_case",
    responses=_NO_CASE,
)  # fmt: skip
def change_case(
    request: Request, case_id: CaseId, caller: TokenWorker, change: Annotated[CaseChange, Body()]
) -> CaseLine:
    held = rooms(request)
    id = existing_id(held, case_id)
    note = plain_text(change.note)
    if change.status is Status.CLOSED and not note:
        raise UsageError("say in `note` why the case is closed")
    if change.owner:
        user = held.users.find(change.owner)
        if user is None or user.disabled or Act.WORK not in ACTS[user.role]:
            raise UsageError("there is nobody of this name who works on cases")
    changes = [new_owner(change.owner)] if change.owner is not None else []
    if change.comment is not None and (words := plain_text(change.comment)):
        changes.append(Change("comment", {"text": words}))
    if change.status is not None:
        changes.append(new_status(change.status, {"note": note} if note else {}))
    return _line(held.cases.change(id, *changes, at=held.now(), who=caller.name, through="api"))


@router.get(
    "/metrics", openapi_extra=SECURITY, summary="Prometheus metrics", operation_id="metrics",
    response_class=PlainTextResponse,
)  # fmt: skip
def metrics(request: Request, caller: TokenReader) -> PlainTextResponse:
    held = rooms(request)
    cases = {f'status="{s.value}",severity="{one.word}"': n for (s, one), n in sorted(held.counts().items())}
    runs = {f'status="{status}"': number for status, number in sorted(count_runs(held.database).items())}
    jobs = {f'state="{state}"': number for state, number in sorted(held.crew.store.counts().items())}
    lines = [
        *_gauge("perilune_cases", "Stored cases.", cases),
        *_gauge("perilune_runs", "Runs of playbooks.", runs),
        *_gauge("perilune_jobs", "Hunts and queries asked for.", jobs),
        *_gauge("perilune_runs_awaiting_approval", "Runs that wait for somebody.", {"": held.waiting()}),
        *_gauge("perilune_runs_stuck", "Runs that this process could not drive.", {"": len(held.driver.problems)}),
        *_gauge("perilune_audit_lines", "Lines of the audit log.", {"": audit.head(held.database)[0]}),
    ]
    return PlainTextResponse("\n".join(lines) + "\n", media_type="text/plain; version=0.0.4")


def _gauge(name: str, about: str, values: Mapping[str, int]) -> list[str]:
    lines = [f"{name}{{{labels}}} {value}" if labels else f"{name} {value}" for labels, value in values.items()]
    return [f"# HELP {name} {about}", f"# TYPE {name} gauge", *lines]


def describe(plain: Callable[[], dict[str, Any]]) -> Callable[[], dict[str, Any]]:
    """The OpenAPI document with the token in it, which FastAPI cannot see in our own check."""

    def described() -> dict[str, Any]:
        found = plain()
        scheme = {"type": "http", "scheme": "bearer", "description": "A token of the console's page Tokens."}
        found.setdefault("components", {})["securitySchemes"] = {"token": scheme}
        return found

    return described


def _line(one: Summary) -> CaseLine:
    return CaseLine(
        id=one.id,
        status=one.status,
        severity=one.level.word,  # type: ignore[arg-type]
        score=one.score,
        title=one.title,
        host=one.host,
        users=list(one.users),
        techniques=list(one.techniques),
        findings=one.findings,
        owner=one.owner,
        first=one.first,
        last=one.last,
        updated=one.updated,
    )


def _json(value: dict[str, object]) -> Response:
    return Response(output.dump(value, indent=False), media_type="application/json")
