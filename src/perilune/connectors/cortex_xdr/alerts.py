"""Alerts and incidents closed with what they were, in the words of the 3.x API; 5.x has other calls for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from perilune.connectors.cortex_xdr.api import Api
from perilune.errors import UsageError
from perilune.model.actions import Closing, Outcome, Receipt

STATUSES = {
    Closing.HANDLED: "resolved_threat_handled",
    Closing.FALSE_POSITIVE: "resolved_false_positive",
    Closing.EXPECTED: "resolved_known_issue",
}
MOST = 100


class _Incident(msgspec.Struct):
    incident_id: str | int = ""
    status: str = ""


class _Incidents(msgspec.Struct):
    incidents: list[_Incident] = []


class _IncidentsReply(msgspec.Struct):
    reply: _Incidents


@dataclass(frozen=True, slots=True)
class Alerts:
    """The alerts and incidents of a tenant."""

    api: Api
    generation: int = 3

    def close(self, alerts: Sequence[str], closing: Closing, comment: str) -> Receipt:
        self._supported()
        if not 1 <= len(alerts) <= MOST:
            raise UsageError(f"1 to {MOST} alerts are closed at once")
        update = {"status": STATUSES[closing], "comment": comment}
        return self.api.change("alerts/update_alerts", {"alert_id_list": list(alerts), "update_data": update})

    def close_incident(self, incident: str, closing: Closing, comment: str) -> Receipt:
        """Seen to be closed: the incident's own status is read afterwards."""
        self._supported()
        update = {"status": STATUSES[closing], "resolve_comment": comment}
        if self.status(incident) == STATUSES[closing]:
            return Receipt(Outcome.ALREADY, "it was closed as that already", incident)
        receipt = self.api.change("incidents/update_incident", {"incident_id": incident, "update_data": update})
        if receipt.outcome is not Outcome.DONE:
            return receipt
        after = self.status(incident)
        return Receipt(Outcome.DONE if after == STATUSES[closing] else Outcome.FAILED, f"it is {after}", incident)

    def status(self, incident: str) -> str:
        chosen = {"field": "incident_id_list", "operator": "in", "value": [incident]}
        data = {"filters": [chosen], "search_from": 0, "search_to": 1}
        found = self.api.ask("incidents/get_incidents", data, _IncidentsReply).reply.incidents
        return found[0].status if found else "not there"

    def _supported(self) -> None:
        if self.generation != 3:
            raise UsageError("alerts are closed by the 3.x API only", hint="5.x calls them issues; close them there")
