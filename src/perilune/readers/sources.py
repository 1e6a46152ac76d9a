"""What there is to read under the given paths: files, and the members of archives, in a stable order.

Nothing here blocks or fails: a pipe, a loop, a missing or forbidden file gives a report of one line.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

from perilune.errors import ReadError
from perilune.model.sources import Reading, SourceReport
from perilune.ports import Limits
from perilune.readers.archives import is_archive
from perilune.readers.opening import Opener
from perilune.readers.source import Source, unreadable
from perilune.readers.streams import fault_words, read_head

_SNIFF = 512
_MAX_FOLDERS = 100  # within each other


def discover(paths: Iterable[str | Path], limits: Limits) -> Iterator[Source | SourceReport]:
    """Everything to read under the paths, and a report for everything that cannot be read. Names in order."""
    seen: dict[tuple[int, int], str] = {}
    for path in paths:
        yield from _discover(str(path), seen, (), limits)


def _discover(
    path: str, seen: dict[tuple[int, int], str], above: tuple[tuple[int, int], ...], limits: Limits
) -> Iterator[Source | SourceReport]:
    try:
        info = os.stat(path)  # noqa: PTH116 - names may hold bytes that no Path should normalise
    except (OSError, ValueError) as error:
        yield unreadable(Source(path).name, _why_not(path, error))
        return
    identity = (info.st_dev, info.st_ino)
    if identity in above:
        yield unreadable(Source(path).name, "symbolic link loop: it leads back to a folder that it lies in")
    elif identity in seen:
        reason = f"the same as {Source(seen[identity]).name}, which is read"
        yield SourceReport(Source(path).name, "", Reading.COMPLETE, skipped={reason: 1})
    elif stat.S_ISDIR(info.st_mode):
        seen[identity] = path
        yield from _folder(path, seen, (*above, identity), limits)
    elif stat.S_ISREG(info.st_mode):
        seen[identity] = path
        yield from _file(Source(path), limits)
    else:
        yield unreadable(Source(path).name, f"not a regular file but {_kind(info.st_mode)}")


def _why_not(path: str, error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return "broken symbolic link" if os.path.islink(path) else "no such file"  # noqa: PTH114
    if isinstance(error, OSError) and error.errno == 40:  # ELOOP
        return "symbolic link loop"
    return fault_words(error)


def _kind(mode: int) -> str:
    if stat.S_ISFIFO(mode):
        return "a pipe"
    if stat.S_ISSOCK(mode):
        return "a socket"
    return "a device"


def _folder(
    path: str, seen: dict[tuple[int, int], str], above: tuple[tuple[int, int], ...], limits: Limits
) -> Iterator[Source | SourceReport]:
    if len(above) > _MAX_FOLDERS:
        yield unreadable(Source(path).name, f"more than {_MAX_FOLDERS} folders within each other")
        return
    try:
        names = sorted(os.listdir(path))  # noqa: PTH208
    except OSError as error:
        yield unreadable(Source(path).name, fault_words(error))
        return
    for name in names:
        yield from _discover(os.path.join(path, name), seen, above, limits)  # noqa: PTH118


def _file(source: Source, limits: Limits) -> Iterator[Source | SourceReport]:
    """The file itself, or the members of the archive that it is."""
    with Opener(limits) as opener:
        yield from _look(source, opener, limits)


def _look(source: Source, opener: Opener, limits: Limits) -> Iterator[Source | SourceReport]:
    try:
        with opener.open(source) as stream:
            head = read_head(stream, _SNIFF)
    except ReadError as error:
        yield unreadable(source.name, error.what)
        return
    if not head:
        yield unreadable(source.name, getattr(stream, "fault", None) or "empty")
    elif not is_archive(head):
        yield source
    elif len(source.members) >= limits.max_archive_depth:
        yield unreadable(source.name, f"more than {limits.max_archive_depth} archives within each other")
    else:
        yield from _members(source, opener, limits)


def _members(source: Source, opener: Opener, limits: Limits) -> Iterator[Source | SourceReport]:
    try:
        archive = opener.archive(source.path, source.members)
    except ReadError as error:
        yield unreadable(source.name, error.what, "archive")
        return
    for number, label in enumerate(list(archive.labels)):
        if number >= limits.max_archive_members:
            yield unreadable(source.name, f"more than {limits.max_archive_members:,} members; the rest is not read")
            return
        yield from _look(Source(source.path, (*source.members, label)), opener, limits)
    fault = getattr(archive, "fault", None)
    if fault or not archive.labels:
        yield unreadable(source.name, fault or "an archive without files", "archive")
