"""Idempotency keys: a request that is sent again, because its answer was lost, is not done again."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Annotated

from fastapi import Header, HTTPException, Request
from starlette.responses import Response

from perilune.cli import output
from perilune.errors import PeriluneError
from perilune.store import kept
from perilune.web.auth import Caller
from perilune.web.rooms import rooms

Key = Annotated[
    str,
    Header(
        alias="Idempotency-Key", max_length=200, pattern=r"^[\x21-\x7e]*$",
        description="Any text of your own. A request repeated with it within 24 hours is answered as the first was.",
    ),
]  # fmt: skip


def once(
    request: Request, caller: Caller, key: str, asked: object, act: Callable[[], dict[str, object]], status: int = 200
) -> Response:
    """What `act` answers, or what it answered the first time. `asked` is the request's body."""
    if not key:
        return answer(act(), status)
    held = rooms(request)
    digest = hashlib.sha256(repr((request.method, request.url.path, asked)).encode()).hexdigest()
    before = kept.claim(held.database, caller.name, key, digest, at=held.now())
    if before is not None:
        return _again(before, digest)
    try:
        made = answer(act(), status)
    except (HTTPException, PeriluneError):
        kept.give_back(held.database, caller.name, key)
        raise
    kept.keep(held.database, caller.name, key, status, bytes(made.body).decode())
    return made


def answer(value: dict[str, object], status: int = 200) -> Response:
    return Response(output.dump(value, indent=False), status, media_type="application/json")


def _again(before: kept.Kept, digest: str) -> Response:
    if before.asked != digest:
        raise HTTPException(422, "This Idempotency-Key was used for another request.")
    if before.status is None:
        raise HTTPException(409, "The first request with this Idempotency-Key has not been answered.")
    replayed = {"Idempotent-Replayed": "true"}
    return Response(before.body, before.status, replayed, media_type="application/json")
