"""Microsoft Defender for Endpoint: actions on machines, files, processes and indicators by its REST API.

Written after Microsoft's documentation of the API. Nothing of it is idempotent, so each act reads first; a machine
action holds only when the API says that it succeeded, not when it was taken. A file in its quarantine is not restored
by the API: Microsoft documents a command on the machine itself for that, so undoing says that it cannot.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product

from perilune.connectors.defender.alerts import Alerts
from perilune.connectors.defender.api import API, LOGIN, Api, Secrets, region_base
from perilune.connectors.defender.hosts import CALLS, Hosts
from perilune.connectors.defender.hunting import Hunting
from perilune.connectors.defender.indicators import TYPES, Indicators
from perilune.connectors.defender.live_response import LiveResponse
from perilune.connectors.defender.machines import Machines
from perilune.connectors.tools import Tool, pick
from perilune.model.actions import Action, Endpoint, Kind, Observation, Receipt, Request, TargetType

__all__ = ["API", "Defender", "Secrets", "region_base"]

_TYPES = {Kind.QUARANTINE_FILE: TargetType.FILE, Kind.RESTRICT_INTERPRETER: TargetType.INTERPRETER,
          Kind.ALLOW_INTERPRETER: TargetType.INTERPRETER}  # fmt: skip
_BLOCKED = product((Kind.BLOCK_INDICATOR, Kind.UNBLOCK_INDICATOR), (*TYPES, TargetType.HASH))
_TOOLS: Mapping[tuple[Kind, TargetType], str] = {
    **{(kind, _TYPES.get(kind, TargetType.HOST)): "hosts" for kind in CALLS},
    **dict.fromkeys(_BLOCKED, "indicators"),
    (Kind.TERMINATE_PROCESS, TargetType.PROCESS): "live_response",
}


@dataclass(slots=True)
class Defender:
    """The connector. `terminate_script` is a script of the tenant's library that ends one process."""

    secrets: Secrets
    base: str = API
    login: str = LOGIN
    terminate_script: str = ""
    sleep: Callable[[float], None] = time.sleep
    name: str = "defender"
    handles: frozenset[tuple[Kind, TargetType]] = frozenset(_TOOLS)
    api: Api = field(init=False)

    def __post_init__(self) -> None:
        self.api = Api(self.secrets, self.base, self.login, self.sleep)
        if not self.terminate_script:
            self.handles -= {(Kind.TERMINATE_PROCESS, TargetType.PROCESS)}

    @property
    def machines(self) -> Machines:
        return Machines(self.api)

    @property
    def live_response(self) -> LiveResponse:
        return LiveResponse(self.machines, self.terminate_script)

    @property
    def alerts(self) -> Alerts:
        return Alerts(self.api)

    @property
    def hunting(self) -> Hunting:
        return Hunting(self.api)

    def endpoints(self, host: str) -> Sequence[Endpoint]:
        return self.machines.called(host)

    def describe(self, action: Action) -> Sequence[Request]:
        return self._tool(action).describe(action)

    def check(self, action: Action) -> Observation:
        return self._tool(action).check(action)

    def act(self, action: Action, key: str) -> Receipt:
        return self._tool(action).act(action, key)

    def _tool(self, action: Action) -> Tool:
        tools: Mapping[str, Tool] = {
            "hosts": Hosts(self.machines),
            "indicators": Indicators(self.api),
            "live_response": self.live_response,
        }
        return pick(self.name, _TOOLS, tools, action)
