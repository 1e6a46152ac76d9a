"""Terms whose needle is known only row by row, places and counts of matches."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import re2  # type: ignore[import-untyped]

from perilune.detection.kql.terms import PREDICATES, Predicate, pattern
from perilune.detection.kql.values import dumps, loads

if TYPE_CHECKING:
    from re import Pattern

MAX_FOUND = 100_000


@lru_cache(maxsize=512)
def _compiled(text: str) -> Pattern[str]:
    options = re2.Options()
    options.log_errors = False
    found: Pattern[str] = re2.compile(text, options)
    return found


def has_term(text: str, needle: str, ends: str) -> bool:
    """`ends` holds b where a boundary must stand before the needle, e behind it. Case is dealt with already."""
    if not needle:
        return True
    how = Predicate(before="b" in ends, behind="e" in ends)
    return _compiled(pattern([needle], how)).search(text) is not None


def has_terms(text: str, packed: str, op: str) -> bool:
    """`has_any` or `has_all` over a JSON array of needles."""
    needles = _needles(packed)
    if op == "has_all":
        return all(not one or _compiled("(?i)" + pattern([one], PREDICATES["has"])).search(text) for one in needles)
    if not needles:
        return False
    return "" in needles or _compiled("(?i)" + pattern(needles, PREDICATES["has"])).search(text) is not None


@lru_cache(maxsize=512)
def _needles(packed: str) -> tuple[str, ...]:
    found = loads(packed)
    items = found if isinstance(found, list) else [found]
    return tuple(item if isinstance(item, str) else dumps(item) for item in items if item is not None)


def indexof(text: str, needle: str, start: int, length: int, occurrence: int) -> int | None:
    if occurrence < 1:
        return None
    start = max(len(text) + start, 0) if start < 0 else start
    end = len(text) if length < 0 else min(len(text), start + length)
    found = start - 1
    for _ in range(min(occurrence, MAX_FOUND)):
        found = text.find(needle, found + 1, end)
        if found < 0:
            return -1
    return found


def indexof_regex(text: str, regex: str) -> int:
    found = _compiled(regex).search(text)
    return found.start() if found else -1


def countof(text: str, needle: str) -> int:
    """Overlapping occurrences count."""
    count, place = 0, text.find(needle) if needle else -1
    while place >= 0:
        count += 1
        place = text.find(needle, place + 1)
    return count


def countof_regex(text: str, regex: str) -> int:
    return sum(1 for _ in _compiled(regex).finditer(text))


def extract_all(text: str, regex: str, groups: str) -> str | None:
    compiled = _compiled(regex)
    chosen = [int(one) for one in groups.split(",")] if groups else list(range(1, compiled.groups + 1))
    rows: list[object] = []
    for match in compiled.finditer(text):
        rows.append([match.group(n) or "" for n in chosen])
        if len(rows) >= MAX_FOUND:
            break
    if not rows:
        return None
    return dumps([row[0] for row in rows] if len(chosen) == 1 else rows)  # type: ignore[index, arg-type]
