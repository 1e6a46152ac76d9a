"""One thing to read, and what is said where it cannot be."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import UTC, datetime

from perilune.model.sources import Problem, Reading, SourceReport


@dataclass(frozen=True, slots=True)
class Source:
    """One thing to read: a file, or a member of an archive (of an archive …). Small, and safe to send to a process."""

    path: str
    members: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The path as given, and `!member` for each archive on the way; without control characters."""
        name = "!".join((self.path, *self.members))
        return name if name.isprintable() else "".join(c if c.isprintable() else "�" for c in name)


def last_change(source: Source) -> datetime:
    """When the file, or the archive around it, was last changed; now, where that cannot be told."""
    try:
        return datetime.fromtimestamp(os.stat(source.path).st_mtime, UTC)  # noqa: PTH116
    except (OSError, ValueError, OverflowError):
        return datetime.now(UTC)


def unreadable(path: str, why: str, file_format: str = "") -> SourceReport:
    """The report of a source that gave nothing."""
    return SourceReport(path, file_format, Reading.UNREADABLE, problems=(Problem(why),))
