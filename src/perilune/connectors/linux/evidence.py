"""Collects what changes first: processes, connections, sockets, mounts; with a manifest of hashes. Reads only."""

from __future__ import annotations

import hashlib
import os
import time
from dataclasses import dataclass
from pathlib import Path

from perilune.connectors.linux import plain
from perilune.connectors.linux.kept import Keeper
from perilune.connectors.linux.proc import PROC, processes, started_at
from perilune.errors import ConnectorError
from perilune.model.actions import Action, Observation, Outcome, Receipt, Request, State

FRESH = 900  # seconds for which a bundle answers for the host's present state
MAX_IMAGE = 256 << 20
MAX_PROCESSES = 20_000
_TEXTS = (
    "net/tcp",
    "net/tcp6",
    "net/udp",
    "net/udp6",
    "net/unix",
    "net/arp",
    "net/route",
    "modules",
    "mounts",
    "version",
)


@dataclass(frozen=True, slots=True)
class Manifest:
    """The files of a bundle with their hashes. `cut`: processes that were left out."""

    host: str
    made: float
    files: dict[str, str]
    cut: int = 0


@dataclass(frozen=True, slots=True)
class Evidence:
    """`collect-evidence`."""

    keeper: Keeper

    def describe(self, action: Action) -> list[Request]:
        what = f"read /proc of every process and {', '.join(_TEXTS)}"
        return [Request(what, effect=f"a bundle with a manifest in {self.keeper.folder}")]

    def check(self, action: Action) -> Observation:
        for key, manifest in self.keeper.newest(Manifest):
            if manifest.host == action.target.value and time.time() - manifest.made < FRESH:
                wrong = [name for name, digest in manifest.files.items() if self._digest(key, name) != digest]
                if not wrong:
                    return Observation(State.HOLDS, f"{len(manifest.files)} files in {self._folder(key)}")
        return Observation(State.ABSENT, "no fresh and whole bundle is there")

    def act(self, action: Action, key: str) -> Receipt:
        folder = self._folder(key)
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            cut = self._write(folder)
        except OSError as error:
            raise ConnectorError(f"no evidence can be written to {folder}: {error.strerror}") from error
        files = {path.name: self._digest(key, path.name) for path in sorted(folder.iterdir())}
        self.keeper.keep(key, Manifest(action.target.value, time.time(), files, cut))
        return Receipt(Outcome.DONE, f"{len(files)} files in {folder}", reference=str(folder))

    def _write(self, folder: Path) -> int:
        found = list(processes())
        lines = [plain.encode(_facts(one.pid, one.parent, started_at(one).isoformat())) for one in found]
        (folder / "processes.jsonl").write_bytes(b"\n".join(lines[:MAX_PROCESSES]) + b"\n")
        for name in _TEXTS:
            text = _read(PROC / name)
            (folder / name.replace("/", "-")).write_bytes(text)
        return max(len(found) - MAX_PROCESSES, 0)

    def _folder(self, key: str) -> Path:
        return self.keeper.path(key, ".d")

    def _digest(self, key: str, name: str) -> str:
        try:
            return hashlib.sha256((self._folder(key) / name).read_bytes()).hexdigest()
        except OSError:
            return ""


def _facts(pid: int, parent: int, started: str) -> dict[str, object]:
    """One process; what ended while it was looked at has empty places."""
    folder = PROC / str(pid)
    return {
        "pid": pid,
        "parent": parent,
        "started": started,
        "image": _link(folder / "exe"),
        "sha256": _image_hash(folder / "exe"),
        "folder": _link(folder / "cwd"),
        "command": _read(folder / "cmdline").replace(b"\0", b" ").decode("utf-8", "replace").strip(),
        "status": _read(folder / "status").decode("utf-8", "replace"),
        "files": _open_files(folder / "fd"),
    }


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as stream:
            return stream.read(4 << 20)
    except OSError:
        return b""


def _link(path: Path) -> str:
    try:
        return str(path.readlink())
    except OSError:
        return ""


def _image_hash(path: Path) -> str:
    try:
        if path.stat().st_size > MAX_IMAGE:
            return ""
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError:
        return ""


def _open_files(folder: Path) -> list[str]:
    try:
        return [_link(Path(entry.path)) for entry in os.scandir(folder)][:256]
    except OSError:
        return []
