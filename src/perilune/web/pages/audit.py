"""The audit log, newest first, and whether it is as it was written."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from perilune.store import audit as log
from perilune.web import look
from perilune.web.auth import Auditor
from perilune.web.rooms import rooms

router = APIRouter(include_in_schema=False)
PAGE = 100


@router.get("/audit")
def show(
    request: Request, caller: Auditor, before: Annotated[int, Query(ge=0, le=10**15)] = 0, check: bool = False
) -> Response:
    held = rooms(request)
    lines = log.newest(held.database, limit=PAGE + 1, before=before)
    checked = log.verify(held.database) if check else None
    held.note("audit read", {"checked": check}, caller.name)
    return look.page(
        request,
        caller,
        "audit.html.j2",
        lines=lines[:PAGE],
        older=lines[PAGE - 1].number if len(lines) > PAGE else 0,
        before=before,
        checked=checked,
    )
