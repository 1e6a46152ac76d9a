"""Kusto's text predicates as one regular expression each, however many needles there are.

A term is a maximal run of letters and digits, of any script; every other character, the underscore too, ends one.
`has` asks for a boundary only at those ends of the needle that are letters or digits themselves: "os.execute("
needs one before the o and none behind the parenthesis. RE2 finds all needles of a list in one pass over the text,
and the boundaries cost nothing measurable (bench/kql.py).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from sqlglot import exp

from perilune.detection.kql.kinds import Kind
from perilune.detection.kql.values import Search, Sql, Value, coalesce, fn, not_, text

_EDGE = r"[^\pL\pN]"
_SPECIAL = re.compile(r"[^0-9A-Za-z\u0080-\U0010ffff]")
MAX_PATTERN = 60_000  # characters of one joined pattern; RE2 refuses programs beyond some megabytes


@dataclass(frozen=True, slots=True)
class Predicate:
    """How an operator looks for its needle: a boundary before, behind, or the text's own ends."""

    before: bool = False
    behind: bool = False
    start: bool = False
    end: bool = False
    cased: bool = False


_BASE = {
    "has": Predicate(before=True, behind=True),
    "hasprefix": Predicate(before=True),
    "hassuffix": Predicate(behind=True),
    "contains": Predicate(),
    "startswith": Predicate(start=True),
    "endswith": Predicate(end=True),
}
PREDICATES = _BASE | {
    f"{name}_cs": Predicate(p.before, p.behind, p.start, p.end, cased=True) for name, p in _BASE.items()
}


def escape(needle: str) -> str:
    """The needle as a pattern that matches nothing but it."""
    return _SPECIAL.sub(lambda found: f"\\x{{{ord(found.group()):x}}}" if found.group() in "\0\n" else
                        "\\" + found.group(), needle)  # fmt: skip


def is_term(character: str) -> bool:
    """Whether a term may hold the character; for non-ASCII as RE2's \\pL and \\pN see it, nearly."""
    return character.isalpha() or character.isnumeric()


def pattern(needles: Sequence[str], how: Predicate) -> str:
    """One pattern for any of the needles. Needles with the same kind of ends share their boundaries."""
    groups: dict[tuple[bool, bool], list[str]] = {}
    for needle in dict.fromkeys(needles):
        ends = (how.before and is_term(needle[:1]), how.behind and is_term(needle[-1:]))
        groups.setdefault(ends, []).append(escape(needle))
    found = [_bounded("|".join(group), len(group) > 1, *ends) for ends, group in groups.items()]
    joined = "|".join(found)
    if how.start or how.end:
        joined = f"(?:{joined})"
    return ("^" if how.start else "") + joined + ("$" if how.end else "")


def _bounded(inner: str, several: bool, before: bool, behind: bool) -> str:
    if several and (before or behind):
        inner = f"(?:{inner})"
    return (f"(?:^|{_EDGE})" if before else "") + inner + (f"(?:{_EDGE}|$)" if behind else "")


def matches(subject: Sql, regex: str, *, cased: bool = False) -> Sql:
    """`s` lets `.` match a line's end, which only a user's own pattern could ask for; needles have no dots."""
    return fn("regexp_matches", subject, text(regex if cased else f"(?i){regex}"))


def any_of(subject: Value, needles: Sequence[str], how: Predicate) -> Value:
    """Whether the text holds any of the needles."""
    if not needles:
        return Value(exp.Boolean(this=False), Kind.BOOL, False)
    if any(not needle for needle in needles):  # every text holds the empty one
        return Value(exp.Boolean(this=True), Kind.BOOL, False)
    found = pattern(needles, how)
    search = Search(subject.sql, found, how.cased)
    return Value(matches(subject.sql, found, cased=how.cased), Kind.BOOL, False, search=search)


def join_searches(parts: Sequence[Value]) -> list[Value]:
    """Searches of one text that are alternatives become one search, so that the text is read once."""
    together: dict[tuple[str, bool], list[Search]] = {}
    for part in parts:
        if part.search is not None:
            together.setdefault((part.search.text.sql(), part.search.cased), []).append(part.search)
    found: list[Value] = []
    done: set[tuple[str, bool]] = set()
    for part in parts:
        key = (part.search.text.sql(), part.search.cased) if part.search else ("", False)
        group = together.get(key, [])
        if part.search is None or len(group) == 1 or sum(len(s.pattern) for s in group) > MAX_PATTERN:
            found.append(part)
        elif key not in done:
            done.add(key)
            joined = "|".join(dict.fromkeys(f"(?:{s.pattern})" for s in group))
            search = Search(part.search.text, joined, part.search.cased)
            found.append(Value(matches(search.text, joined, cased=search.cased), Kind.BOOL, False, search=search))
    return found


def varying(subject: Value, needle: Value, how: Predicate) -> Value:
    """The same predicate where the needle is known only row by row."""
    hay, pin = subject.sql, needle.sql
    if not how.cased:
        hay, pin = fn("lower", hay), fn("lower", pin)
    if how.start:
        return Value(fn("starts_with", hay, pin), Kind.BOOL, False)
    if how.end:
        return Value(fn("ends_with", hay, pin), Kind.BOOL, False)
    if not (how.before or how.behind):
        return Value(fn("contains", hay, pin), Kind.BOOL, False)
    flags = text(f"{'b' if how.before else ''}{'e' if how.behind else ''}")
    return Value(fn("kql_has_term", hay, pin, flags), Kind.BOOL, False)


def negated(value: Value) -> Value:
    if not value.nullable:
        return Value(not_(value.sql), Kind.BOOL, False)
    return Value(not_(coalesce(value.sql, exp.Boolean(this=False))), Kind.BOOL, False)
