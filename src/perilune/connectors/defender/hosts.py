"""What is done to a machine: isolation, a package of evidence, code restricted to what Microsoft signed; its files."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import msgspec

from perilune.connectors.defender.machines import ENDED_BADLY, Machines, opening, state_of
from perilune.errors import ConnectorError
from perilune.model.actions import Action, Kind, Observation, Outcome, Receipt, Request, State, TargetType

FRESH = timedelta(hours=1)  # a package of evidence older than this is not the one that is wanted
# What is called, what the machine action is called then, and which type of action has the last word about its state.
CALLS = {
    Kind.ISOLATE_HOST: ("isolate", "Isolate", ("Isolate", "Unisolate")),
    Kind.RELEASE_HOST: ("unisolate", "Unisolate", ("Isolate", "Unisolate")),
    Kind.COLLECT_EVIDENCE: (
        "collectInvestigationPackage", "CollectInvestigationPackage", ("CollectInvestigationPackage",),
    ),
    Kind.RESTRICT_INTERPRETER: (
        "restrictCodeExecution", "RestrictCodeExecution", ("RestrictCodeExecution", "UnrestrictCodeExecution"),
    ),
    Kind.ALLOW_INTERPRETER: (
        "unrestrictCodeExecution", "UnrestrictCodeExecution", ("RestrictCodeExecution", "UnrestrictCodeExecution"),
    ),
    Kind.QUARANTINE_FILE: ("StopAndQuarantineFile", "StopAndQuarantineFile", ("StopAndQuarantineFile",)),
}  # fmt: skip
LIFTS = ("Unisolate", "UnrestrictCodeExecution")  # hold where nothing was ever done
MICROSOFTS = re.compile(r"^[a-z]:\\windows\\", re.IGNORECASE)
_REACH = {
    Kind.RESTRICT_INTERPRETER: "on the whole machine only what Microsoft signed may run, not only this interpreter",
    Kind.QUARANTINE_FILE: "the file is stopped and taken away wherever it is on the machine",
}


class _File(msgspec.Struct):
    sha1: str = ""
    sha256: str = ""
    isValidCertificate: bool | None = None
    signer: str | None = None


@dataclass(frozen=True, slots=True)
class Hosts:
    """Isolate, release, collect, restrict, allow, stop and quarantine."""

    machines: Machines

    def describe(self, action: Action) -> Sequence[Request]:
        effect = _REACH.get(action.kind, f"{action.kind} {action.target.words}")
        body = self._body(action, "{run}:{action}", "{sha1}")
        path = f"{self.machines.api.base}/api/machines/{{machine}}/{CALLS[action.kind][0]}"
        return [Request(f"POST {path}", msgspec.json.encode(body).decode(), effect)]

    def check(self, action: Action) -> Observation:
        machine = self.machines.one(_host(action))
        _, word, about = CALLS[action.kind]
        sha1 = self._file(action).sha1.lower() if action.kind is Kind.QUARANTINE_FILE else ""
        found = (one for one in self.machines.actions(machine) if one.type in about and one.status not in ENDED_BADLY)
        newest = next((one for one in found if not sha1 or _is_about(one.relatedFileInfo, sha1)), None)
        if newest is None:
            return Observation(State.HOLDS if word in LIFTS else State.ABSENT, "no such action on record")
        if newest.type != word:
            return Observation(State.ABSENT, f"the last was {newest.type}")
        if action.kind is Kind.COLLECT_EVIDENCE and newest.status == "Succeeded" and newest.age > FRESH:
            return Observation(State.ABSENT, "the last package is older than an hour")
        return state_of(newest)

    def act(self, action: Action, key: str) -> Receipt:
        sha1 = ""
        if action.kind is Kind.RESTRICT_INTERPRETER and MICROSOFTS.match(action.target.value):
            return Receipt(Outcome.REFUSED, "the restriction spares what Microsoft signed, so this would still run")
        if action.kind is Kind.QUARANTINE_FILE:
            known = self._file(action)
            if known.isValidCertificate:
                return Receipt(Outcome.REFUSED, f"it is signed by {known.signer}: Defender does not quarantine that")
            sha1 = known.sha1
        machine = self.machines.one(_host(action))
        return self.machines.submit(machine, CALLS[action.kind][0], self._body(action, key, sha1), key)

    def _body(self, action: Action, key: str, sha1: str) -> dict[str, object]:
        body: dict[str, object] = {"Comment": opening(key) + action.why}
        if action.kind is Kind.ISOLATE_HOST:
            body["IsolationType"] = "Full"
        if action.kind is Kind.QUARANTINE_FILE:
            body["Sha1"] = sha1
        return body

    def _file(self, action: Action) -> _File:
        """By what we know of it; the quarantine wants the SHA-1."""
        known = action.target.sha256
        if not re.fullmatch(r"[0-9a-fA-F]{64}", known):
            raise ConnectorError(
                "Defender takes a file by its hash, and the hash is not known", where=action.target.value
            )
        found = self.machines.api.get(f"/api/files/{known}", _File)
        if not re.fullmatch(r"[0-9a-fA-F]{40}", found.sha1):
            raise ConnectorError("Defender knows no SHA-1 of this file", where=action.target.value)
        return found


def _is_about(info: object, sha1: str) -> bool:
    return (getattr(info, "fileIdentifier", "") or "").lower() == sha1


def _host(action: Action) -> str:
    return action.target.value if action.target.type is TargetType.HOST else action.target.host
