"""The API of playbooks and their runs: plan, begin, decide, answer, take back, cancel; by the rules of the pages."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Body, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from perilune.cli import responding
from perilune.store import runlist
from perilune.store.runs import Run
from perilune.web import respond
from perilune.web.auth import TokenApprover, TokenReader, TokenResponder
from perilune.web.described import SECURITY, CaseId, RunId, objects, problems
from perilune.web.once import Key, answer, once
from perilune.web.pages.case import load, plain_text
from perilune.web.respond import Wish
from perilune.web.rooms import Rooms, rooms

router = APIRouter(prefix="/api/v1", responses=problems(400, 401, 403, 413, 422, 429), tags=["runs"])
Word = Annotated[str, Field(max_length=200)]
Value = Annotated[str, Field(max_length=respond.VALUE_MOST)]
Number = Annotated[int, Field(ge=1, le=100_000)]


class PlanWish(BaseModel):
    """What a run is to be."""

    model_config = ConfigDict(extra="forbid")

    playbook: Word = Field(respond.DEFAULT_PLAYBOOK, description="Its name, its id, or the beginning of its name.")
    connector: Word = "simulated"
    inputs: dict[Word, Value] = Field(default_factory=dict, max_length=50)
    answers: dict[Word, Value] = Field(default_factory=dict, max_length=50)

    def wish(self) -> Wish:
        return Wish(self.playbook, self.connector, self.inputs, self.answers)


class RunWish(PlanWish):
    """`plan`: the hash of the plan that was looked at. Where it would be another now, nothing is begun (409)."""

    plan: str = Field(pattern=r"^[0-9a-fA-F]{64}$")


class Verdict(BaseModel):
    """A person's decision about exactly the plan with this hash; without `actions`, about all of them."""

    model_config = ConfigDict(extra="forbid")

    plan: str = Field(pattern=r"^[0-9a-fA-F]{64}$")
    granted: bool
    reason: str = Field(min_length=1, max_length=10_000)
    actions: list[Number] = Field(default_factory=list, max_length=1000)
    hours: float = Field(8, ge=0.01, le=168, description="How long it holds.")


class Reply(BaseModel):
    model_config = ConfigDict(extra="forbid")

    answer: str = Field(max_length=200)


class Reason(BaseModel):
    model_config = ConfigDict(extra="forbid")

    reason: str = Field(min_length=1, max_length=10_000)


class Undo(Reason):
    actions: list[Number] = Field(default_factory=list, max_length=1000)


@router.get(
    "/playbooks", openapi_extra=SECURITY, summary="The playbooks that can be run", operation_id="list_playbooks",
    response_class=Response, responses=objects("As `perilune playbook list --json`.", "playbooks", "broken"),
)  # fmt: skip
def list_playbooks(request: Request, caller: TokenReader) -> Response:
    shelf = rooms(request).office.shelf()
    found = [
        {"id": one.id, "name": one.name, "description": one.description, "sha256": shelf.documents[one.id].sha256,
         "inputs": [n.strip("_") for n, v in one.playbook_variables.items() if v.external]}
        for one in shelf.playbooks.values()
    ]  # fmt: skip
    return answer({"playbooks": found, "broken": list(shelf.broken)})


@router.post(
    "/cases/{case_id}/plan", openapi_extra=SECURITY, summary="A dry run", operation_id="plan_response",
    response_class=Response,
    responses=problems(404, 502) | objects("As `perilune respond --dry-run --json`.", "dry_run", "plan"),
)  # fmt: skip
def plan(request: Request, case_id: CaseId, caller: TokenResponder, wish: Annotated[PlanWish, Body()]) -> Response:
    held = rooms(request)
    case = load(held, case_id, caller.name, "api plan")
    made, used = respond.plan(held, case, wish.wish())
    return answer({"dry_run": True, "plan": responding.plan_object(made, used)})


@router.post(
    "/cases/{case_id}/runs", openapi_extra=SECURITY, summary="Begin a run", operation_id="begin_run",
    response_class=Response, status_code=201,
    responses=problems(404, 409, 502) | objects("The run.", "run", status=201),
)  # fmt: skip
def begin(
    request: Request, case_id: CaseId, caller: TokenResponder, wish: Annotated[RunWish, Body()], key: Key = ""
) -> Response:
    held = rooms(request)
    case = load(held, case_id, caller.name, "api run")
    return once(
        request, caller, key, wish.model_dump(),
        lambda: _run(held, respond.start(held, case, wish.wish(), wish.plan, caller.name)), 201,
    )  # fmt: skip


@router.get(
    "/runs", openapi_extra=SECURITY, summary="Runs, the newest first", operation_id="list_runs",
    response_class=Response, responses=objects("`next` is the cursor of the following page.", "runs", "next"),
)  # fmt: skip
def list_runs(
    request: Request,
    caller: TokenReader,
    open: Annotated[bool, Query(description="Only those that are not at their end.")] = False,
    case: Annotated[str, Query(pattern=r"^(C-[0-9]{1,15})?$")] = "",
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
    after: Annotated[str, Query(pattern=r"^([0-9]{1,15})?$", description="`next` of the page before.")] = "",
) -> Response:
    database = rooms(request).database
    found, older = runlist.find_runs(database, limit=limit, before=int(after or 0), case=case, open_only=open)
    return answer({"runs": found, "next": str(older) if older else None})


@router.get(
    "/runs/{run_id}", openapi_extra=SECURITY, summary="One run with its plan and results", operation_id="get_run",
    response_class=Response, responses=problems(404) | objects("As `perilune runs show --json`.", "run"),
)  # fmt: skip
def get_run(request: Request, run_id: RunId, caller: TokenReader) -> Response:
    held = rooms(request)
    run = respond.find(held, run_id)
    held.note("run read", {"run": run.id, "as": "api"}, caller.name)
    return answer(_run(held, run))


@router.post(
    "/runs/{run_id}/decisions", openapi_extra=SECURITY, summary="Approve or deny", operation_id="decide_run",
    response_class=Response, responses=problems(404, 409) | objects("The run.", "run"),
)  # fmt: skip
def decide(
    request: Request, run_id: RunId, caller: TokenApprover, said: Annotated[Verdict, Body()], key: Key = ""
) -> Response:
    held = rooms(request)
    run = respond.find(held, run_id)

    def act() -> dict[str, object]:
        respond.decide(
            held, run, who=caller.name, granted=said.granted, reason=plain_text(said.reason), seen=said.plan,
            actions=said.actions, hours=said.hours,
        )  # fmt: skip
        return _run(held, respond.find(held, run_id))

    return once(request, caller, key, said.model_dump(), act)


@router.post(
    "/runs/{run_id}/answers", openapi_extra=SECURITY, summary="Answer what a run asks", operation_id="answer_run",
    response_class=Response, responses=problems(404) | objects("The run.", "run"),
)  # fmt: skip
def reply(request: Request, run_id: RunId, caller: TokenResponder, said: Annotated[Reply, Body()]) -> Response:
    held = rooms(request)
    respond.answer(held, respond.find(held, run_id), said.answer, caller.name)
    return answer(_run(held, respond.find(held, run_id)))


@router.post(
    "/runs/{run_id}/undo", openapi_extra=SECURITY, summary="Take back what a run did", operation_id="undo_run",
    response_class=Response, status_code=201,
    responses=problems(404, 502) | objects("The run that takes it back.", "run", status=201),
)  # fmt: skip
def undo(
    request: Request, run_id: RunId, caller: TokenResponder, wish: Annotated[Undo, Body()], key: Key = ""
) -> Response:
    held = rooms(request)
    run = respond.find(held, run_id)
    return once(
        request, caller, key, wish.model_dump(),
        lambda: _run(held, respond.undo(held, run, plain_text(wish.reason), caller.name, wish.actions)), 201,
    )  # fmt: skip


@router.post(
    "/runs/{run_id}/cancel", openapi_extra=SECURITY, summary="End a run where it is", operation_id="cancel_run",
    response_class=Response, responses=problems(404) | objects("The run.", "run"),
)  # fmt: skip
def cancel(request: Request, run_id: RunId, caller: TokenResponder, wish: Annotated[Reason, Body()]) -> Response:
    held = rooms(request)
    respond.cancel(held, respond.find(held, run_id), plain_text(wish.reason), caller.name)
    return answer(_run(held, respond.find(held, run_id)))


def _run(held: Rooms, run: Run) -> dict[str, object]:
    return {"run": responding.run_object(run, held.office.runs.results(run.id))}
