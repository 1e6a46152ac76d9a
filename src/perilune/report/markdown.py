"""A case as Markdown for a ticket's body: lists and code, no tables, so that every ticket system shows it alike.

Everything printed by the template passes `_shown`. Text that is plain words stays prose; anything else becomes a
code span, in which no Markdown, HTML, link, mention or emoji code means anything (CommonMark 0.31, section 6.1).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING

from perilune.model.case import Case
from perilune.model.findings import Explained
from perilune.model.guides import Guide
from perilune.model.sources import SourceReport
from perilune.report import analysed, quote, text, view
from perilune.report.html import said, template_text

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

LIMIT = 32_000  # characters: a Jira description takes 32,767, a GitHub issue 65,536
VALUE_MOST = 400  # of a value that the template does not shorten itself
_BUDGETS = (
    view.Budget(
        findings=10,
        evidence=6,
        nodes=60,
        timeline=60,
        entities=15,
        explained=0,
        sources=10,
        text=300,
        answer=400,
        layers=4,
        rows=6,
    ),
    view.Budget(
        findings=6,
        evidence=4,
        nodes=25,
        timeline=25,
        entities=6,
        explained=0,
        sources=5,
        text=160,
        answer=200,
        layers=2,
        rows=3,
    ),
    view.Budget(
        findings=3,
        evidence=2,
        nodes=8,
        timeline=8,
        entities=3,
        explained=0,
        sources=2,
        text=60,
        answer=110,
        repeats=6,
        layers=1,
        rows=1,
    ),
)

# Words with ordinary punctuation. A dot or colon only before a space or between digits: `www.a`, `:b:`, `a://`.
_PLAIN = re.compile(r"(?!\d+[.)])[^\W_](?:[^\W_]|[ ,;()'’“”…/–—−%+-]|[.:](?=\s|$)|(?<=\d)[.:](?=\d))*")
_TICKS = re.compile(r"`+")


def render(
    case: Case,
    *,
    generated: datetime,
    version: str,
    sources: Sequence[SourceReport] = (),
    explained: Sequence[Explained] = (),
    guide: Guide | None = None,
) -> str:
    """The report as Markdown of at most `LIMIT` characters; arguments as for `html.render`.

    What does not fit is left out and counted; if the least of everything is too long still, whole sections go.
    """
    body = ""
    for budget in _BUDGETS:
        body = _environment().get_template("case.md.j2").render(
            view=view.lay_out(case, sources, explained, budget),
            case=case,
            generated=generated,
            version=version,
            explained=len(explained),
            guide=guide,
        )  # fmt: skip
        if len(body) <= LIMIT:
            return body
    return _fitting(body)


def _fitting(body: str) -> str:
    """As many whole sections as fit. No line of a log can begin with `## `: values are on one line behind a label."""
    sections = body.split("\n## ")
    ending = "\n---\n\nThe other sections are too long for a ticket; the full report has them.\n"
    kept = sections[0][: LIMIT // 2]
    for section in sections[1:]:
        if len(kept) + len(section) + len(ending) + 4 <= LIMIT:
            kept += "\n## " + section
    return kept + ending


@cache
def _environment() -> Environment:
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    environment = Environment(
        autoescape=True,  # nothing reaches it that has not passed `_shown`; it stays as the second lock
        finalize=_shown,
        loader=FunctionLoader(template_text),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "clock": text.clock,
        "code": _code,
        "day": lambda time: text.when(time)[:10],
        "link": _link,
        "prose": _prose,
        "mark": text.severity_mark,
        "ours": _ours,
        "signed": text.signed,
        "technique_name": text.technique_name,
        "when": text.when,
        "word": text.severity_word,
    }
    environment.globals |= {
        "about": analysed.about,
        "analysed": analysed.lay_out,
        "block": _block,
        "counted": text.counted,
        "quoted": _quoted,
        "reason_sentence": text.reason_sentence,
        "said": said,
        "span": text.span,
        "tested": quote.tested,
    }
    return environment


def _shown(value: object) -> object:
    """The door."""
    from markupsafe import Markup

    return value if isinstance(value, Markup) else _prose(value)


def _prose(value: object, limit: int = VALUE_MOST) -> Markup:
    """Prose when it is plain words, else a code span."""
    shown = _line(value, limit)
    return _ours(shown) if not shown or _PLAIN.fullmatch(shown) else _code(value, limit)


def _ours(value: object) -> Markup:
    """Text of this file or of `text.py` that holds nothing of a log or rule."""
    from markupsafe import Markup

    return Markup(value)  # noqa: S704 - Markdown, not HTML; see above


def _line(value: object, limit: int = VALUE_MOST) -> str:
    return text.visible(text.defang(text.shorten(str(value), limit))).strip()


def _code(value: object, limit: int = VALUE_MOST) -> Markup:
    """A code span whose fence is longer than any run of backticks in it."""
    shown = _line(value, limit)
    if not shown:
        return _ours("(empty)")
    fence = "`" * (_longest_ticks(shown) + 1)
    pad = " " if shown[0] == "`" or shown[-1] == "`" else ""
    return _ours(f"{fence}{pad}{shown}{pad}{fence}")


def _quoted(value: object, limit: int, tests: Sequence[str] = ()) -> Markup:
    """A value of an event around what the tests look for, as a code span."""
    return _code("".join(piece.text for piece in quote.quote(str(value), limit, tests)), 20_000)


def _link(url: str) -> Markup:
    """A link for an ordinary http(s) URL that a rule names, else a code span."""
    return _ours(f"<{url}>") if text.is_linkable(url) else _code(url)


def _block(branches: Sequence[view.Branch], date: str, limit: int) -> Markup:
    """The process tree as a fenced block: a gutter for marks, then two spaces per level."""
    lines = [line for branch in branches for line in _lines(branch, 0, date, limit)]
    fence = "`" * max(3, max(map(_longest_ticks, lines), default=0) + 1)
    return _ours("\n".join((f"{fence}text", *lines, fence)))


def _lines(branch: view.Branch, level: int, date: str, limit: int) -> list[str]:
    gutter = f"{branch.marked.sign} " if branch.marked.level is not None else "  "
    lines = [gutter + "  " * level + _line(_process(branch, date, limit), 2 * limit + 200)]
    for child in branch.children:
        lines += _lines(child, level + 1, date, limit)
    return lines


def _process(branch: view.Branch, date: str, limit: int) -> str:
    node = branch.node
    numbers = f" [finding {', '.join(map(str, branch.marked.numbers[:6]))}]" if branch.marked.numbers else ""
    name = text.shorten(node.name or node.path or "unnamed process", 80)
    pid = "no PID" if node.pid is None else str(node.pid)
    command = "".join(piece.text for piece in quote.quote(node.command_line or node.path, limit))
    return f"{name} {pid}{numbers}  {command}{_origin(node.user, node.time, date)}"


def _origin(user: str, time: datetime | None, date: str) -> str:
    clock = "" if time is None else text.clock(time)
    if time is not None and text.when(time)[:10] != date:
        clock = f"{text.when(time)[:10]} {clock}"
    parts = [part for part in (text.shorten(user, 60), clock) if part]
    return f"  ({', '.join(parts)})" if parts else ""


def _longest_ticks(shown: str) -> int:
    return max(map(len, _TICKS.findall(shown)), default=0)
