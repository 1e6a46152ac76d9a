"""Local accounts: locked and unlocked in the shadow file, exactly; their terminals' sessions ended.

The shadow file is changed as the system's own tools change it: under the lock file, as a new file put in place.
A password's hash never goes through a command line.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from perilune.connectors.linux.kept import Keeper, sync_folder
from perilune.connectors.linux.proc import PROC, Process, load_process, processes
from perilune.errors import ConnectorError
from perilune.model.actions import Action, Kind, Observation, Outcome, Receipt, Request, State

PASSWORD, CHANGED, EXPIRES = 1, 2, 7  # fields of a shadow line
NEVER = "1"  # a day in 1970: the account ended
UNUSABLE = "*"
ROUNDS = 5


@dataclass(frozen=True, slots=True)
class Kept:
    """An account's line as it was."""

    account: str
    password: str
    expires: str


@dataclass(frozen=True, slots=True)
class Accounts:
    """`disable-user`, `enable-user`, `reset-credentials`, `clear-sessions`."""

    keeper: Keeper
    folder: Path = Path("/etc")

    def describe(self, action: Action) -> list[Request]:
        name = action.target.value
        match action.kind:
            case Kind.DISABLE_USER:
                return [Request(f"{self.folder}/shadow: put '!' before {name}'s password, end the account in 1970")]
            case Kind.ENABLE_USER:
                return [Request(f"{self.folder}/shadow: {name}'s password and end as they were")]
            case Kind.RESET_CREDENTIALS:
                return [Request(f"{self.folder}/shadow: no password of {name} is accepted any more", effect="for good")]
            case _:
                return [Request(f"SIGKILL to every process of {name}'s terminal sessions, by pidfd")]

    def check(self, action: Action) -> Observation:
        name = self._name(action.target.value)
        if action.kind is Kind.CLEAR_SESSIONS:
            left = self._sessions(name)
            return Observation(State.ABSENT if left else State.HOLDS, f"{len(left)} processes on terminals")
        fields = self._fields(name)
        if action.kind is Kind.RESET_CREDENTIALS:
            held = fields[PASSWORD].lstrip("!") == UNUSABLE
            return Observation(State.HOLDS if held else State.ABSENT, "no password" if held else "a password is set")
        locked = fields[PASSWORD].startswith("!") and fields[EXPIRES] == NEVER
        wanted = action.kind is Kind.DISABLE_USER
        return Observation(State.HOLDS if locked is wanted else State.ABSENT, "locked" if locked else "not locked")

    def act(self, action: Action, key: str) -> Receipt:
        name = self._name(action.target.value)
        if action.kind is Kind.CLEAR_SESSIONS:
            return self._end_sessions(name)
        with self._locked():
            fields = self._fields(name)
            match action.kind:
                case Kind.DISABLE_USER:
                    self.keeper.keep(key, Kept(name, fields[PASSWORD], fields[EXPIRES]))
                    fields[PASSWORD], fields[EXPIRES] = "!" + fields[PASSWORD], NEVER
                case Kind.ENABLE_USER:
                    if not self._unlock(action, name, fields):
                        return Receipt(Outcome.FAILED, "nobody kept how the account was")
                case _:
                    fields[PASSWORD], fields[CHANGED] = UNUSABLE, str(int(time.time() // 86400))
            self._write(name, fields)
        return Receipt(Outcome.DONE, reference=key)

    def _unlock(self, action: Action, name: str, fields: list[str]) -> bool:
        """As it was; a password that somebody set in the meantime is kept, only its lock is taken off."""
        kept = self.keeper.load(action.undoes, Kept) if action.undoes else None
        kept = kept or next((one for _, one in self.keeper.newest(Kept) if one.account == name), None)
        if kept is None or kept.account != name:
            return False
        same = fields[PASSWORD] == "!" + kept.password
        fields[PASSWORD] = kept.password if same else fields[PASSWORD].lstrip("!")
        fields[EXPIRES] = kept.expires
        return True

    def _name(self, value: str) -> str:
        """The account's name on this machine; logs give numbers too."""
        for line in self._lines("passwd"):
            fields = line.split(":")
            if len(fields) > 2 and value in (fields[0], fields[2]):
                return fields[0]
        raise ConnectorError(f"{value} is no local account; it may come from a directory")

    def _fields(self, name: str) -> list[str]:
        for line in self._lines("shadow"):
            fields = line.split(":")
            if fields[0] == name and len(fields) == 9:
                return fields
        raise ConnectorError(f"{name} has no line in {self.folder}/shadow")

    def _lines(self, name: str) -> list[str]:
        try:
            return (self.folder / name).read_text(encoding="utf-8", errors="surrogateescape").split("\n")
        except OSError as error:
            raise ConnectorError(f"{self.folder / name}: {error.strerror}") from error

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """The lock that `passwd`, `usermod` and the rest take."""
        try:
            with (self.folder / ".pwd.lock").open("a") as lock:
                fcntl.lockf(lock, fcntl.LOCK_EX)
                yield
        except OSError as error:
            raise ConnectorError(f"{self.folder}/shadow cannot be changed: {error.strerror}") from error

    def _write(self, name: str, fields: list[str]) -> None:
        path = self.folder / "shadow"
        lines = [":".join(fields) if line.split(":")[0] == name else line for line in self._lines("shadow")]
        fresh = self.folder / f"shadow.perilune-{os.getpid()}"
        before = path.stat()
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="surrogateescape") as stream:
            stream.write("\n".join(lines))
            stream.flush()
            os.fchown(descriptor, before.st_uid, before.st_gid)
            shutil.copystat(path, fresh)
            os.fsync(descriptor)
        fresh.replace(path)
        sync_folder(self.folder)

    def _sessions(self, name: str) -> list[Process]:
        """Processes of the account on a terminal, and the rest of their sessions."""
        uid = next(int(line.split(":")[2]) for line in self._lines("passwd") if line.split(":")[0] == name)
        mine = [one for one in processes() if one.alive and _owner(one.pid) == uid]
        sessions = {one.session for one in mine if one.tty}
        return [one for one in mine if one.session in sessions]

    def _end_sessions(self, name: str) -> Receipt:
        ended: set[int] = set()
        for _ in range(ROUNDS):
            left = self._sessions(name)
            if not left:
                return Receipt(Outcome.DONE, f"{len(ended)} processes ended")
            for one in left:
                _end(one)
                ended.add(one.pid)
            time.sleep(0.1)
        return Receipt(Outcome.UNKNOWN, "sessions of the account keep coming")


def _owner(pid: int) -> int:
    try:
        return (PROC / str(pid)).stat().st_uid
    except OSError:
        return -1


def _end(process: Process) -> None:
    try:
        descriptor = os.pidfd_open(process.pid)
    except OSError:
        return
    try:
        now = load_process(process.pid)
        if now is not None and now.ticks == process.ticks:
            signal.pidfd_send_signal(descriptor, signal.SIGKILL)
    except ProcessLookupError:
        pass
    finally:
        os.close(descriptor)
