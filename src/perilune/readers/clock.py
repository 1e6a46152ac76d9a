"""A log's own way to write times, to microseconds since 1970 (UTC)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache

from perilune.readers.times import offset, time_of

YEARLESS = "syslog"
"""The form `Nov 21 17:03:41`, which has no year."""

_START = datetime(1970, 1, 1, tzinfo=UTC)


class Clock:
    """Reads the times of one file. A time without a year gets that of the file's last change.

    `guessed` counts how often that was needed. A time without a zone is taken as UTC.
    """

    def __init__(self, changed: datetime | None = None) -> None:
        self._changed = changed or datetime.now(UTC)
        self.guessed = 0

    def micros(self, text: str | None, form: str) -> int | None:
        """The moment, or None where the text is no time of this form."""
        if not text:
            return None
        if form in ("iso", "epoch"):
            found = time_of(" ".join(text.split()))
            return found if isinstance(found, int) else None
        if form == YEARLESS:
            self.guessed += 1
            return _with_year(" ".join(text.split()), self._changed)
        return _formatted(" ".join(text.split()), form)


@lru_cache(4096)
def _formatted(text: str, form: str) -> int | None:
    try:
        found = datetime.strptime(text, form)
    except ValueError:
        return None
    return _micros(found if found.tzinfo else found.replace(tzinfo=UTC))


@lru_cache(4096)
def _with_year(text: str, changed: datetime) -> int | None:
    """The last such day before the file's change; a day's grace for clocks that differ."""
    for year in (changed.year, changed.year - 1, changed.year - 2, changed.year - 3, changed.year - 4):
        try:
            found = datetime.strptime(f"{year} {text}", "%Y %b %d %H:%M:%S").replace(tzinfo=UTC)
        except ValueError:  # also 29 February of a year that has none
            continue
        if found <= changed + timedelta(days=1):
            return _micros(found)
    return None


def _micros(moment: datetime) -> int:
    return (moment - _START) // timedelta(microseconds=1)


def offset_of(text: str | None) -> str | None:
    """The offset from UTC that the time names, `+0100` at a web server's time too."""
    if not text:
        return None
    if len(text) > 6 and text[-6] == " " and text[-5] in "+-" and text[-4:].isdigit():
        return f"{text[-5:-2]}:{text[-2:]}"
    return offset(text)
