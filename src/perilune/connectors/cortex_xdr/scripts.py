"""Scripts of the tenant's library, run on one endpoint, polled to their end, their output read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from perilune.connectors.cortex_xdr.api import Api
from perilune.connectors.cortex_xdr.endpoints import chosen
from perilune.errors import ConnectorError, UsageError
from perilune.model.actions import Receipt

LONGEST = 600  # seconds that a script may take
POLLS = 90
EVERY = 10.0
UNDER_WAY = ("PENDING", "IN_PROGRESS", "PENDING_ABORT")


class _Status(msgspec.Struct):
    general_status: str = ""


class _StatusReply(msgspec.Struct):
    reply: _Status


class Ran(msgspec.Struct):
    """How a script ended on an endpoint."""

    endpoint_id: str = ""
    execution_status: str = ""
    standard_output: str | list[str] | None = None


class _Results(msgspec.Struct):
    results: list[Ran] = []


class _ResultsReply(msgspec.Struct):
    reply: _Results


@dataclass(frozen=True, slots=True)
class Scripts:
    """Runs what is in the library; a piece of code that a case brings along is never sent."""

    api: Api

    def start(self, script: str, endpoint: str, values: Mapping[str, str], *, timeout: int = LONGEST) -> Receipt:
        if not 1 <= timeout <= LONGEST:
            raise UsageError(f"a script may take 1 to {LONGEST} seconds")
        data: dict[str, object] = {"filters": chosen(endpoint), "script_uid": script, "timeout": timeout}
        return self.api.change("scripts/run_script", data | {"parameters_values": dict(values)})

    def wait(self, action: str, endpoint: str) -> Ran:
        """The end of a run on one endpoint; raises where it does not come, or is not a success."""
        asked = {"action_id": int(action) if action.isdecimal() else action}
        for _ in range(POLLS):
            status = self.api.ask("scripts/get_script_execution_status", asked, _StatusReply).reply.general_status
            if status not in UNDER_WAY:
                break
            self.api.sleep(EVERY)
        else:
            raise ConnectorError("the script did not come to an end", where=action)
        results = self.api.ask("scripts/get_script_execution_results", asked, _ResultsReply).reply.results
        mine = next((one for one in results if one.endpoint_id == endpoint), None)
        if mine is None or mine.execution_status != "COMPLETED_SUCCESSFULLY":
            raise ConnectorError(f"the script ended as {mine.execution_status if mine else status}", where=action)
        return mine
