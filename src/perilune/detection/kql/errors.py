"""Errors of a query: what, at which line and column, and what to try."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass

from perilune.errors import UsageError


@dataclass(frozen=True, slots=True)
class Span:
    """Where something stands in a query: the offset of its first character, its line and column from 1."""

    offset: int
    line: int
    column: int


class KqlError(UsageError):
    """A query that cannot be run as it stands. `at` is where; `refused` says that the feature is known and not done."""

    def __init__(self, what: str, at: Span | None = None, *, hint: str | None = None, refused: bool = False) -> None:
        self.at = at
        self.refused = refused
        where = f"line {at.line}, column {at.column}" if at else None
        super().__init__(what, where=where, hint=hint)


def unsupported(what: str, at: Span | None, hint: str | None = None) -> KqlError:
    """The error for a construct that Kusto has and this engine refuses to guess at."""
    return KqlError(f"{what} is not supported", at, hint=hint or "see docs/reference/kql.md", refused=True)


def nearest(name: str, known: Iterable[str]) -> str | None:
    """A hint with the known name that this one may have meant."""
    names = list(dict.fromkeys(known))
    lowered = {one.lower(): one for one in reversed(names)}
    if name.lower() in lowered:
        return f"names are case-sensitive: did you mean {lowered[name.lower()]}?"
    close = difflib.get_close_matches(name.lower(), lowered, n=1, cutoff=0.7)
    return f"did you mean {lowered[close[0]]}?" if close else None
