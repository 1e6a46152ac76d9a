"""Runs Lua in a locked child process and tells what it did; refuses where the cage cannot be proved shut."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec

from perilune.model.lua import Identity, Outcome, Trace

NO_RUNTIME = "no Lua to run it with is installed: pip install 'perilune[lua]'"


@dataclass(frozen=True, slots=True)
class Budget:
    """What one program may use, over all its passes.

    pass_seconds  wall clock of one pass;  seconds: of all passes
    steps         instructions of one pass
    """

    pass_seconds: float = 6.0
    seconds: float = 20.0
    steps: int = 60_000_000
    memory: int = 128 << 20
    passes: int = 8
    trace: int = 8 << 20
    events: int = 5_000


def available() -> tuple[bool, str]:
    """Whether programs can be run here; where not, why."""
    if find_spec("lupa") is None:
        return False, NO_RUNTIME
    return False, "isolation unavailable: the cage is not closed yet"


def run(code: bytes, identity: Identity, *, name: str = "", budget: Budget | None = None) -> Trace:
    """Runs a program against stubs that record. Never raises for what the program does."""
    ready, why = available()
    return Trace(Outcome.NOT_EXECUTED, why if not ready else "")
