"""A small process of its own that writes this machine's audit records to a journal, so that none is lost while a
watcher is killed and started again. It ends when it is asked to, or when no watcher has run for an hour.

    python -m perilune.service.live.recorder FOLDER LAKE RECORDS
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import sys
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path

from perilune.errors import PeriluneError
from perilune.service.live.journal import Journal, JournalFull
from perilune.service.netlink import Rule, connections, creations, executions, record
from perilune.service.netlink.recording import Recording

LOCK = "recorder.lock"
TOLD = "recorder.json"
RECORDS = {"executions": executions, "connections": connections, "creations": creations}
ALONE = 3600.0  # seconds without a watcher
_HELD_LINES = 200_000  # while the journal cannot be written
_TELL_EVERY = 1.0


class Recorder:
    """Records until it is told to stop."""

    def __init__(self, folder: Path, lake: Path) -> None:
        self._folder, self._lake = folder, lake
        self._journal = Journal(folder / "main")
        self._held: deque[str] = deque()
        self._dropped = 0
        self._stopped = False
        self._told = 0.0
        self._watched = time.monotonic()

    def stop(self, *_: object) -> None:
        self._stopped = True

    def run(self, rules: Sequence[Rule]) -> None:
        with record(rules) as recording:
            self._tell(recording, "recording")
            while not self._stopped:
                self._keep(recording.read(0.2))
                if time.monotonic() - self._told > _TELL_EVERY:
                    self._tell(recording, "recording")
                    self._stopped |= self._is_alone()
        self._keep([])

    def _keep(self, lines: Sequence[str]) -> None:
        """Writes lines; while there is no room they are held, and at last counted as lost."""
        self._held.extend(lines)
        while len(self._held) > _HELD_LINES:
            self._held.popleft()
            self._dropped += 1
        if not self._held:
            return
        text = "".join(f"{line}\n" for line in self._held)
        try:
            self._journal.append(text.encode("utf-8", "backslashreplace"))
            self._held.clear()
        except JournalFull:
            return

    def _tell(self, recording: Recording, state: str) -> None:
        losses = recording.losses()
        told = {
            "state": state,
            "process": os.getpid(),
            "lost": {
                "records that the kernel could not keep": losses.kernel_lost,
                "records that came faster than they were read": losses.dropped or losses.overruns,
                "records for which there was no room on disk": self._dropped,
            },
            "problem": "" if recording.is_whole() else "another program has changed the audit's rules",
        }
        write_told(self._folder, told)
        self._told = time.monotonic()

    def _is_alone(self) -> bool:
        if _is_locked(self._lake / "writer.lock"):
            self._watched = time.monotonic()
        return time.monotonic() - self._watched > ALONE


def write_told(folder: Path, told: object) -> None:
    partial = folder / f"{TOLD}.{os.getpid()}"
    try:
        partial.write_text(json.dumps(told), encoding="utf-8")
        partial.replace(folder / TOLD)
    except OSError:  # the disk is full: the next time, perhaps
        partial.unlink(missing_ok=True)


def _is_locked(path: Path) -> bool:
    try:
        with path.open("rb") as stream:
            fcntl.flock(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def main() -> int:
    folder, lake, names = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3].split(",")
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (folder / LOCK).open("ab") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return 0  # another one records already
        recorder = Recorder(folder, lake)
        signal.signal(signal.SIGTERM, recorder.stop)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the watcher's, which then ends this one
        try:
            recorder.run([rule for name in names for rule in RECORDS[name]()])
        except PeriluneError as error:
            write_told(folder, {"state": "failed", "process": os.getpid(), "lost": {}, "problem": str(error)})
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
