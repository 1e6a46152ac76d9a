"""Other alerts of a case's host by ATT&CK tactic, and the errors that scripts left in application logs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta

from perilune.investigation.persistence import SHOWN
from perilune.investigation.scope import Scope, fact, find
from perilune.model.facts import Fact, Kind
from perilune.model.findings import Finding

WITHIN = timedelta(hours=24)  # the plan of the runbook asks for a day
MAX_PER_TACTIC = 5

TACTICS = (
    "reconnaissance", "resource-development", "initial-access", "execution", "persistence", "privilege-escalation",
    "defense-evasion", "credential-access", "discovery", "lateral-movement", "collection", "command-and-control",
    "exfiltration", "impact",
)  # fmt: skip
_NEWER: Mapping[str, str] = {"stealth": "defense-evasion", "defense-impairment": "defense-evasion"}
_PRODUCTS = r"(?i)(antivirus(detection|report)|alert|malware|threat|AmsiScript|exploitguard|smartscreen|asr\w*(audited|blocked))"  # noqa: E501
_ERRORS = r"(?i)(runtime error|attempt to|lua entry thread|stack traceback|syntax error|script.*(failed|attempted|error)|bad argument|unexpected symbol|version mismatch)"  # noqa: E501


def tactics_of(finding: Finding) -> tuple[str, ...]:
    """The tactics that a finding's rule names."""
    names = (tag.lower().removeprefix("attack.").replace("_", "-") for tag in finding.tags)
    found = (_NEWER.get(name, name) for name in names)
    return tuple(dict.fromkeys(name for name in found if name in TACTICS))


def find_alerts(scope: Scope, others: Sequence[Finding]) -> Iterator[Fact]:
    """What other findings and other products say of this host within a day, by tactic."""
    inside = {finding.id for finding in scope.findings}
    counted: dict[tuple[str, str], int] = {}
    for finding in sorted(others, key=lambda one: -one.score):
        if finding.id in inside or not _near(scope, finding):
            continue
        for tactic in tactics_of(finding) or ("no tactic named",):
            counted[tactic, finding.rule_id] = counted.get((tactic, finding.rule_id), 0) + 1
            if counted[tactic, finding.rule_id] == 1:
                said = f"{tactic}: {finding.rule_title} ({finding.level.word})"
                yield Fact(Kind.ALERT, tactic, said, finding.rule_id, finding.event, finding.time, scope.host, False,
                           ("grave",) if finding.score >= 45 else ())  # fmt: skip
    yield from _of_products(scope)


def _near(scope: Scope, finding: Finding) -> bool:
    if finding.time is None or scope.begin is None or scope.end is None:
        return True
    return scope.begin - WITHIN <= finding.time <= scope.end + WITHIN


def _of_products(scope: Scope) -> Iterator[Fact]:
    for hit in find(scope, "DeviceEvents", ("ActionType",), _PRODUCTS):
        said = f"{hit.text('ActionType')}: {hit.text('AdditionalFields')[:SHOWN]}"
        yield fact(scope, Kind.ALERT, "of a product", said, hit, hit.text("ActionType"), "grave")
    for hit in find(scope, "DeviceNetworkEvents", ("XSignature",), r"."):
        said = f"{hit.text('XSignature')} ({hit.text('RemoteIP') or 'address unknown'})"
        yield fact(scope, Kind.ALERT, "of a network sensor", said, hit, hit.text("XSignature"), "grave")


def find_errors(scope: Scope) -> Iterator[Fact]:
    """Errors of scripts in application logs near the case; code built at run time is marked."""
    for hit in find(scope, "XAppLogEvents", ("XMessage",), _ERRORS):
        dynamic = ("dynamic",) if hit.row.get("XDynamicCode") is True else ()
        said = f"{hit.text('XApplication') or 'an application'}: {' '.join(hit.text('XMessage').split())[:SHOWN]}"
        yield fact(scope, Kind.ERROR, "Script error", said, hit, hit.text("XMessage")[:120], *dynamic)
