"""Alerts: read, and closed with what they were, so that Defender's queue says the same as ours."""

from __future__ import annotations

import urllib.parse
from dataclasses import dataclass

import msgspec

from perilune.connectors.defender.api import Api, reason
from perilune.errors import ConnectorError
from perilune.model.actions import Closing, Outcome, Receipt

CLASSES = {
    Closing.HANDLED: ("TruePositive", "Malware"),
    Closing.FALSE_POSITIVE: ("FalsePositive", "NotMalicious"),
    Closing.EXPECTED: ("InformationalExpectedActivity", "ConfirmedActivity"),
}


class _Alert(msgspec.Struct):
    id: str
    status: str = ""
    classification: str | None = None


@dataclass(frozen=True, slots=True)
class Alerts:
    """The alerts of a tenant."""

    api: Api

    def close(self, identifier: str, closing: Closing, comment: str) -> Receipt:
        """Resolved with its class; one that is resolved as that already is left as it is."""
        path = f"/api/alerts/{urllib.parse.quote(identifier, safe='')}"
        classification, determination = CLASSES[closing]
        before = self.api.get(path, _Alert)
        if (before.status, before.classification) == ("Resolved", classification):
            return Receipt(Outcome.ALREADY, "it was resolved as that already", identifier)
        body = {
            "status": "Resolved",
            "classification": classification,
            "determination": determination,
            "comment": comment,
        }
        answer = self.api.send("PATCH", path, body, changes=True)
        if answer.status >= 500:
            raise ConnectorError(f"{answer.status} {reason(answer)}", where=path)
        if answer.status != 200:
            return Receipt(Outcome.FAILED, f"{answer.status} {reason(answer)}", identifier)
        after = self.api.get(path, _Alert)
        done = (after.status, after.classification) == ("Resolved", classification)
        return Receipt(Outcome.DONE if done else Outcome.FAILED, f"the alert is {after.status}", identifier)
