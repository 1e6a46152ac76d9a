"""Rules, hunts, playbooks, lists and suppressions: what there is, what is in it, whether it does what it should."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Form, Query, Request
from starlette.responses import RedirectResponse, Response

from perilune.response.graph import draw_playbook
from perilune.response.playbook import parse_playbook
from perilune.web import look, shelves
from perilune.web.auth import Caller, Reader, WorkerForm
from perilune.web.problems import not_found
from perilune.web.rooms import Rooms, rooms
from perilune.web.shelves import KINDS, Item, Tried

router = APIRouter(include_in_schema=False)
PAGE = 100
Word = Annotated[str, Query(max_length=200)]
Place = Annotated[str, Query(max_length=500)]
Field = Annotated[str, Form(max_length=500)]


@router.get("/content")
def start(caller: Reader) -> Response:
    return RedirectResponse("/content/rules", 303)


@router.get("/content/{kind}")
def show(
    request: Request, kind: str, caller: Reader, q: Word = "", page: Annotated[int, Query(ge=1, le=1000)] = 1
) -> Response:
    held = rooms(request)
    words = q.lower().split()
    found = [one for one in shelves.items(held, _kind(kind)) if _fits(one, words)]
    return look.page(
        request, caller, "content.html.j2", kind=kind, kinds=tuple(KINDS), q=q, page=page,
        items=found[(page - 1) * PAGE : page * PAGE], all=len(found), more=len(found) > page * PAGE,
        folder=held.settings.content,
    )  # fmt: skip


@router.get("/content/{kind}/item")
def show_item(request: Request, kind: str, caller: Reader, origin: Word = "", place: Place = "") -> Response:
    held = rooms(request)
    return _item_page(request, caller, held, _item(held, kind, origin, place))


@router.post("/content/{kind}/item")
def try_item(request: Request, kind: str, caller: WorkerForm, origin: Field = "", place: Field = "") -> Response:
    held = rooms(request)
    item = _item(held, kind, origin, place)
    held.note("content tried", {"kind": kind, "place": place, "origin": origin}, caller.name)
    return _item_page(request, caller, held, item, shelves.try_out(held, item))


@router.get("/content/{kind}/drawing")
def drawing(request: Request, kind: str, caller: Reader, origin: Word = "", place: Place = "") -> Response:
    """A playbook as a picture; it is shown as an image, where nothing in it can act."""
    held = rooms(request)
    parsed = parse_playbook(_item(held, "playbooks", origin, place).text()[0])
    if kind != "playbooks" or parsed.playbook is None:
        raise not_found("There is no drawing of this.")
    return Response(draw_playbook(parsed.playbook), media_type="image/svg+xml")


def _item_page(request: Request, caller: Caller, held: Rooms, item: Item, tried: list[Tried] | None = None) -> Response:
    text, cut = item.text()
    twin = shelves.twin(held, item)
    beside = shelves.beside(item)
    return look.page(
        request, caller, "content_item.html.j2", item=item, text=text, cut=cut, tried=tried,
        beside=beside.read_text("utf-8", "replace")[: shelves.TEXT_MOST] if beside else "",
        difference=shelves.difference(twin, item) if twin else None,
        address=urlencode({"origin": item.origin, "place": item.place}),
    )  # fmt: skip


def _kind(kind: str) -> str:
    if kind not in KINDS:
        raise not_found("There is no such kind of content.")
    return kind


def _item(held: Rooms, kind: str, origin: str, place: str) -> Item:
    found = shelves.find(held, _kind(kind), origin, place)
    if found is None:
        raise not_found("There is no such file in the content.")
    return found


def _fits(item: Item, words: list[str]) -> bool:
    text = f"{item.title} {item.place} {item.id} {item.level} {item.origin}".lower() if words else ""
    return all(word in text for word in words)
