"""Server-sent events: a page is told that what it shows has changed, and asks for itself again. No more is sent."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable

from fastapi import APIRouter, HTTPException, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response, StreamingResponse

from perilune.errors import StoreError
from perilune.store import runlist
from perilune.web import jobs, respond
from perilune.web.auth import Reader
from perilune.web.rooms import Rooms, rooms

router = APIRouter(include_in_schema=False)
STREAMS_MOST = 100  # of one process
LONGEST = 300.0  # seconds; then the page asks again, and whether it may is looked at again
EVERY = 1.0
ALIVE = 15.0  # seconds without news after which a comment keeps the connection
RETRY = 3000  # milliseconds


@router.get("/cases/events")
def queue(request: Request, caller: Reader) -> Response:
    held = rooms(request)
    return _stream(held, held.change)


@router.get("/runs/{run_id}/events")
def run(request: Request, caller: Reader, run_id: str) -> Response:
    held = rooms(request)
    id = respond.find(held, run_id).id
    return _stream(held, lambda: runlist.version(held.database, id))


@router.get("/jobs/{job_id}/events")
def job(request: Request, caller: Reader, job_id: str) -> Response:
    held = rooms(request)
    id = jobs.find(held, job_id).id
    return _stream(held, lambda: held.crew.store.load(id).state)


def _stream(held: Rooms, version: Callable[[], str]) -> Response:
    if held.streams >= STREAMS_MOST:
        raise HTTPException(503, "Too many pages follow what happens.", {"Retry-After": "30"})
    return StreamingResponse(follow(held, version), media_type="text/event-stream")


async def follow(held: Rooms, version: Callable[[], str]) -> AsyncIterator[str]:
    """The version at once, and whenever it is another one."""
    held.streams += 1
    try:
        yield f"retry: {RETRY}\n\n"
        last, told, ends = "", time.monotonic(), time.monotonic() + LONGEST
        while time.monotonic() < ends and not held.closing:
            now = await run_in_threadpool(version)
            if now != last:
                last, told = now, time.monotonic()
                yield f"event: version\ndata: {now}\n\n"
            elif time.monotonic() - told > ALIVE:
                told = time.monotonic()
                yield ": still here\n\n"
            await asyncio.sleep(EVERY)
    except StoreError:  # the page tries again by itself
        return
    finally:
        held.streams -= 1
