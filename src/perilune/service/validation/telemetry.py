"""Lines of the audit sorted by session: which test an event belongs to, and what files it made."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from perilune.readers.audit_fields import parse_fields

_LINE = re.compile(r"type=(\S+) msg=audit\(([\d.]+:\d+)\): ?")
_SESSION = re.compile(r"\bses=(\d+)")
MAX_LINES = 400_000  # of one session; a test that makes more is cut, and says so


@dataclass(slots=True)
class Told:
    """What the audit told of one session.

    cut  lines that were more than MAX_LINES
    """

    lines: list[str] = field(default_factory=list)
    cut: int = 0

    def add(self, line: str) -> None:
        if len(self.lines) < MAX_LINES:
            self.lines.append(line)
        else:
            self.cut += 1


def by_session(lines: Iterable[str]) -> dict[int, Told]:
    """Every event of a session, whole: its first records may come before the one that names the session."""
    events: dict[str, list[str]] = {}
    sessions: dict[str, int] = {}
    for line in lines:
        head = _LINE.match(line)
        if head is None:
            continue
        kind, event = head.groups()
        events.setdefault(event, []).append(line)
        if kind == "SYSCALL" and (found := _SESSION.search(line)):
            sessions[event] = int(found[1])
    told: dict[int, Told] = {}
    for event, session in sessions.items():
        one = told.setdefault(session, Told())
        for line in events[event]:
            one.add(line)
    return told


def made(lines: Iterable[str]) -> Iterator[str]:
    """The paths of the files, folders and links that these events made or renamed something to."""
    folders: dict[str, str] = {}
    for line in lines:
        found = _LINE.match(line)
        if found is None or found[1] not in ("CWD", "PATH"):
            continue
        fields = parse_fields(line[found.end() :])
        if found[1] == "CWD":
            folders[found[2]] = str(fields.get("cwd") or "/")
        elif fields.get("nametype") == "CREATE" and fields.get("name"):
            yield _absolute(str(fields["name"]), folders.get(found[2], "/"))


def _absolute(name: str, folder: str) -> str:
    return str(PurePosixPath(folder, name))
