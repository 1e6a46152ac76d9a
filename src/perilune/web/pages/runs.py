"""Runs of playbooks: the plan before, the run while it goes, what people decide, what is taken back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Form, HTTPException, Query, Request
from starlette.datastructures import FormData, QueryParams
from starlette.responses import RedirectResponse, Response

from perilune.errors import ConnectorError, UsageError
from perilune.model.actions import Plan
from perilune.model.case import Case
from perilune.model.roles import Act
from perilune.ports import Connector
from perilune.response.plan import plan_hash
from perilune.store import runlist
from perilune.store.runs import Run
from perilune.web import look, respond, track
from perilune.web.auth import ApproverForm, Caller, Reader, Responder, ResponderForm
from perilune.web.pages.case import load, plain_text
from perilune.web.respond import ENDED, Wish
from perilune.web.rooms import Rooms, rooms

router = APIRouter(include_in_schema=False)
PAGE = 50
_FIELDS_MOST = 50
Word = Annotated[str, Form(max_length=1000)]
Text = Annotated[str, Form(max_length=10_000)]


@router.get("/runs")
def show_runs(
    request: Request, caller: Reader, show: Annotated[str, Query(max_length=20)] = "",
    before: Annotated[int, Query(ge=0, le=10**15)] = 0,
) -> Response:  # fmt: skip
    held = rooms(request)
    found, older = runlist.find_runs(held.database, limit=PAGE, before=before, open_only=show == "open")
    return look.page(request, caller, "runs.html.j2", runs=found, older=older, before=before, show=show)


@router.get("/cases/{case_id}/respond")
def show_plan(request: Request, case_id: str, caller: Responder) -> Response:
    """The form of a run; with `look`, also the dry run of what is filled in."""
    held = rooms(request)
    case = load(held, case_id, caller.name, "plan")
    wish = wish_of(request.query_params)
    made: tuple[Plan, Connector] | None = None
    problem = ""
    if "look" in request.query_params:
        try:
            made = respond.plan(held, case, wish)
        except (UsageError, ConnectorError) as error:
            problem = str(error)
    return _plan_page(request, caller, case, wish, made, problem)


@router.post("/cases/{case_id}/respond")
async def start(request: Request, case_id: str, caller: ResponderForm) -> Response:
    from starlette.concurrency import run_in_threadpool

    held = rooms(request)
    form = await request.form(max_fields=_FIELDS_MOST)
    case = await run_in_threadpool(load, held, case_id, caller.name, "run")
    seen = str(form.get("plan", ""))
    run = await run_in_threadpool(respond.start, held, case, wish_of(form), seen, caller.name)
    return RedirectResponse(f"/runs/{run.id}?done=run", 303)


@router.get("/runs/{run_id}")
def show(request: Request, run_id: str, caller: Reader) -> Response:
    held = rooms(request)
    run = respond.find(held, run_id)
    held.note("run read", {"run": run.id}, caller.name)
    lines, asked = runlist.trail(held.database, run.id), runlist.asked(held.database, run.id)
    decisions = held.office.runs.decisions(run.id)
    found = track.acts_of(run.plan, run.waiting, held.office.runs.results(run.id), lines, asked)
    acts, problem = _described(held, run, found)
    stages = track.stages(run.plan, acts)
    return look.page(
        request, caller, "run.html.j2",
        run=run, acts=acts, stages=stages, layout=track.draw(stages), progress=track.progress(acts),
        lines=lines, decisions=decisions, undecided=track.undecided(run, decisions, held.now()),
        question=respond.question(held, run) if caller.may(Act.RESPOND) else None,
        problem=problem or held.driver.problems.get(run.id, ""), ended=run.status in ENDED,
        mine=caller.name == run.who, seen=runlist.version(held.database, run.id),
        undoings=_undoings(held, run),
    )  # fmt: skip


@router.post("/runs/{run_id}/decide")
def decide(
    request: Request, run_id: str, caller: ApproverForm, plan: Word = "", reason: Text = "", verdict: Word = "",
    action: Annotated[list[int], Form(max_length=1000)] = [],  # noqa: B006 - FastAPI copies it
    hours: Annotated[float, Form(ge=0.01, le=168)] = 8,
) -> Response:  # fmt: skip
    held = rooms(request)
    if verdict not in ("approve", "deny"):
        raise UsageError("a decision is approve or deny")
    run = respond.find(held, run_id)
    respond.decide(
        held, run, who=caller.name, granted=verdict == "approve", reason=plain_text(reason), seen=plan,
        actions=action, hours=hours,
    )  # fmt: skip
    return _back(run, "decided")


@router.post("/runs/{run_id}/answer")
def answer(request: Request, run_id: str, caller: ResponderForm, said: Word = "") -> Response:
    held = rooms(request)
    run = respond.find(held, run_id)
    respond.answer(held, run, said, caller.name)
    return _back(run, "answered")


@router.post("/runs/{run_id}/undo")
def undo(
    request: Request, run_id: str, caller: ResponderForm, reason: Text = "",
    action: Annotated[list[int], Form(max_length=1000)] = [],  # noqa: B006 - FastAPI copies it
) -> Response:  # fmt: skip
    held = rooms(request)
    return _back(respond.undo(held, respond.find(held, run_id), plain_text(reason), caller.name, action), "undo")


@router.post("/runs/{run_id}/cancel")
def cancel(request: Request, run_id: str, caller: ResponderForm, reason: Text = "") -> Response:
    held = rooms(request)
    run = respond.find(held, run_id)
    respond.cancel(held, run, plain_text(reason), caller.name)
    return _back(run, "cancelled")


def wish_of(given: QueryParams | FormData) -> Wish:
    """What a form asks for: `input.NAME` and `answer.NAME` beside playbook and connector."""
    words = {name: value for name, value in given.items() if isinstance(value, str)}
    if len(words) > _FIELDS_MOST or any(len(value) > respond.VALUE_MOST for value in words.values()):
        raise HTTPException(422, "There is too much in this form.")
    return Wish(
        words.get("playbook") or respond.DEFAULT_PLAYBOOK, words.get("connector") or "simulated",
        _named(words, "input."), _named(words, "answer."),
    )  # fmt: skip


def _named(words: Mapping[str, str], prefix: str) -> dict[str, str]:
    return {name.removeprefix(prefix): value for name, value in words.items() if name.startswith(prefix) and value}


def _plan_page(
    request: Request, caller: Caller, case: Case, wish: Wish, made: tuple[Plan, Connector] | None, problem: str
) -> Response:
    held = rooms(request)
    shelf = held.office.shelf()
    try:
        chosen = shelf.find(wish.playbook)
    except UsageError as error:
        problem, chosen = str(error), shelf.find(respond.DEFAULT_PLAYBOOK)
    acts = track.acts_of(made[0], "", {}, [], []) if made else []
    acts = [replace(act, requests=made[1].describe(act.action)) for act in acts] if made else []
    return look.page(
        request, caller, "respond.html.j2",
        case=case, wish=wish, problem=problem, chosen=chosen, playbooks=list(shelf.playbooks.values()),
        connectors=respond.connectors(), plan=made[0] if made else None, hash=plan_hash(made[0]) if made else "",
        acts=acts, inputs=[(n.strip("_"), v) for n, v in chosen.playbook_variables.items() if v.external],
        layout=track.draw(track.stages(made[0], acts)) if made else None,
    )  # fmt: skip


def _described(held: Rooms, run: Run, acts: list[track.Act]) -> tuple[list[track.Act], str]:
    """The acts with the exact requests of each, as the connector would send them now."""
    try:
        connector = held.office.connector(run.connector)
        return [replace(act, requests=connector.describe(act.action)) for act in acts], ""
    except (UsageError, ConnectorError) as error:
        return acts, f"the exact requests cannot be shown: {error}"


def _undoings(held: Rooms, run: Run) -> list[runlist.RunLine]:
    return [one for one in runlist.find_runs(held.database, limit=PAGE, case=run.case)[0] if one.undoes == run.id]


def _back(run: Run, done: str) -> Response:
    return RedirectResponse(f"/runs/{run.id}?done={done}", 303)
