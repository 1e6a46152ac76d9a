"""Hunting at the console: upload or choose, ask in KQL, see what came of it, keep a query as a hunt."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.responses import JSONResponse, RedirectResponse, Response

from perilune.cli.output import dump
from perilune.errors import UsageError
from perilune.model.rules import Level
from perilune.store.jobs import ENDED
from perilune.web import jobs, look
from perilune.web.auth import Caller, Reader, Uploader, Worker, WorkerForm
from perilune.web.jobs import Draft
from perilune.web.problems import not_found
from perilune.web.rooms import rooms

router = APIRouter(include_in_schema=False)
PAGE = 30
ROWS = 200  # of a result on the page
CELL = 300
Word = Annotated[str, Form(max_length=1000)]
Text = Annotated[str, Form(max_length=jobs.QUERY_MOST)]
EXAMPLE = """DeviceProcessEvents
| where FileName startswith "lua" or InitiatingProcessFileName startswith "lua"
| project Timestamp, DeviceName, AccountName, FileName, ProcessCommandLine, InitiatingProcessFileName
| top 100 by Timestamp desc"""


@router.get("/hunts")
def show(request: Request, caller: Reader, before: Annotated[int, Query(ge=0, le=10**15)] = 0) -> Response:
    held = rooms(request)
    found = held.crew.store.jobs(limit=PAGE + 1, before=before)
    older = int(found[PAGE - 1].id[2:]) if len(found) > PAGE else 0
    return look.page(
        request, caller, "hunts.html.j2", jobs=found[:PAGE], older=older, before=before, sources=jobs.sources(held),
        most=held.options.upload_most,
    )  # fmt: skip


@router.post("/hunts")
async def begin(request: Request, caller: Uploader) -> Response:
    held = rooms(request)
    form = await request.form()
    files = [one for one in form.getlist("files") if isinstance(one, UploadFile) and one.filename]
    source = str(form.get("source", ""))
    if files:
        job = await run_in_threadpool(jobs.upload, held, files, caller.name)
    else:
        job = await run_in_threadpool(jobs.begin, held, "hunt", source, caller.name)
    return RedirectResponse(f"/jobs/{job.id}?done=job", 303)


@router.get("/kql")
def editor(
    request: Request, caller: Worker, source: Annotated[str, Query(max_length=200)] = "",
    query: Annotated[str, Query(max_length=4000)] = "",
) -> Response:  # fmt: skip
    return _editor(request, caller, query or EXAMPLE, source)


@router.post("/kql")
def ask(request: Request, caller: WorkerForm, query: Text = "", source: Word = "") -> Response:
    held = rooms(request)
    try:
        job = jobs.begin(held, "query", source, caller.name, query)
    except UsageError as error:
        return _editor(request, caller, query, source, error.what)
    return RedirectResponse(f"/jobs/{job.id}?done=job", 303)


@router.get("/kql/words")
def words(request: Request, caller: Worker) -> Response:
    return JSONResponse(jobs.words(), headers={"Cache-Control": "private, max-age=3600"})


@router.get("/jobs/{job_id}")
def show_job(request: Request, job_id: str, caller: Reader) -> Response:
    held = rooms(request)
    job = jobs.find(held, job_id)
    held.note("job read", {"job": job.id}, caller.name)
    return look.page(
        request, caller, "job.html.j2", job=job, ended=job.state in ENDED, rows=ROWS, cell_most=CELL,
        levels=tuple(reversed(Level)), held_files=any(one.id == job.id for one in held.crew.uploads()),
        sources=jobs.sources(held),
    )  # fmt: skip


@router.get("/jobs/{job_id}/result.json")
def result(request: Request, job_id: str, caller: Reader) -> Response:
    held = rooms(request)
    job = jobs.find(held, job_id)
    if job.state != "ready":
        raise not_found("There is no result yet.")
    held.note("job read", {"job": job.id, "as": "result.json"}, caller.name)
    name = {"Content-Disposition": f'attachment; filename="{job.id}.json"'}
    return Response(dump(job.result), media_type="application/json", headers=name)


@router.post("/jobs/{job_id}/remove")
def remove(request: Request, job_id: str, caller: WorkerForm) -> Response:
    held = rooms(request)
    jobs.remove(held, jobs.find(held, job_id), caller.name)
    return RedirectResponse("/hunts?done=removed", 303)


@router.post("/jobs/{job_id}/save")
def save(
    request: Request, job_id: str, caller: WorkerForm, title: Word = "", severity: Word = "", techniques: Word = "",
    description: Word = "",
) -> Response:  # fmt: skip
    held = rooms(request)
    job = jobs.find(held, job_id)
    if job.kind != "query":
        raise UsageError("only a query can be saved as a hunt")
    draft = Draft(str(job.body.get("query", "")), title, severity, techniques, description)
    jobs.save(held, draft, caller.name)
    return RedirectResponse(f"/jobs/{job.id}?done=saved", 303)


def _editor(request: Request, caller: Caller, query: str, source: str, problem: str = "") -> Response:
    held = rooms(request)
    return look.page(
        request, caller, "kql.html.j2", status=400 if problem else 200, query=query, source=source, problem=problem,
        sources=jobs.sources(held), words=jobs.words(), most=jobs.QUERY_MOST,
    )  # fmt: skip
