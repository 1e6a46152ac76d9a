"""The queue: which case comes next. Everything that it shows is in its address."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request
from starlette.responses import RedirectResponse, Response

from perilune.model.case import Status
from perilune.model.rules import Level
from perilune.store.queue import Order, Wanted, find_cases
from perilune.web import look
from perilune.web.auth import Anyone, Reader
from perilune.web.rooms import rooms

router = APIRouter(include_in_schema=False)
PAGE = 50
Words = Annotated[str, Query(max_length=200)]


@dataclass(frozen=True, slots=True)
class Filters:
    """What a reader chose, as it stands in the address."""

    q: str = ""
    show: str = "active"
    severity: str = "informational"
    owner: str = ""
    order: Order = Order.URGENT

    def wanted(self, name: str) -> Wanted:
        """What that means for the store; `name` is the reader's, for `owner=me`."""
        known = {"active": (Status.NEW, Status.OPEN), "all": tuple(Status)}
        named = tuple(one for one in Status if one.value == self.show)
        return Wanted(
            statuses=known.get(self.show, named or known["active"]),
            least=next((one for one in Level if one.word == self.severity), Level.INFORMATIONAL),
            owner=name if self.owner == "me" else self.owner,
            words=self.q,
            order=self.order,
        )

    def address(self, **more: str) -> str:
        """The queue with these filters, those that say nothing left out."""
        chosen = {"q": self.q, "show": self.show, "severity": self.severity, "owner": self.owner}
        chosen |= {"order": self.order.value}
        ordinary = {"q": "", "show": "active", "severity": "informational", "owner": "", "order": "urgent"}
        kept = {name: value for name, value in chosen.items() if value != ordinary[name]} | more
        return "/cases" + (f"?{urlencode(kept)}" if kept else "")


@router.get("/")
def start(caller: Anyone) -> Response:
    return RedirectResponse("/cases", 303)


@router.get("/cases")
def show(
    request: Request,
    caller: Reader,
    q: Words = "",
    show: Words = "active",
    severity: Words = "informational",
    owner: Words = "",
    order: Order = Order.URGENT,
    after: Annotated[str, Query(max_length=40)] = "",
) -> Response:
    filters = Filters(q, show, severity, owner, order)
    held = rooms(request)
    seen = held.change()
    found = find_cases(held.database, filters.wanted(caller.name), limit=PAGE, after=after)
    return look.page(
        request,
        caller,
        "queue.html.j2",
        filters=filters,
        seen=seen,
        cases=found.cases,
        first=filters.address() if after else "",
        following=filters.address(after=found.after) if found.after else "",
        here=filters.address(**({"after": after} if after else {})),
        levels=tuple(reversed(Level)),
    )
