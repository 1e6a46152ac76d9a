"""A case as one HTML file for a ticket: no script, no request to anywhere, readable on paper.

Everything printed by the template passes `_shown`, the environment's `finalize`: hidden characters written out,
addresses defanged, HTML escaped. A link is made by `_link` alone, from a rule's own words, and only over http(s).
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import cache, lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING

from perilune.model.case import Case
from perilune.model.findings import Explained
from perilune.model.guides import Guide
from perilune.model.rules import Level
from perilune.model.sources import SourceReport
from perilune.report import analysed, quote, text, view
from perilune.report.entities import NAME_COLUMNS

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

LONG = 320  # characters of a value shown without unfolding it
HEADLINE = 200  # characters of a title
_VALUE_MOST = 4_000  # of anything that the template does not shorten itself
_SHORT = 80  # characters of a value whose shown form is kept
_ESCAPE = re.compile(r"⟨[^⟨⟩]{1,10}⟩")


def render(
    case: Case,
    *,
    generated: datetime,
    version: str,
    sources: Sequence[SourceReport] = (),
    explained: Sequence[Explained] = (),
    guide: Guide | None = None,
) -> str:
    """The report as the text of one HTML file, to be written as UTF-8.

    Args:
        case: what is reported.
        generated: the time of the report, given because this room has no clock.
        version: of Perilune.
        sources: what was read for the case, with what could not be.
        explained: runs of interpreters that known hosts explain.
        guide: how to go on, rendered for this case.
    """
    from markupsafe import Markup

    css = template_text("case.css")
    digest = base64.b64encode(hashlib.sha256(css.encode()).digest()).decode()
    page = environment().get_template("case.html.j2").render(
        view=view.lay_out(case, sources, explained, view.Budget()),
        case=case,
        generated=generated,
        version=version,
        guide=guide,
        css=Markup(css),  # noqa: S704 - our own file
        css_hash=f"sha256-{digest}",
    )  # fmt: skip
    return page.lstrip()


def template_text(name: str) -> str:
    return files("perilune.report").joinpath("templates", name).read_text("utf-8")


@cache
def environment() -> Environment:
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    environment = Environment(
        autoescape=True,
        finalize=_shown,
        loader=FunctionLoader(template_text),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "attribute": _attribute,
        "capitalized": lambda words: words[:1].upper() + words[1:],
        "clock": text.clock,
        "day": lambda time: text.when(time)[:10],
        "iso": lambda time: time.isoformat(),
        "link": _link,
        "lines": _lines,
        "line": lambda value: " ".join(str(value).split()),
        "mark": text.severity_mark,
        "shorten": text.shorten,
        "signed": text.signed,
        "technique_name": text.technique_name,
        "technique_page": text.technique_page,
        "when": text.when,
        "word": text.severity_word,
    }
    environment.globals |= {
        "HEADLINE": HEADLINE,
        "LONG": LONG,
        "about": analysed.about,
        "analysed": analysed.lay_out,
        "counted": text.counted,
        "levels": tuple(reversed(Level)),
        "name_columns": NAME_COLUMNS,
        "defang_name": text.defang_name,
        "quote": quote.quote,
        "reason_sentence": text.reason_sentence,
        "said": said,
        "span": text.span,
        "tested": quote.tested,
    }
    return environment


def _shown(value: object) -> object:
    """The door: what a template prints, made harmless. Markup that this file made passes."""
    from markupsafe import Markup

    if isinstance(value, Markup):
        return value
    text = str(value)
    return _shown_short(text) if len(text) <= _SHORT else _escaped(text)


@lru_cache(maxsize=8192)
def _shown_short(text: str) -> Markup:
    """Words such as a severity or a host are on a page hundreds of times."""
    return _escaped(text)


def _escaped(text: str) -> Markup:
    from markupsafe import Markup

    escaped = str(_attribute(text))
    return Markup(_ESCAPE.sub(r"<i class=esc>\g<0></i>", escaped))  # noqa: S704 - escaped above


def _attribute(value: object) -> Markup:
    """As `_shown`, for places that hold text only: attributes and the page's title."""
    from markupsafe import escape

    return escape(text.visible(text.defang(text.shorten(str(value), _VALUE_MOST))))


def _lines(value: object) -> Markup:
    """Text of several lines, each made harmless on its own, so that a line break of a value stays written out."""
    from markupsafe import Markup

    return Markup("\n").join(_attribute(line) for line in str(value).split("\n"))


def _link(url: str, label: str = "") -> Markup:
    """A link for a URL that a rule names; plain defanged text when it is not an ordinary http(s) URL."""
    from markupsafe import Markup

    if not text.is_linkable(url):
        return Markup("{}").format(_attribute(label or url))
    shown = _attribute(label) if label else url
    return Markup('<a href="{}" rel="noreferrer noopener">{}</a>').format(url, shown)


def said(value: object) -> str:
    """A value of an event or of an entry's body, as one text."""
    if isinstance(value, datetime):
        return text.when(value)
    if isinstance(value, Mapping):
        return "; ".join(f"{key}: {said(item)}" for key, item in value.items())
    if isinstance(value, Iterable) and not isinstance(value, str | bytes):
        return " ".join(said(item) for item in value)
    return "yes" if value is True else "no" if value is False else str(value)
