"""An analysis of Lua as one HTML file: no script, no request to anywhere, in the look of the case report."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from perilune.model.analysis import Layer
from perilune.model.lua import LuaAnalysis, Outcome, Unit
from perilune.report import lua_listing, lua_text, lua_view
from perilune.report.html import environment, template_text
from perilune.report.lua_code import Line, code_lines

LAYER_MOST = 60_000  # characters of one layer
TEXT_MOST = 600_000  # of all layers together
INSTRUCTIONS_MOST = 20_000
ROWS_MOST = 2_000


@dataclass(frozen=True, slots=True)
class Code:
    """A layer as it is shown: its lines with the telling places marked, and how many were left out."""

    layer: Layer
    words: str
    lines: tuple[Line, ...]
    cut: int


@dataclass(frozen=True, slots=True)
class Listing:
    unit: Unit
    words: str
    functions: tuple[tuple[str, tuple[str, ...]], ...]
    cut: int
    faults: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Page:
    """One analysis with everything that the template draws."""

    found: LuaAnalysis
    view: lua_view.LuaView
    identity: str
    codes: tuple[Code, ...]
    listings: tuple[Listing, ...]
    ran: bool


def render(found: Sequence[LuaAnalysis], *, generated: datetime, version: str) -> str:
    """The report as the text of one HTML file, to be written as UTF-8."""
    from markupsafe import Markup

    css = template_text("case.css") + template_text("lua.css")
    digest = base64.b64encode(hashlib.sha256(css.encode()).digest()).decode()
    top = max(found, key=lambda one: one.score)
    page = environment().get_template("lua.html.j2").render(
        pages=[_page(one) for one in found],
        top=top,
        title=top.name.replace("\\", "/").rsplit("/", 1)[-1] or "Lua of a command line",
        generated=generated,
        version=version,
        css=Markup(css),  # noqa: S704 - our own file
        css_hash=f"sha256-{digest}",
        rows=ROWS_MOST,
        event_text=lua_view.event_text,
        outcomes=Outcome,
        nothing_seen=lua_text.NOTHING_SEEN,
        no_verdict=lua_text.NO_VERDICT,
        ours=lua_text.OURS,
    )  # fmt: skip
    return page.lstrip()


def _page(found: LuaAnalysis) -> Page:
    return Page(
        found=found,
        view=lua_view.lay_out(found, signs=12),
        identity=lua_text.identity_words(found.identity),
        codes=tuple(_codes(found)),
        listings=tuple(_listing(unit) for unit in found.units if unit.chunk is not None),
        ran=any(run.trace.outcome is not Outcome.NOT_EXECUTED for run in found.runs),
    )


def _codes(found: LuaAnalysis) -> list[Code]:
    left = TEXT_MOST
    codes = []
    for layer in found.layers:
        if layer.kind == "run" or layer.binary:
            continue
        spans = [(s.start, s.end) for c in found.capabilities for s in c.signs if s.layer == layer.number]
        lines, cut = code_lines(layer.text, spans, min(left, LAYER_MOST))
        left = max(0, left - len(layer.text))
        codes.append(Code(layer, lua_text.layer_words(layer), tuple(lines), cut))
    return codes


def _listing(unit: Unit) -> Listing:
    assert unit.chunk is not None
    left = INSTRUCTIONS_MOST
    functions = []
    for one in unit.chunk.prototypes:
        if left <= 0:
            break
        functions.append((lua_listing.head(one), tuple(lua_listing.line(i) for i in one.code[:left])))
        left -= len(one.code)
    total = sum(len(p.code) for p in unit.chunk.prototypes)
    words = f"layer {unit.layer}: {lua_text.header_words(unit.chunk.header)}"
    return Listing(unit, words, tuple(functions), max(0, total - INSTRUCTIONS_MOST), unit.chunk.faults)
