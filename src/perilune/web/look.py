"""Pages as text: the console's templates over those of the report, behind the same door for hostile text."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import HTMLResponse

from perilune import __version__
from perilune.model.case import Status
from perilune.model.roles import Act
from perilune.model.rules import Level
from perilune.report import html
from perilune.report.text import visible
from perilune.store.queue import age
from perilune.web.auth import Caller
from perilune.web.rooms import rooms

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

PLAIN_MOST = 20_000

# What a form did, told on the page it leads to. Only these words can be shown.
DONE: Mapping[str, str] = {
    "status": "The status was changed.",
    "owner": "The owner was changed.",
    "comment": "The comment was added.",
    "feedback": "Your word on the case was noted; later scores show it.",
    "password": "Your password was changed.",
    "user": "The user was changed.",
    "run": "The run was begun.",
    "decided": "Your decision was written down.",
    "answered": "Your answer was written down.",
    "undo": "The taking back was begun.",
    "cancelled": "The run was cancelled. What it did stays.",
    "job": "It was begun.",
    "removed": "It was removed.",
    "saved": "The hunt was saved.",
    "token": "The token was revoked.",
}


@cache
def environment() -> Environment:
    from jinja2 import ChoiceLoader, FunctionLoader
    from markupsafe import escape

    report = html.environment()
    loader = ChoiceLoader([FunctionLoader(_template), FunctionLoader(html.template_text)])
    found = report.overlay(loader=loader)
    # `exactly` for addresses and fields that go back to us; `plainly` where an address must be read as it is.
    found.filters = {**report.filters, "exactly": escape, "plainly": _plainly}
    found.globals = {**report.globals, "Act": Act, "Level": Level, "Status": Status, "age": age}
    return found


def _plainly(value: object) -> Markup:
    """Exact text that people decide by: nothing defanged, hidden characters written out, line breaks kept."""
    from markupsafe import Markup, escape

    lines = str(value)[:PLAIN_MOST].split("\n")
    return Markup("\n").join(escape(visible(line)) for line in lines)


def _template(name: str) -> str | None:
    path = files("perilune.web").joinpath("templates", name)
    return path.read_text("utf-8") if path.is_file() else None


def page(request: Request, caller: Caller | None, name: str, *, status: int = 200, **values: object) -> HTMLResponse:
    """One page. A caller sees the bar with what they may open."""
    held = rooms(request)
    counts = held.counts() if caller else {}
    new = sum(number for (state, _), number in counts.items() if state is Status.NEW)
    grave = sum(n for (state, level), n in counts.items() if state is not Status.CLOSED and level is Level.CRITICAL)
    text = environment().get_template(name).render(
        caller=caller,
        path=request.url.path,
        new=new,
        grave=grave,
        awaiting=held.waiting() if caller else 0,
        now=held.now(),
        version=__version__,
        done=DONE.get(request.query_params.get("done", ""), ""),
        **values,
    )  # fmt: skip
    return HTMLResponse(text.lstrip(), status)
