"""Which files the MCP server may read: plain files in allowed folders, and nothing that a link leads out to."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from perilune.errors import UsageError

MIB = 1 << 20
FILES_MOST = 2_000  # of one hunt or query
BYTES_MOST = 256 * MIB  # of them together


@dataclass(frozen=True, slots=True)
class Folders:
    """`allowed`: folders with their links followed."""

    allowed: tuple[Path, ...] = ()

    def confined(self, path: str) -> Path:
        """The path with its links followed, if it lies in a folder that is allowed."""
        if not self.allowed:
            raise UsageError("no folder is allowed", hint="start `perilune mcp` with --allow FOLDER to read files")
        try:
            found = Path(path).resolve(strict=True)
        except (OSError, ValueError, RuntimeError):
            found = None
        if found is None or not any(found.is_relative_to(folder) for folder in self.allowed):
            raise UsageError("is not in a folder that is allowed, or is not there", where=path[:200])
        return found

    def logs(self, paths: Sequence[str]) -> list[Path]:
        """The plain files at the paths, each confined by itself: a link in a folder may lead anywhere."""
        found: dict[Path, None] = {}
        total = 0
        for path in paths:
            for file in _files(self.confined(path)):
                real = file.resolve()
                if real in found or not any(real.is_relative_to(folder) for folder in self.allowed):
                    continue
                found[real] = None
                total += real.stat().st_size
                if len(found) > FILES_MOST or total > BYTES_MOST:
                    raise UsageError(
                        f"more than {FILES_MOST:,} files or {BYTES_MOST // MIB} MiB", hint="name fewer files"
                    )
        if not found:
            raise UsageError("there is no file to read")
        return list(found)


def _files(path: Path) -> Iterator[Path]:
    """The plain files at or below a path; no pipe or device, and no folder through a link."""
    if path.is_dir():
        for folder, _, names in os.walk(path, followlinks=False):
            yield from (file for name in sorted(names) if _is_plain(file := Path(folder, name)))
    elif _is_plain(path):
        yield path


def _is_plain(path: Path) -> bool:
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except OSError:
        return False
