"""All files of a folder that grow: each is followed by itself; what a file was rotated to belongs to that file."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from perilune.service.live.sources import Chunk, State
from perilune.service.live.tail import NUMBER, PACKING, Tail
from perilune.store.lake_manifest import Position

MOST_FILES = 500  # followed in one folder; further ones are said
_LOOK_EVERY = 1.0  # seconds between two looks for new files
_ROLLED = re.compile(f"(.+?)(?:{NUMBER}(\\.\\w+)?{PACKING}|\\.gz|\\.bz2|\\.xz)")


class FolderSource:
    """A folder, and the folders in it."""

    def __init__(self, path: Path, *, patient: bool = True, at_end: bool = False) -> None:
        self.name = f"file:{path}"
        self.state = State()
        self._path = path
        self._patient, self._at_end = patient, at_end
        self._tails: dict[str, Tail] = {}
        self._looked = 0.0
        self._left_out = 0

    def start(self) -> None:
        return None

    def poll(self, positions: Mapping[str, Position], budget: int) -> Iterator[Chunk]:
        self._look()
        for stream in list(self._tails):
            tail = self._tails.pop(stream)
            self._tails[stream] = tail  # who was asked first is asked last the next time
            yield from tail.poll(positions.get(stream), budget)
        if self._left_out:
            self.state.problem = f"{self._left_out:,} files are not followed: more than {MOST_FILES}"
        self.state.waiting = sum(tail.waiting for tail in self._tails.values())

    def _look(self) -> None:
        now = time.monotonic()
        if self._tails and self._looked and now - self._looked < _LOOK_EVERY:
            return
        first = not self._looked
        self._looked = now
        found = dict.fromkeys(str(path) for path in sorted(_files(self._path)))
        new = [path for path in found if path not in self._tails]
        for path in new[: max(0, MOST_FILES - len(self._tails))]:
            at_end = self._at_end and first
            self._tails[path] = Tail(Path(path), self.state, patient=self._patient, at_end=at_end)
        self._left_out = max(0, len(found) - len(self._tails))
        if not self._path.is_dir():
            self.state.doing, self.state.problem = "gone", f"{self._path} is not there"
        self.state.streams = len(self._tails)

    def stop(self) -> None:
        for tail in self._tails.values():
            tail.close()


def _files(folder: Path) -> Iterator[Path]:
    """The files to follow: not what another was rotated to, nothing hidden, no links out of the folder."""
    for above, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        present = set(names)
        for name in names:
            path = Path(above) / name
            with suppress(OSError):
                if not name.startswith(".") and not _is_rolled(name, present) and path.is_file():
                    yield path


def _is_rolled(name: str, present: set[str]) -> bool:
    found = _ROLLED.fullmatch(name)
    return found is not None and (f"{found[1]}{found[2] or ''}" in present or name.endswith((".gz", ".bz2", ".xz")))
