"""The API of hunts and queries: begun, looked at again until they are done. The same jobs as on the pages."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Body, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from perilune.store.jobs import Job
from perilune.web import jobs
from perilune.web.auth import TokenReader, TokenWorker
from perilune.web.described import SECURITY, JobId, objects, problems
from perilune.web.once import Key, answer, once
from perilune.web.rooms import rooms

router = APIRouter(prefix="/api/v1", responses=problems(400, 401, 403, 413, 422, 429), tags=["hunts"])


class HuntWish(BaseModel):
    """`source`: one of those that `GET /sources` lists."""

    model_config = ConfigDict(extra="forbid")

    source: str = Field(max_length=200)


class QueryWish(HuntWish):
    query: str = Field(min_length=1, max_length=jobs.QUERY_MOST, description="KQL over our tables.")


@router.get(
    "/sources", openapi_extra=SECURITY, summary="What can be hunted in", operation_id="list_sources",
    response_class=Response, responses=objects("By name.", "sources"),
)  # fmt: skip
def list_sources(request: Request, caller: TokenReader) -> Response:
    return answer({"sources": [{"name": name, "about": words} for name, words in jobs.sources(rooms(request))]})


@router.post(
    "/hunts", openapi_extra=SECURITY, summary="Hunt in a source", operation_id="begin_hunt",
    response_class=Response, status_code=202, responses=problems(409) | objects("The job.", "job", status=202),
)  # fmt: skip
def hunt(request: Request, caller: TokenWorker, wish: Annotated[HuntWish, Body()], key: Key = "") -> Response:
    held = rooms(request)
    return once(
        request, caller, key, wish.model_dump(),
        lambda: job_object(jobs.begin(held, "hunt", wish.source, caller.name)), 202,
    )  # fmt: skip


@router.post(
    "/queries", openapi_extra=SECURITY, summary="Ask a source in KQL", operation_id="begin_query",
    response_class=Response, status_code=202, responses=problems(409) | objects("The job.", "job", status=202),
)  # fmt: skip
def query(request: Request, caller: TokenWorker, wish: Annotated[QueryWish, Body()], key: Key = "") -> Response:
    held = rooms(request)
    return once(
        request, caller, key, wish.model_dump(),
        lambda: job_object(jobs.begin(held, "query", wish.source, caller.name, wish.query)), 202,
    )  # fmt: skip


@router.get(
    "/jobs", openapi_extra=SECURITY, summary="Hunts and queries, the newest first", operation_id="list_jobs",
    response_class=Response, responses=objects("Without results; `next` is the cursor.", "jobs", "next"),
)  # fmt: skip
def list_jobs(
    request: Request, caller: TokenReader, limit: Annotated[int, Query(ge=1, le=200)] = 50,
    after: Annotated[str, Query(pattern=r"^([0-9]{1,15})?$", description="`next` of the page before.")] = "",
) -> Response:  # fmt: skip
    found = rooms(request).crew.store.jobs(limit=limit + 1, before=int(after or 0))
    following = found[limit - 1].id[2:] if len(found) > limit else None
    return answer({"jobs": [_line(one) for one in found[:limit]], "next": following})


@router.get(
    "/jobs/{job_id}", openapi_extra=SECURITY, summary="One hunt or query with its result", operation_id="get_job",
    response_class=Response, responses=problems(404) | objects("`state` is ready or failed at its end.", "job"),
)  # fmt: skip
def get_job(request: Request, job_id: JobId, caller: TokenReader) -> Response:
    held = rooms(request)
    job = jobs.find(held, job_id)
    held.note("job read", {"job": job.id, "as": "api"}, caller.name)
    return answer(job_object(job))


def job_object(job: Job) -> dict[str, object]:
    return {"job": {**_line(job), "body": job.body, "result": job.result}}


def _line(job: Job) -> dict[str, object]:
    names = ("id", "kind", "who", "state", "source", "created", "begun", "ended")
    return {name: getattr(job, name) for name in names}
