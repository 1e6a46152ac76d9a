"""What tests leave behind, looked for from outside: not by what they say of themselves."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from perilune.service.netlink.control import Control
from perilune.service.netlink.recording import parse_mark
from perilune.service.netlink.rules import key_of

ACCOUNTS = ("/etc/passwd", "/etc/group", "/etc/shadow", "/etc/gshadow", "/etc/subuid", "/etc/subgid", "/etc/sudoers")
SHARED = ("/tmp", "/var/tmp", "/dev/shm", "/run/lock", "/var/spool/cron", "/var/mail")  # noqa: S108  looked at, not used
MAX_ENTRIES = 50_000
MAX_NAMED = 50
_OWN = ("/dev/", "/proc/")


@dataclass(frozen=True, slots=True)
class Machine:
    """What of the machine a run may not change: its accounts, and the audit's rules and state."""

    accounts: tuple[tuple[str, str], ...]
    rules: frozenset[bytes]
    enabled: int
    backlog: int


def load_machine() -> Machine:
    with closing(Control()) as control:
        status = control.status()
        rules = frozenset(rule for rule in control.rules() if not _is_of_another(rule))
    return Machine(tuple((path, _digest(path)) for path in ACCOUNTS), rules, status.enabled, status.backlog_limit)


def _is_of_another(rule: bytes) -> bool:
    """Whether another recording of Perilune ordered it, which may come and go meanwhile."""
    mark = parse_mark(key_of(rule))
    return mark is not None and mark.process != os.getpid()


def _digest(path: str) -> str:
    try:
        return hashlib.sha256(Path(path).read_bytes()).hexdigest()
    except OSError:
        return ""


def changes(before: Machine, after: Machine, *, alone: bool) -> Iterator[str]:
    """What is different now; the audit's state only where nobody else was recording too."""
    for (path, old), (_, new) in zip(before.accounts, after.accounts, strict=True):
        if old != new:
            yield f"{path} was changed meanwhile"
    if added := len(after.rules - before.rules):
        yield f"{added} audit rules were added"
    if taken := len(before.rules - after.rules):
        yield f"{taken} audit rules were taken away"
    if alone and (before.enabled, before.backlog) != (after.enabled, after.backlog):
        yield "the audit's state is another"


def is_alone() -> bool:
    """Whether no other recording of Perilune runs."""
    with closing(Control()) as control:
        return not any(_is_of_another(rule) for rule in control.rules())


def files_left(made: Iterable[str]) -> list[str]:
    """Those of the paths that are still there."""
    found = (path for path in dict.fromkeys(made) if not path.startswith(_OWN) or path.startswith("/dev/shm/"))  # noqa: S108
    return [path for path in found if os.path.lexists(path)][:MAX_NAMED]


def files_of(user: int, places: Iterable[str] = SHARED) -> list[str]:
    """What a user owns in the folders that everybody may write to; the first fifty thousand entries are looked at."""
    found: list[str] = []
    seen = 0
    for place in places:
        for path in _entries(place):
            seen += 1
            if seen > MAX_ENTRIES or len(found) >= MAX_NAMED:
                return found
            try:
                if os.lstat(path).st_uid == user:
                    found.append(path)
            except OSError:
                continue
    return found


def _entries(place: str) -> Iterator[str]:
    for folder, inner, names in os.walk(place):
        if folder.count("/") - place.count("/") >= 3:
            inner.clear()
        yield from (f"{folder}/{name}" for name in (*inner, *names))
