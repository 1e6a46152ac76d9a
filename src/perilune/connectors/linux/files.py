"""Files: into the vault and back exactly as they were, deleted, or kept from running.

The vault holds encoded bytes: a plain copy without rights still runs for root (`lua5.4 COPY` reads it), and a virus
scanner would delete the evidence. Mode, owner, times to the nanosecond, extended attributes (capabilities and access
lists are some) and inode flags are kept. What cannot be put back is the inode's number and its change time.
"""

from __future__ import annotations

import array
import fcntl
import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import BinaryIO

from perilune.connectors.linux.kept import Keeper, sync_folder
from perilune.errors import ConnectorError
from perilune.model.actions import Action, Kind, Observation, Outcome, Receipt, Request, State

CHUNK = 1 << 20
MAX_BYTES = 4 << 30
CODE = 0xA5
_TABLE = bytes(byte ^ CODE for byte in range(256))
_GET_FLAGS, _SET_FLAGS = 0x80086601, 0x40086602
_FROZEN = 0x10 | 0x20  # immutable, append-only: nothing can be changed while one is set
EXECUTE = 0o111


@dataclass(frozen=True, slots=True)
class Kept:
    """A file as it was."""

    path: str
    sha256: str
    size: int
    mode: int
    uid: int
    gid: int
    accessed: int
    modified: int
    flags: int
    attributes: dict[str, bytes]
    links: int


@dataclass(frozen=True, slots=True)
class Mode:
    """An interpreter's mode as it was."""

    path: str
    mode: int
    inode: int


@dataclass(frozen=True, slots=True)
class Files:
    """`quarantine-file`, `restore-file`, `delete-file`, `restrict-interpreter`, `allow-interpreter`."""

    keeper: Keeper

    def describe(self, action: Action) -> list[Request]:
        path = action.target.value
        match action.kind:
            case Kind.QUARANTINE_FILE:
                vault = self.keeper.folder
                return [Request(f"copy {path} encoded into {vault}, with all its metadata"), Request(f"unlink {path}")]
            case Kind.RESTORE_FILE:
                return [Request(f"write {path} again from the vault, with mode, owner, attributes, times and flags")]
            case Kind.DELETE_FILE:
                return [Request(f"unlink {path}", effect="for good")]
            case Kind.RESTRICT_INTERPRETER:
                return [Request(f"chmod a-x {path}", effect="nobody can run it, root included")]
            case _:
                return [Request(f"chmod {path} to the mode that it had")]

    def check(self, action: Action) -> Observation:
        path = action.target.value
        found = _look(path)
        if action.kind in (Kind.RESTRICT_INTERPRETER, Kind.ALLOW_INTERPRETER):
            return self._check_mode(action, found)
        if action.kind is Kind.DELETE_FILE:
            return Observation(State.ABSENT if found else State.HOLDS, "it is there" if found else "it is gone")
        entry = self._entry(action)
        if action.kind is Kind.RESTORE_FILE:
            if entry is None:
                return Observation(State.UNKNOWN, "the vault holds nothing of this path")
            same = found is not None and stat.S_ISREG(found.st_mode) and _digest_of(path) == entry[1].sha256
            return Observation(State.HOLDS if same else State.ABSENT, "the same bytes are there" if same else "")
        if found is not None:
            return Observation(State.ABSENT, "it is there")
        if entry is None:
            return Observation(State.ABSENT, "it is gone, and the vault does not hold it")
        return Observation(State.HOLDS, f"it is gone, and the vault holds {entry[1].sha256}")

    def act(self, action: Action, key: str) -> Receipt:
        match action.kind:
            case Kind.QUARANTINE_FILE:
                return self._take(action, key)
            case Kind.RESTORE_FILE:
                return self._restore(action)
            case Kind.DELETE_FILE:
                return self._delete(action)
            case _:
                return self._set_mode(action, key)

    def _take(self, action: Action, key: str) -> Receipt:
        with _opened(action.target.value) as (stream, folder, name):
            before = os.fstat(stream.fileno())
            if before.st_size > MAX_BYTES:
                return Receipt(Outcome.REFUSED, f"it is larger than {MAX_BYTES:,} bytes")
            digest = self._copy(stream, key)
            if action.target.sha256 and digest != action.target.sha256.lower():
                self.keeper.drop(key)
                return Receipt(Outcome.REFUSED, f"another file is there now: its hash is {digest}")
            flags = _flags(stream.fileno())
            self.keeper.keep(key, _kept(action.target.value, digest, before, flags, stream.fileno()))
            if flags & _FROZEN:
                _set_flags(stream.fileno(), flags & ~_FROZEN)
            os.unlink(name, dir_fd=folder)
            os.fsync(folder)
        more = f"; {before.st_nlink - 1} more names of it remain" if before.st_nlink > 1 else ""
        return Receipt(Outcome.DONE, f"{before.st_size:,} bytes, sha256 {digest}{more}", reference=key)

    def _copy(self, stream: BufferedReader, key: str) -> str:
        """Writes the encoded bytes and returns the hash of the plain ones."""
        digest = hashlib.sha256()
        vault = self.keeper.path(key, ".bytes")
        with os.fdopen(_private(vault, os.O_TRUNC), "wb") as copy:
            while chunk := stream.read(CHUNK):
                digest.update(chunk)
                copy.write(chunk.translate(_TABLE))
            copy.flush()
            os.fsync(copy.fileno())
        return digest.hexdigest()

    def _restore(self, action: Action) -> Receipt:
        entry = self._entry(action)
        if entry is None:
            return Receipt(Outcome.FAILED, "the vault holds nothing of this path")
        key, kept = entry
        path = Path(kept.path)
        fresh = path.with_name(f".perilune-{os.getpid()}")
        try:
            with os.fdopen(_private(fresh, os.O_EXCL), "wb") as stream:
                digest = self._decode(key, stream)
                if digest != kept.sha256:
                    return Receipt(Outcome.FAILED, "the vault's copy was changed: its hash is another")
                _dress(stream.fileno(), kept)
            os.link(fresh, path, follow_symlinks=False)
        except FileExistsError:
            return Receipt(Outcome.REFUSED, "another file is at this path now")
        except FileNotFoundError:
            return Receipt(Outcome.FAILED, f"the folder {path.parent} is not there any more")
        finally:
            fresh.unlink(missing_ok=True)
        _finish(path, kept)
        return Receipt(Outcome.DONE, f"{kept.size:,} bytes, sha256 {kept.sha256}", reference=key)

    def _decode(self, key: str, out: BinaryIO) -> str:
        digest = hashlib.sha256()
        with self.keeper.path(key, ".bytes").open("rb") as copy:
            while chunk := copy.read(CHUNK):
                plain = chunk.translate(_TABLE)
                digest.update(plain)
                out.write(plain)
        out.flush()
        os.fsync(out.fileno())
        return digest.hexdigest()

    def _delete(self, action: Action) -> Receipt:
        with _opened(action.target.value) as (stream, folder, name):
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
            if action.target.sha256 and digest != action.target.sha256.lower():
                return Receipt(Outcome.REFUSED, f"another file is there now: its hash is {digest}")
            flags = _flags(stream.fileno())
            if flags & _FROZEN:
                _set_flags(stream.fileno(), flags & ~_FROZEN)
            os.unlink(name, dir_fd=folder)
        return Receipt(Outcome.DONE, f"sha256 {digest}")

    def _entry(self, action: Action) -> tuple[str, Kept] | None:
        """What the vault holds: of the act that is taken back, else the newest of this path."""
        if action.undoes:
            kept = self.keeper.load(action.undoes, Kept)
            return (action.undoes, kept) if kept else None
        return next(((key, kept) for key, kept in self.keeper.newest(Kept) if kept.path == action.target.value), None)

    def _check_mode(self, action: Action, found: os.stat_result | None) -> Observation:
        if found is None:
            return Observation(State.HOLDS, "it is gone")
        runs = bool(found.st_mode & EXECUTE)
        wanted = action.kind is Kind.ALLOW_INTERPRETER
        detail = f"its mode is {stat.S_IMODE(found.st_mode):04o}"
        return Observation(State.HOLDS if runs is wanted else State.ABSENT, detail)

    def _set_mode(self, action: Action, key: str) -> Receipt:
        with _opened(action.target.value) as (stream, _, _):
            now = os.fstat(stream.fileno())
            mode = stat.S_IMODE(now.st_mode)
            if action.kind is Kind.RESTRICT_INTERPRETER:
                self.keeper.keep(key, Mode(action.target.value, mode, now.st_ino))
                os.fchmod(stream.fileno(), mode & ~EXECUTE)
                return Receipt(Outcome.DONE, f"mode {mode:04o} is now {mode & ~EXECUTE:04o}", reference=key)
            before = self._mode(action)
            if before is None:
                return Receipt(Outcome.FAILED, "nobody kept the mode that it had")
            if before.inode != now.st_ino:
                return Receipt(Outcome.REFUSED, "another file is at this path now")
            os.fchmod(stream.fileno(), before.mode)
        return Receipt(Outcome.DONE, f"mode {before.mode:04o} again")

    def _mode(self, action: Action) -> Mode | None:
        if action.undoes:
            return self.keeper.load(action.undoes, Mode)
        return next((one for _, one in self.keeper.newest(Mode) if one.path == action.target.value), None)


def _look(path: str) -> os.stat_result | None:
    try:
        return os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise ConnectorError(f"{path} cannot be looked at: {error.strerror}") from error


@contextmanager
def _opened(path: str) -> Iterator[tuple[BufferedReader, int, str]]:
    """A regular file that is no link, with its folder held, so that nobody swaps it in between."""
    folder, name = os.path.split(path)
    try:
        held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError as error:
        raise ConnectorError(f"{folder} cannot be opened: {error.strerror}") from error
    try:
        descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOATIME, dir_fd=held)
        with os.fdopen(descriptor, "rb") as stream:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise ConnectorError(f"{path} is no regular file")
            yield stream, held, name
    except OSError as error:
        raise ConnectorError(f"{path}: {error.strerror}") from error
    finally:
        os.close(held)


def _digest_of(path: str) -> str:
    with _opened(path) as (stream, _, _):
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _private(path: Path, flags: int) -> int:
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | flags, 0o600)


def _kept(path: str, digest: str, before: os.stat_result, flags: int, descriptor: int) -> Kept:
    return Kept(
        path=path,
        sha256=digest,
        size=before.st_size,
        mode=stat.S_IMODE(before.st_mode),
        uid=before.st_uid,
        gid=before.st_gid,
        accessed=before.st_atime_ns,
        modified=before.st_mtime_ns,
        flags=flags,
        attributes={name: os.getxattr(descriptor, name) for name in os.listxattr(descriptor)},
        links=before.st_nlink,
    )


def _dress(descriptor: int, kept: Kept) -> None:
    """Owner first: changing it takes away the set-user bit and capabilities."""
    os.fchown(descriptor, kept.uid, kept.gid)
    os.fchmod(descriptor, kept.mode)
    for name, value in kept.attributes.items():
        os.setxattr(descriptor, name, value)
    os.utime(descriptor, ns=(kept.accessed, kept.modified))


def _finish(path: Path, kept: Kept) -> None:
    """Flags last: a frozen file takes no other change. Then the folder to the disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NOATIME)
    try:
        if kept.flags:
            _set_flags(descriptor, kept.flags)
    finally:
        os.close(descriptor)
    sync_folder(path.parent)


def _flags(descriptor: int) -> int:
    """The inode's flags; 0 where its file system has none."""
    value = array.array("L", [0])
    try:
        fcntl.ioctl(descriptor, _GET_FLAGS, value)
    except OSError:
        return 0
    return value[0]


def _set_flags(descriptor: int, flags: int) -> None:
    fcntl.ioctl(descriptor, _SET_FLAGS, array.array("L", [flags]))
