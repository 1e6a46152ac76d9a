"""A fleet that exists only here: for dry runs, training and tests, with faults on demand.

Its state is one JSON file when it is given one, changed under a lock, so that several processes see the same fleet.
Every host that is asked for is a workstation unless the fleet says otherwise. It never touches anything real.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path

import msgspec

from perilune.errors import ConnectorError
from perilune.model.actions import (
    Action,
    Endpoint,
    Kind,
    Observation,
    Outcome,
    Receipt,
    Request,
    Role,
    State,
    TargetType,
)
from perilune.ports import look_again

# What a kind sets, and to what: the inverse sets it back. Kinds that are not here leave a mark of their own.
_SETS = {
    Kind.ISOLATE_HOST: ("isolated", True),
    Kind.RELEASE_HOST: ("isolated", False),
    Kind.BLOCK_INDICATOR: ("blocked", True),
    Kind.UNBLOCK_INDICATOR: ("blocked", False),
    Kind.QUARANTINE_FILE: ("quarantined", True),
    Kind.RESTORE_FILE: ("quarantined", False),
    Kind.DISABLE_USER: ("disabled", True),
    Kind.ENABLE_USER: ("disabled", False),
    Kind.RESTRICT_INTERPRETER: ("restricted", True),
    Kind.ALLOW_INTERPRETER: ("restricted", False),
}


class Fault(msgspec.Struct, frozen=True):
    """What goes wrong, for actions of this kind, so many times: `fail`, `timeout`, `lost`, `away`, `half`, `refuse`.

    timeout  nothing happens and nobody answers; lost: it happens and nobody answers
    half     the answer is success and nothing happened
    """

    kind: str
    what: str
    times: int = 1


class Fleet(msgspec.Struct):
    """Endpoints by name, marks by target, every call in order with its time in seconds since the epoch."""

    endpoints: dict[str, list[Endpoint]] = {}
    marks: dict[str, bool] = {}
    calls: list[tuple[str, str, str]] = []
    times: list[float] = []
    faults: list[Fault] = []


@dataclass(slots=True)
class Simulated:
    """The connector. Without a path the fleet lives and dies with the object.

    remembers  whether it knows a key that it acted on before; most real products do not
    """

    path: Path | None = None
    fleet: Fleet = field(default_factory=Fleet)
    remembers: bool = True
    name: str = "simulated"
    handles: frozenset[tuple[Kind, TargetType]] = frozenset(product(Kind, TargetType))

    def endpoints(self, host: str) -> Sequence[Endpoint]:
        with self._open() as fleet:
            known = Endpoint(f"sim-{host}", host, Role.WORKSTATION, platform="simulated")
            return fleet.endpoints.setdefault(host, [known])

    def describe(self, action: Action) -> Sequence[Request]:
        name, value = _mark(action)
        return [
            Request(f"set {name} = {str(value).lower()}", effect=f"{action.kind} {action.target.words} (simulated)")
        ]

    def check(self, action: Action) -> Observation:
        with self._open() as fleet:
            if _take(fleet, action, "away"):
                return Observation(State.AWAY, "the simulated host is switched off")
            name, value = _mark(action)
            held = fleet.marks.get(name, False) is value
            return Observation(
                State.HOLDS if held else State.ABSENT, f"{name} is {str(fleet.marks.get(name, False)).lower()}"
            )

    def act(self, action: Action, key: str) -> Receipt:
        with self._open() as fleet:
            if _take(fleet, action, "refuse"):
                return Receipt(Outcome.REFUSED, "the simulated product refuses")
            if _take(fleet, action, "fail"):
                return Receipt(Outcome.FAILED, "the simulated product failed")
            if _take(fleet, action, "timeout"):
                raise ConnectorError("the simulated product did not answer")
            look_again()
            if self.remembers and any(call[2] == key for call in fleet.calls):
                return Receipt(Outcome.DONE, "it was done under this key before", key)
            fleet.calls.append((action.kind.value, action.target.key, key))
            fleet.times.append(time.time())
            if not _take(fleet, action, "half"):
                name, value = _mark(action)
                fleet.marks[name] = value
            lost = _take(fleet, action, "lost")
        if lost:
            raise ConnectorError("the simulated product's answer was lost")
        return Receipt(Outcome.DONE, reference=key)

    @contextmanager
    def _open(self) -> Iterator[Fleet]:
        """The fleet, alone; written back whole."""
        if self.path is None:
            yield self.fleet
            return
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with self.path.with_suffix(".lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            fleet = msgspec.json.decode(self.path.read_bytes(), type=Fleet) if self.path.exists() else Fleet()
            yield fleet
            fresh = self.path.with_suffix(f".{os.getpid()}")
            fresh.write_bytes(msgspec.json.encode(fleet))
            fresh.replace(self.path)


def _mark(action: Action) -> tuple[str, bool]:
    word, value = _SETS.get(action.kind, (action.kind.value, True))
    return f"{word} {action.target.key}", value


def _take(fleet: Fleet, action: Action, what: str) -> bool:
    """Uses up one of the faults of this kind, if there is one."""
    for number, fault in enumerate(fleet.faults):
        if fault.what == what and fault.kind in (action.kind.value, "*") and fault.times > 0:
            fleet.faults[number] = Fault(fault.kind, what, fault.times - 1)
            return True
    return False
