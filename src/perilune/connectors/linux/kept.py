"""What was before an act, kept under the act's key before anything is changed, so that it can be put back exactly."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from perilune.connectors.linux import plain

T = TypeVar("T")
_NAME = re.compile(r"[^A-Za-z0-9_.-]")


@dataclass(frozen=True, slots=True)
class Keeper:
    """A folder that only root may enter. An entry is written whole or not at all."""

    folder: Path

    def path(self, key: str, suffix: str = ".json") -> Path:
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return self.folder / (_NAME.sub("_", key) + suffix)

    def keep(self, key: str, entry: object) -> None:
        """Writes the entry and makes sure that it is on the disk; what is there already stays: it came first."""
        path = self.path(key)
        if path.exists():
            return
        fresh = path.with_suffix(f".{os.getpid()}")
        with fresh.open("xb") as stream:
            stream.write(plain.encode(entry))
            stream.flush()
            os.fsync(stream.fileno())
        fresh.replace(path)
        sync_folder(self.folder)

    def load(self, key: str, kind: type[T]) -> T | None:
        try:
            return plain.decode(self.path(key).read_bytes(), kind)
        except (FileNotFoundError, ValueError):
            return None

    def newest(self, kind: type[T]) -> Iterator[tuple[str, T]]:
        """Every entry of this type, the newest first."""
        if not self.folder.is_dir():
            return
        paths = sorted(self.folder.glob("*.json"), key=lambda path: path.stat().st_mtime_ns, reverse=True)
        for path in paths:
            if (entry := self.load(path.stem, kind)) is not None:
                yield path.stem, entry

    def drop(self, key: str) -> None:
        for suffix in (".json", ".bytes"):
            self.path(key, suffix).unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
