"""Cases as one STIX 2.1 bundle: what was seen, which techniques, which indicators, and what was concluded.

For each case a grouping, a note with the verdict, the techniques as attack patterns, a sighting of each technique with
the events that show it as observed data, and indicators that point at the techniques. Ids are UUIDv5, so that the same
case gives the same objects: of observables as the standard says (section 2.9), of the rest in a name space of our own.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime

from perilune.model.answers import Confidence
from perilune.model.case import Case
from perilune.model.findings import Finding
from perilune.report.attack import technique_name, technique_page
from perilune.report.inert import filled, fit, whole
from perilune.report.observables import Observable, What, find_observables
from perilune.report.stix_observed import Plain, Seen, observe, stamp

IDS = uuid.UUID("2f2b1b0a-5b0b-5b8e-8c59-6f5d3c3f9d11")  # our own name space
TEXT_MOST = 8_000
FINDINGS_MOST = 1_000  # of one case

_CONFIDENCE = {Confidence.LOW: 15, Confidence.MEDIUM: 50, Confidence.HIGH: 85}
_PATTERNS = {
    What.IPV4: "ipv4-addr:value",
    What.IPV6: "ipv6-addr:value",
    What.DOMAIN: "domain-name:value",
    What.URL: "url:value",
    What.MD5: "file:hashes.MD5",
    What.SHA1: "file:hashes.'SHA-1'",
    What.SHA256: "file:hashes.'SHA-256'",
}
_BEGINNING = datetime(2020, 1, 1, tzinfo=UTC)  # of what has no time at all


def bundle(cases: Iterable[Case]) -> Plain:
    """All the cases' objects, each once."""
    objects: dict[str, Plain] = {}
    for case in cases:
        for one in _objects(case):
            objects.setdefault(str(one["id"]), one)
    name = "|".join(sorted(objects))
    return {"type": "bundle", "id": _id("bundle", name), "objects": list(objects.values())}


def _objects(case: Case) -> Iterator[Plain]:
    made = _Maker(case)
    us = _identity(made, "Perilune", "system", "A program that detects and explains the abuse of script interpreters")
    yield us
    hosts = {host: _identity(made, host, "system") for host in case.hosts or (case.host,) if host}
    yield from hosts.values()
    patterns = {name: _attack_pattern(made, name) for name in _techniques(case)}
    yield from patterns.values()
    seen = {one.id: _observed(made, one) for one in case.findings[:FINDINGS_MOST]}
    for data, parts in seen.values():
        yield from (data, *parts)
    inside = [*hosts.values(), *patterns.values(), *(data for data, _ in seen.values())]
    sightings = list(_sightings(made, case, patterns, hosts, {id_: data for id_, (data, _) in seen.items()}))
    indicators = list(_indicators(made, case, patterns))
    yield from sightings
    yield from indicators
    inside += sightings + indicators
    reference = {"source_name": "perilune", "external_id": _words(case.id or case.key, 200) or "unnamed"}
    yield made.object(
        "grouping",
        case.key,
        name=_words(case.title, 200) or "unnamed case",
        context="suspicious-activity",
        description=_words(_summary(case)),
        object_refs=[one["id"] for one in inside] or [us["id"]],
        external_references=[reference],
    )
    yield made.object("note", case.key, abstract=_words(f"{case.level.word} case, score {case.score}"),
                      content=_words(_conclusion(case)) or "Nothing was concluded.",
                      object_refs=[made.id("grouping", case.key)])  # fmt: skip


class _Maker:
    """Makes the objects of one case: all carry its times, and are by us."""

    def __init__(self, case: Case) -> None:
        times = [entry.at for entry in case.entries] or [one for one in (case.first, case.last) if one]
        self.created = stamp(min(times, key=_comparable) if times else _BEGINNING)
        self.modified = stamp(max(times, key=_comparable) if times else _BEGINNING)
        self.first = stamp(case.first or (min(times, key=_comparable) if times else _BEGINNING))
        self.key = case.id or case.key

    def id(self, kind: str, name: str) -> str:
        """Cases have their own; what is the same for all cases is named without one."""
        return _id(kind, name if kind in ("identity", "attack-pattern") else f"{self.key}|{name}")

    def object(self, kind: str, of: str, /, **attributes: object) -> Plain:
        shared = kind in ("identity", "attack-pattern")  # the same in every case, so with times of no case
        created = stamp(_BEGINNING) if shared else self.created
        head: Plain = {"type": kind, "spec_version": "2.1", "id": self.id(kind, of), "created": created}
        head["modified"] = created if shared else self.modified
        if (kind, of) != ("identity", "Perilune"):
            head["created_by_ref"] = _id("identity", "Perilune")
        return head | filled(**attributes)


def _identity(made: _Maker, name: str, what: str, description: str = "") -> Plain:
    shown = _words(name, 500)
    return made.object("identity", name, name=shown, identity_class=what, description=description)


def _techniques(case: Case) -> list[str]:
    return list(dict.fromkeys([*case.techniques, *(name for one in case.findings for name in one.techniques)]))


def _attack_pattern(made: _Maker, technique: str) -> Plain:
    reference = filled(source_name="mitre-attack", external_id=_words(technique, 100), url=technique_page(technique))
    name = technique_name(technique) or _words(technique, 200) or "unnamed technique"
    return made.object("attack-pattern", technique, name=name, external_references=[reference])


def _observed(made: _Maker, finding: Finding) -> tuple[Plain, list[Plain]]:
    """The event of a finding: the observed data, and the observables in it."""
    seen: Seen = observe(finding)
    time = stamp(finding.time) if finding.time else made.first
    data = made.object(
        "observed-data",
        finding.id,
        first_observed=time,
        last_observed=time,
        number_observed=1,
        object_refs=[one["id"] for one in seen],
        external_references=[
            filled(source_name="sigma rule", external_id=_words(finding.rule_id, 200),
                   description=_words(_credit(finding), 1_000))
        ],
    )  # fmt: skip
    return data, list(seen)


def _credit(finding: Finding) -> str:
    by = f" by {finding.rule_author}" if finding.rule_author else ""
    license_ = f" ({finding.rule_license})" if finding.rule_license else ""
    where = f"{finding.event.source} record {finding.event.record}"
    return f"{finding.rule_title}{by}{license_}; {where}"


def _sightings(
    made: _Maker, case: Case, patterns: Mapping[str, Plain], hosts: Mapping[str, Plain], data: Mapping[str, Plain]
) -> Iterator[Plain]:
    for technique, pattern in patterns.items():
        found = [one for one in case.findings if technique in one.techniques and one.id in data]
        times = sorted((one.time for one in found if one.time), key=_comparable)
        where = dict.fromkeys(hosts[one.host]["id"] for one in found if one.host in hosts)
        if found:
            yield made.object(
                "sighting",
                technique,
                sighting_of_ref=pattern["id"],
                observed_data_refs=[data[one.id]["id"] for one in found],
                where_sighted_refs=list(where),
                count=len(found),
                first_seen=stamp(times[0]) if times else None,
                last_seen=stamp(times[-1]) if times else None,
                confidence=_confidence(case),
            )


def _indicators(made: _Maker, case: Case, patterns: Mapping[str, Plain]) -> Iterator[Plain]:
    """What may be looked for elsewhere, and which techniques of its findings it points at."""
    techniques = {one.id: one.techniques for one in case.findings}
    for one in find_observables(case):
        name = f"{one.what}|{one.value}"
        indicator = made.object(
            "indicator",
            name,
            name=_words(f"{one.what}: {one.value}", 300),
            description=_words(_told(one, case)),
            indicator_types=["malicious-activity" if case.score >= 70 else "anomalous-activity"],
            pattern=pattern_of(one),
            pattern_type="stix",
            pattern_version="2.1",
            valid_from=made.first,
            confidence=_confidence(case),
        )
        yield indicator
        for technique in dict.fromkeys(t for id_ in one.findings for t in techniques[id_]):
            yield made.object("relationship", f"{name}|{technique}", relationship_type="indicates",
                              source_ref=indicator["id"], target_ref=patterns[technique]["id"])  # fmt: skip


def pattern_of(one: Observable) -> str:
    """A comparison with the value as a text of the patterning language, in which only `'` and `\\` mean something."""
    value = one.value.replace("\\", "\\\\").replace("'", "\\'")
    return f"[{_PATTERNS[one.what]} = '{value}']"


def _told(one: Observable, case: Case) -> str:
    how = "in a command line or script that was decoded" if one.decoded else "in a field of its own"
    titles = dict.fromkeys(f.rule_title for f in case.findings if f.id in one.findings)
    return f"Seen {how} of {len(one.findings)} findings: {'; '.join(list(titles)[:5])}"


def _summary(case: Case) -> str:
    return case.verdict.sentence if case.verdict else case.title


def _conclusion(case: Case) -> str:
    parts: list[str] = []
    if case.verdict:
        parts += [f"Verdict: {case.verdict.word} ({case.verdict.confidence} confidence).", case.verdict.sentence]
        parts += list(case.verdict.why)
    if case.escalation:
        parts.append(case.escalation.sentence)
    parts += [f"{reason.points:+d} {reason.text}" for reason in case.reasons]
    return "\n".join(parts)


def _confidence(case: Case) -> int | None:
    return _CONFIDENCE[case.verdict.confidence] if case.verdict else None


def _words(text: str, most: int = TEXT_MOST) -> str:
    return str(fit(text, most))


def _comparable(time: datetime) -> datetime:
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def _id(kind: str, name: str) -> str:
    return f"{kind}--{uuid.uuid5(IDS, whole(f'{kind}|{name}'))}"
