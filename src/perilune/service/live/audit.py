"""This machine's own audit as a source: a recorder beside the watcher writes what the kernel tells to a journal."""

from __future__ import annotations

import fcntl
import json
import os
import platform
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from perilune.errors import SensorError, UsageError
from perilune.service.live.addresses import Address
from perilune.service.live.journal import JournalSource
from perilune.service.live.sources import Chunk
from perilune.store.lake_manifest import Position

_BEGIN = 20.0  # seconds that a recorder may take to begin
_END = 10.0
_RECORDS = ("executions", "connections", "creations")
_LOCK, _TOLD = "recorder.lock", "recorder.json"


class AuditSource(JournalSource):
    """Programs that start here, connections that are asked for. Needs root, or the capability to control the audit."""

    def __init__(self, name: str, folder: Path, lake: Path, records: tuple[str, ...]) -> None:
        super().__init__(name, folder, {"main": "auditd"})
        self._lake = lake
        self._records = records
        self._host = platform.node()
        self._asked = 0.0

    def start(self) -> None:
        """Begins to record, unless the recorder of a watcher that was killed still does."""
        super().start()
        if not self._is_recording():
            self._begin()
        self._hear()

    def _begin(self) -> None:
        (self.folder / _TOLD).unlink(missing_ok=True)
        module = "perilune.service.live.recorder"
        command = [sys.executable, "-m", module, str(self.folder), str(self._lake), ",".join(self._records)]
        with (self.folder / "recorder.log").open("ab") as log:
            subprocess.Popen(  # noqa: S603 - our own program, with paths of our own
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, close_fds=True
            )
        deadline = time.monotonic() + _BEGIN
        while time.monotonic() < deadline:
            told = self._told()
            if told.get("state") == "failed":
                raise SensorError(str(told.get("problem")))
            if told.get("state") == "recording":
                return
            time.sleep(0.05)
        raise SensorError("the recorder of the audit did not begin", where=str(self.folder / "recorder.log"))

    def poll(self, positions: Mapping[str, Position], budget: int) -> Iterator[Chunk]:
        for chunk in super().poll(positions, budget):
            yield replace(chunk, host=self._host)
        if time.monotonic() - self._asked > 1.0:
            self._hear()

    def _hear(self) -> None:
        """What the recorder tells of losses; that it is there at all."""
        self._asked = time.monotonic()
        told = self._told()
        lost = told.get("lost")
        for what, count in lost.items() if isinstance(lost, dict) else ():
            if isinstance(count, int) and count:
                self.state.lost[what] = max(count, self.state.lost[what])
        recording = self._is_recording()
        self.state.doing = "waiting" if recording else "failed"
        self.state.problem = str(told.get("problem") or "") if recording else "the recorder of the audit has ended"

    def _told(self) -> Mapping[str, object]:
        try:
            found = json.loads((self.folder / _TOLD).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def _is_recording(self) -> bool:
        try:
            with (self.folder / _LOCK).open("rb") as stream:
                fcntl.flock(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:
            return False
        return False

    def stop(self) -> None:
        """Ends the recorder, which puts the audit back as it was; what it wrote is still given."""
        process = self._told().get("process")
        if not isinstance(process, int) or not self._is_recording():
            return
        try:
            os.kill(process, signal.SIGTERM)  # it holds the lock, so the number is its own
        except OSError:
            return
        deadline = time.monotonic() + _END
        while self._is_recording() and time.monotonic() < deadline:
            time.sleep(0.05)


def open_audit(address: Address) -> AuditSource:
    """`audit:`, or `audit:?records=executions,connections,creations`."""
    address.known("records")
    records = tuple((address.option("records") or "executions,connections").split(","))
    if wrong := sorted(set(records) - set(_RECORDS)):
        raise UsageError(f"{address.name}: there are no records {wrong[0]!r}", hint=f"there are: {', '.join(_RECORDS)}")
    return AuditSource(address.name, address.folder / "spool" / "audit", address.folder, records)
