"""Finding string literals in code and replacing stretches of it: what every rewriting is made of.

Literals are found in one pass over the text and looked at with their neighbourhood, so that no rewriting is more
than linear, whatever the text.
"""

# ruff: noqa: E501 - a pattern or a table row broken in two is harder to read than a long one

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

Rewrite = Callable[[str], str]


class Literal(NamedTuple):
    """A string literal: its value as written between the quotes, doubled quotes undone."""

    value: str
    start: int
    end: int
    quote: str


# Languages whose backslash is no escape: PowerShell, VBScript, AutoHotkey, AutoIt.
# An unclosed literal runs to the end of its line or text, so that no start is tried twice; it is not yielded.
_DOUBLED = re.compile(r"'(?P<s>(?>[^']+|'')*)(?:'|\Z)|\"(?P<d>(?>[^\"`]+|`.|\"\")*)`?(?:\"|\Z)", re.DOTALL)
_ESCAPED = re.compile(
    r"'(?P<s>(?>[^'\\\n]+|\\.)*)\\?(?:'|(?=\n)|\Z)|\"(?P<d>(?>[^\"\\\n]+|\\.)*)\\?(?:\"|(?=\n)|\Z)"
    r"|`(?P<t>[^`\\]*)(?:`|(?=\\)|\Z)|\[\[(?P<b>[^\]\[]*)\]\]",
    re.DOTALL,
)


def literals(text: str, *, doubled: bool) -> Iterator[Literal]:
    """The literals of a text. `doubled`: a quote inside is written twice, and a backslash is a character."""
    at = 0
    pattern = _DOUBLED if doubled else _ESCAPED
    while True:
        found = pattern.search(text, at)
        if found is None:
            return
        at = found.end()
        quote = found.group()[0]
        value = found.group(found.lastgroup or 0)
        if found.end("s" if quote == "'" else "d" if quote == '"' else found.lastgroup or 0) == found.end():
            continue
        if doubled:
            value = value.replace(quote * 2, quote)
        yield Literal(value, found.start(), found.end(), quote)


class Edit(NamedTuple):
    start: int
    end: int
    text: str


def apply(text: str, edits: Iterable[Edit]) -> str:
    """The text with each stretch replaced; of two that overlap the first wins."""
    parts: list[str] = []
    at = 0
    for edit in sorted(edits):
        if edit.start < at:
            continue
        parts += (text[at : edit.start], edit.text)
        at = edit.end
    if not parts:
        return text
    return "".join(parts) + text[at:]


def quoted(value: str, *, doubled: bool, like: str = "'") -> str:
    """A literal of this value, with the given quote where that needs no escaping."""
    like = like if like in ("'", '"') else '"'
    if like == '"' and doubled and ("$" in value or "`" in value):
        like = "'"
    if like not in value and (doubled or "\\" not in value):
        return like + value + like
    other = "'" if like == '"' else '"'
    if other not in value and (doubled or "\\" not in value) and not (doubled and other == '"' and "$" in value):
        return other + value + other
    if doubled:
        return "'" + value.replace("'", "''") + "'"
    return (
        like + value.replace("\\", "\\\\").replace(like, "\\" + like).replace("\n", "\\n").replace("\r", "\\r") + like
    )


def joined(text: str, between: re.Pattern[str], *, doubled: bool) -> str:
    """Literals with nothing but an operator between them, made one."""
    edits: list[Edit] = []
    run: list[Literal] = []

    def close() -> None:
        if len(run) > 1:
            value = "".join(one.value for one in run)
            first = run[0]
            body = quoted(value, doubled=doubled, like=first.quote) if doubled else _kept(run)
            edits.append(Edit(first.start, run[-1].end, body))

    for literal in literals(text, doubled=doubled):
        if run and between.fullmatch(text, run[-1].end, literal.start):
            run.append(literal)
            continue
        close()
        run = [literal]
    close()
    return apply(text, edits)


def _kept(run: list[Literal]) -> str:
    """Literals with backslash escapes joined; their escapes stay as they are, under one quote."""
    quote = run[0].quote if run[0].quote in "'\"" else '"'
    return quote + "".join(one.value if one.quote == quote else _requoted(one.value, quote) for one in run) + quote


def _requoted(value: str, quote: str) -> str:
    return re.sub(r"\\(.)|(['\"])", lambda m: m.group() if m.group(1) else ("\\" + m.group(2) if m.group(2) == quote else m.group(2)), value)  # fmt: skip


def follow(
    text: str,
    tail: re.Pattern[str],
    change: Callable[[Literal, re.Match[str]], str | None],
    *,
    doubled: bool,
) -> str:
    """Every literal that `tail` matches right behind, replaced with it by a literal of the changed value.

    A closing parenthesis that the tail took goes with the opening one before the literal, or stays where it was.
    """
    edits = []
    for literal in literals(text, doubled=doubled):
        found = tail.match(text, literal.end)
        value = change(literal, found) if found else None
        if found is None or value is None:
            continue
        start, end = literal.start, found.end()
        surplus = text.count(")", literal.end, end) - text.count("(", literal.end, end)
        opened = text.rfind("(", max(0, start - 3), start)
        if surplus > 0 and opened >= 0 and not text[opened + 1 : start].strip():
            start = opened
        elif surplus > 0:
            end = text.rfind(")", literal.end, end)
        edits.append(Edit(start, end, quoted(value, doubled=doubled, like=literal.quote)))
    return apply(text, edits)


_OPEN = re.compile(r"(?<![\w\])}.$:'\"])\(\s*")
_CLOSE = re.compile(r"\s*\)")


def without_parentheses(text: str, *, doubled: bool) -> str:
    """`('abc')` as `'abc'` where the parentheses are no call's."""
    edits = []
    for literal in literals(text, doubled=doubled):
        opened = literal.start - 1
        while opened >= 0 and text[opened] in " \t":
            opened -= 1
        if opened < 0 or text[opened] != "(" or not _OPEN.match(text, opened):
            continue
        closed = _CLOSE.match(text, literal.end)
        if closed and (doubled or text[closed.end() : closed.end() + 1] not in (":", "[", "(")):
            edits.append(Edit(opened, closed.end(), text[literal.start : literal.end]))
    return apply(text, edits)


def bare(literal: str) -> str:
    """The value of a literal of PowerShell as it is written."""
    found = next(literals(literal, doubled=True), None)
    return found.value if found else ""
