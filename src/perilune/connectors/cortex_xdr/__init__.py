"""Cortex XDR and XSIAM: endpoints, files, hashes, processes and alerts by the public API of `public_api/v1`.

Written after the vendor's documentation. Nothing of it is idempotent, so states are read first; an endpoint's isolation
is read from the endpoint itself, not from the answer that took the request. Generation 5 of the API has no calls that
end processes and other ones for alerts: there these are not offered.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from perilune.connectors.cortex_xdr.alerts import Alerts
from perilune.connectors.cortex_xdr.api import Api, Key, tenant_base
from perilune.connectors.cortex_xdr.endpoints import Endpoints, as_endpoint
from perilune.connectors.cortex_xdr.hashes import Hashes
from perilune.connectors.cortex_xdr.processes import Processes
from perilune.connectors.cortex_xdr.scripts import Scripts
from perilune.connectors.cortex_xdr.xql import Xql
from perilune.connectors.tools import Tool, pick
from perilune.errors import UsageError
from perilune.model.actions import Action, Endpoint, Kind, Observation, Receipt, Request, TargetType

__all__ = ["CortexXdr", "Key", "tenant_base"]

GENERATIONS = (3, 5)
_TOOLS: Mapping[tuple[Kind, TargetType], str] = {
    (Kind.ISOLATE_HOST, TargetType.HOST): "endpoints",
    (Kind.RELEASE_HOST, TargetType.HOST): "endpoints",
    (Kind.QUARANTINE_FILE, TargetType.FILE): "endpoints",
    (Kind.RESTORE_FILE, TargetType.FILE): "endpoints",
    (Kind.BLOCK_INDICATOR, TargetType.HASH): "hashes",
    (Kind.UNBLOCK_INDICATOR, TargetType.HASH): "hashes",
    (Kind.TERMINATE_PROCESS, TargetType.PROCESS): "processes",
    (Kind.TERMINATE_TREE, TargetType.PROCESS): "processes",
}


@dataclass(slots=True)
class CortexXdr:
    """The connector. `base` is the tenant's API address, `generation` that of the API."""

    base: str
    key: Key
    generation: int = 3
    sleep: Callable[[float], None] = time.sleep
    name: str = "cortex_xdr"
    handles: frozenset[tuple[Kind, TargetType]] = frozenset(_TOOLS)
    api: Api = field(init=False)
    processes: Processes = field(init=False)

    def __post_init__(self) -> None:
        if self.generation not in GENERATIONS:
            raise UsageError(f"the API has no generation {self.generation}", hint="it is 3 or 5")
        self.api = Api(self.base, self.key, self.sleep)
        self.processes = Processes(self.api)
        if self.generation != 3:
            self.handles = frozenset(one for one in _TOOLS if _TOOLS[one] != "processes")

    @property
    def xql(self) -> Xql:
        return Xql(self.api)

    @property
    def scripts(self) -> Scripts:
        return Scripts(self.api)

    @property
    def alerts(self) -> Alerts:
        return Alerts(self.api, self.generation)

    def endpoints(self, host: str) -> Sequence[Endpoint]:
        return [as_endpoint(one, host) for one in Endpoints(self.api).called(host)]

    def describe(self, action: Action) -> Sequence[Request]:
        return self._tool(action).describe(action)

    def check(self, action: Action) -> Observation:
        return self._tool(action).check(action)

    def act(self, action: Action, key: str) -> Receipt:
        return self._tool(action).act(action, key)

    def _tool(self, action: Action) -> Tool:
        tools: Mapping[str, Tool] = {
            "endpoints": Endpoints(self.api),
            "hashes": Hashes(self.api),
            "processes": self.processes,
        }
        return pick(self.name, _TOOLS, tools, action)
