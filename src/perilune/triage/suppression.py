"""Findings that people have decided not to be shown are taken out, counted, and named with who, why and until when."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import date

from perilune.model.findings import Finding
from perilune.model.people import fits
from perilune.model.suppression import Suppressed, Suppression

MAX_EXAMPLES = 5
MAX_VALUE = 8_000  # characters of a field that a pattern looks at


def suppress(
    findings: Sequence[Finding], suppressions: Sequence[Suppression], today: date
) -> tuple[tuple[Finding, ...], tuple[Suppressed, ...]]:
    """The findings that stay, and what each suppression did; one that has expired does nothing and says so."""
    valid = [one for one in suppressions if one.expires >= today]
    kept: list[Finding] = []
    taken: dict[int, list[Finding]] = defaultdict(list)
    for finding in findings:
        number = next((number for number, one in enumerate(valid) if holds(one, finding)), None)
        if number is None:
            kept.append(finding)
        else:
            taken[number].append(finding)
    done = [_done(one, taken[number]) for number, one in enumerate(valid)]
    return tuple(kept), (*done, *(Suppressed(one, 0, expired=True) for one in suppressions if one.expires < today))


def _done(one: Suppression, found: Sequence[Finding]) -> Suppressed:
    return Suppressed(one, len(found), tuple(finding.event for finding in found[:MAX_EXAMPLES]))


def holds(one: Suppression, finding: Finding) -> bool:
    """Whether a suppression speaks of a finding: its rule, and every field that it names."""
    if one.rule.lower() not in (finding.rule_id.lower(), finding.rule_title.lower()):
        return False
    return all(_fits(finding, name, pattern) for name, pattern in one.where.items())


def _fits(finding: Finding, name: str, pattern: str) -> bool:
    value = {"host": finding.host, "user": finding.user}.get(name) or finding.row.get(name)
    if value is None:
        return False
    text = str(value)
    if len(text) > MAX_VALUE:
        return False  # not looked at in full, so not suppressed
    lowered, wanted = text.lower(), pattern.lower()
    return fits(lowered, wanted) if "*" in wanted else lowered == wanted


_TELLING = ("DeviceName", "FolderPath", "ProcessCommandLine", "RegistryKey", "RemoteIP")


def propose(finding: Finding, *, owner: str, reason: str, expires: date) -> str:
    """A suppression for a finding as YAML, to be read, narrowed and put into the content folder by a person."""
    import yaml

    fields = {name: str(finding.row[name]) for name in _TELLING if finding.row.get(name)}
    one = {
        "id": f"{finding.rule_id[:8] or 'rule'}-{finding.id[:8]}",
        "rule": finding.rule_id or finding.rule_title,
        "where": {name: value.replace("*", "?")[:MAX_VALUE] for name, value in fields.items()},
        "owner": owner,
        "reason": reason,
        "expires": expires,
    }
    return yaml.safe_dump({"suppressions": [one]}, sort_keys=False, allow_unicode=True, width=120)
