"""Pages as text: the console's templates over those of the report, behind the same door for hostile text."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, lru_cache
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
from perilune.store.cases import Summary
from perilune.store.queue import age
from perilune.web.auth import Caller
from perilune.web.rooms import rooms

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

PLAIN_MOST = 20_000
ROWS_KEPT = 5000  # lines of the queue that are kept as text, about a kilobyte each

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
    found.globals = {**report.globals, "Act": Act, "Level": Level, "Status": Status, "age": age, "row": row}
    return found


def _plainly(value: object) -> Markup:
    """Exact text that people decide by: nothing defanged, hidden characters written out, line breaks kept."""
    from markupsafe import Markup, escape

    lines = str(value)[:PLAIN_MOST].split("\n")
    return Markup("\n").join(escape(visible(line)) for line in lines)


@lru_cache(maxsize=ROWS_KEPT)
def row(case: Summary, age: str, may_work: bool) -> Markup:
    """A line of the queue. The same line is shown to many people many times; it is made once."""
    from markupsafe import Markup

    text = environment().get_template("queue_row.html.j2").render(case=case, age=age, may_work=may_work)
    return Markup(text.strip())  # noqa: S704 - by the template, whose door made it harmless


def _template(name: str) -> str | None:
    path = files("perilune.web").joinpath("templates", name)
    return path.read_text("utf-8") if path.is_file() else None


def page(request: Request, caller: Caller | None, name: str, *, status: int = 200, **values: object) -> HTMLResponse:
    """One page. A caller sees the bar with what they may open."""
    return HTMLResponse(fragment(request, caller, name, **values).lstrip(), status)


def fragment(request: Request, caller: Caller | None, name: str, **values: object) -> str:
    """A template with what every page knows."""
    held = rooms(request)
    counts = held.counts() if caller else {}
    new = sum(number for (state, _), number in counts.items() if state is Status.NEW)
    grave = sum(n for (state, level), n in counts.items() if state is not Status.CLOSED and level is Level.CRITICAL)
    return environment().get_template(name).render(
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
