"""Runs Lua in a locked child process and tells what it did; refuses where the cage cannot be proved shut.

>>> from perilune.analysis.lua import cage, identify
>>> ready, why = cage.available()
"""

from __future__ import annotations

import atexit
import os
import threading
from dataclasses import dataclass
from importlib.util import find_spec

from perilune.analysis.lua.run import passes
from perilune.analysis.lua.run.spawn import BROKE, Unavailable, Zygote
from perilune.model.lua import Identity, Outcome, Trace

NO_RUNTIME = "no Lua to run it with is installed: pip install 'perilune[lua]'"


@dataclass(frozen=True, slots=True)
class Budget:
    """What one program may use, over all its passes.

    pass_seconds  wall clock of one pass;  seconds: of all passes
    steps         instructions of one pass
    trace         bytes of one pass's trace
    """

    pass_seconds: float = 6.0
    seconds: float = 20.0
    steps: int = 60_000_000
    passes: int = 8
    trace: int = 24 << 20
    events: int = 5_000


class _Cage:
    """The one zygote of this process, or why there is none."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.zygote: Zygote | None = None
        self.refused = ""

    def get(self) -> Zygote:
        with self.lock:
            if self.zygote is None:
                if self.refused:
                    raise Unavailable(self.refused)
                try:
                    self.zygote = Zygote()
                except (Unavailable, OSError) as error:
                    self.refused = str(error) if isinstance(error, Unavailable) else f"isolation unavailable: {error}"
                    raise Unavailable(self.refused) from None
            return self.zygote

    def close(self) -> None:
        if self.zygote is not None:
            self.zygote.close()
            self.zygote = None

    def forget(self) -> None:
        """In a forked process: the zygote is the parent's."""
        if self.zygote is not None:
            self.zygote.forget()
        self.__init__()  # type: ignore[misc]


_cage = _Cage()
atexit.register(_cage.close)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_cage.forget)


def available() -> tuple[bool, str]:
    """Whether programs can be run here: with the layers that were proved, or why not."""
    if find_spec("lupa") is None:
        return False, NO_RUNTIME
    try:
        return True, ", ".join(_cage.get().layers)
    except Unavailable as why:
        return False, str(why)


def run(code: bytes, identity: Identity, *, name: str = "", budget: Budget | None = None) -> Trace:
    """Runs a program against stubs that record. Never raises for what the program does."""
    if find_spec("lupa") is None:
        return Trace(Outcome.NOT_EXECUTED, NO_RUNTIME)
    why = ""
    for _ in range(2):  # a zygote may have been killed by somebody: one more gets its chance
        try:
            return passes.run(_cage.get(), code, identity, name, budget or Budget())
        except (Unavailable, OSError) as error:
            _cage.close()
            why = str(error) if isinstance(error, Unavailable) else f"isolation unavailable: {error}"
            if not why.startswith(BROKE):
                break
    return Trace(Outcome.NOT_EXECUTED, why)
