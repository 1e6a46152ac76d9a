"""A case as OCSF events: a Detection Finding (class 2004) for each finding, an Incident Finding (2005) for the case.

Version 1.5.0 of the schema. Required there: class, category, activity and type numbers, severity, time, metadata with
product and version, `finding_info` with its `uid`. What a log says stands in texts only, never in names or numbers.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from datetime import datetime

from perilune.model.answers import Confidence, Word
from perilune.model.case import Case, Status
from perilune.model.findings import Finding
from perilune.model.rules import Level
from perilune.report.attack import technique_name, technique_page
from perilune.report.inert import filled, whole
from perilune.report.observables import Observable, What, find_observables
from perilune.report.ocsf_event import Plain, evidence, milliseconds, text

VERSION = "1.5.0"
DETECTION, INCIDENT, FINDINGS = 2004, 2005, 2
IDS = uuid.UUID("5f1f5d0e-8d1b-5a55-9f9a-2d0e0b7f3a61")  # our own name space
FINDINGS_MOST = 1_000  # of one case in its incident

_SEVERITY = {Level.INFORMATIONAL: 1, Level.LOW: 2, Level.MEDIUM: 3, Level.HIGH: 4, Level.CRITICAL: 5}
_ACTIVITY = {Status.NEW: (1, "Create"), Status.OPEN: (2, "Update"), Status.CLOSED: (3, "Close")}
_DETECTION_STATUS = {Status.NEW: (1, "New"), Status.OPEN: (2, "In Progress"), Status.CLOSED: (4, "Resolved")}
_INCIDENT_STATUS = {Status.NEW: (1, "New"), Status.OPEN: (2, "In Progress"), Status.CLOSED: (5, "Closed")}
_CONFIDENCE = {Confidence.LOW: (1, "Low"), Confidence.MEDIUM: (2, "Medium"), Confidence.HIGH: (3, "High")}
_VERDICT = {
    Word.MALICIOUS: (2, "True Positive"),
    Word.SUSPICIOUS: (4, "Suspicious"),
    Word.BENIGN: (5, "Benign"),
    Word.UNKNOWN: (7, "Insufficient Data"),
}
_OBSERVED = {What.IPV4: (2, "IP Address"), What.IPV6: (2, "IP Address"), What.DOMAIN: (1, "Hostname"),
             What.URL: (6, "URL String")}  # fmt: skip


def detections(case: Case, *, version: str, generated: datetime) -> Iterator[Plain]:
    """A Detection Finding for each finding of the case."""
    observed = find_observables(case)
    for finding in case.findings:
        yield _detection(case, finding, [one for one in observed if finding.id in one.findings], version, generated)


def incident(case: Case, *, version: str, generated: datetime) -> Plain:
    """The case as one Incident Finding. Its assignee is the case's owner, else a group that says there is none."""
    activity, activity_name = _ACTIVITY[case.status]
    status, status_name = _INCIDENT_STATUS[case.status]
    owner = _owner(case)
    return _head(INCIDENT, "Incident Finding", case, activity, activity_name, case.level, version, generated) | filled(
        status_id=status,
        status=status_name,
        desc=text(case.title),
        message=text(case.verdict.sentence if case.verdict else case.title),
        start_time=milliseconds(case.first),
        end_time=milliseconds(case.last),
        count=len(case.findings) + sum(case.repeats.values()),
        finding_info_list=[_info(case, one) for one in case.findings[:FINDINGS_MOST]] or [_bare_info(case)],
        attacks=[_attack(one) for one in case.techniques],
        assignee={"name": text(owner), "type_id": 1} if owner else None,
        assignee_group=None if owner else {"name": "unassigned"},
        observables=_observables(case, find_observables(case)),
        status_detail=text(case.escalation.sentence) if case.escalation else None,
        unmapped=_unmapped(case),
        **_verdict(case),
        **_confidence(case),
    )


def _detection(case: Case, finding: Finding, observed: list[Observable], version: str, generated: datetime) -> Plain:
    activity, activity_name = _ACTIVITY[case.status]
    status, status_name = _DETECTION_STATUS[case.status]
    head = _head(
        DETECTION, "Detection Finding", case, activity, activity_name, finding.level, version, generated, finding
    )
    return head | filled(
        status_id=status,
        status=status_name,
        message=text(finding.rule_description or finding.rule_title),
        finding_info=_info(case, finding),
        risk_score=finding.score,
        risk_details=text("; ".join(f"{reason.points:+d} {reason.text}" for reason in finding.reasons)),
        start_time=milliseconds(finding.time),
        is_alert=finding.level >= Level.MEDIUM,
        device={"hostname": text(finding.host), "name": text(finding.host), "type_id": 0} if finding.host else None,
        resources=[{"name": text(finding.host), "type": "host"}] if finding.host else None,
        evidences=[evidence(finding)],
        observables=_observables(case, observed, finding),
        **_confidence(case),
    )


def _head(
    class_uid: int,
    class_name: str,
    case: Case,
    activity: int,
    activity_name: str,
    level: Level,
    version: str,
    generated: datetime,
    finding: Finding | None = None,
) -> Plain:
    about = finding.id if finding else case.key
    return {
        "class_uid": class_uid,
        "class_name": class_name,
        "category_uid": FINDINGS,
        "category_name": "Findings",
        "activity_id": activity,
        "activity_name": activity_name,
        "type_uid": class_uid * 100 + activity,
        "type_name": f"{class_name}: {activity_name}",
        "severity_id": _SEVERITY[level],
        "severity": level.word.capitalize(),
        "time": milliseconds((finding.time if finding else case.last) or generated),
        "metadata": {
            "version": VERSION,
            "uid": _id(f"{class_uid}|{case.id}|{about}"),
            "correlation_uid": text(case.id or case.key),
            "product": {"name": "Perilune", "vendor_name": "Perilune", "version": version, "uid": "perilune"},
            "logged_time": milliseconds(generated),
        },
    }


def _info(case: Case, finding: Finding) -> Plain:
    return filled(
        uid=_id(f"finding|{finding.id}"),
        uid_alt=text(finding.id),
        title=text(finding.rule_title) or "unnamed rule",
        desc=text(finding.rule_description),
        types=["T1059"] if any(one.startswith("T1059") for one in finding.techniques) else None,
        attacks=[_attack(one) for one in finding.techniques],
        analytic=filled(
            type_id=1,
            type="Rule",
            uid=text(finding.rule_id) or "unnamed rule",
            name=text(finding.rule_title),
            category=text(finding.rule_source),
            desc=text(f"by {finding.rule_author}, {finding.rule_license}") if finding.rule_author else None,
        ),
        data_sources=[text(finding.event.table), text(finding.event.source)],
        first_seen_time=milliseconds(finding.time),
        last_seen_time=milliseconds(finding.time),
        created_time=milliseconds(case.entries[0].at) if case.entries else None,
        related_events_count=len(finding.members) + finding.members_cut or None,
    )


def _bare_info(case: Case) -> Plain:
    return {"uid": _id(f"case|{case.key}"), "title": text(case.title) or "unnamed case"}


def _attack(technique: str) -> Plain:
    """A technique; one below another is given with the one above it, as OCSF keeps them apart."""
    above = technique.partition(".")[0]
    found: Plain = {"technique": _named(above)}
    if above != technique:
        found["sub_technique"] = _named(technique)
    return found


def _named(technique: str) -> Plain:
    return filled(uid=text(technique), name=technique_name(technique), src_url=technique_page(technique))


def _observables(case: Case, observed: Sequence[Observable], finding: Finding | None = None) -> list[Plain]:
    hosts = (finding.host,) if finding else case.hosts or (case.host,)
    users = (finding.user,) if finding else case.users
    found = [_observable("device.hostname", (1, "Hostname"), one) for one in hosts if one]
    found += [_observable("actor.process.user.name", (4, "User Name"), one) for one in users if one]
    return found + [_observable("evidences.data", _OBSERVED.get(one.what, (8, "Hash")), one.value) for one in observed]


def _observable(name: str, kind: tuple[int, str], value: str) -> Plain:
    return {"name": name, "type_id": kind[0], "type": kind[1], "value": text(value)}


def _verdict(case: Case) -> Plain:
    if case.verdict is None:
        return {}
    number, word = _VERDICT[case.verdict.word]
    return {"verdict_id": number, "verdict": word}


def _confidence(case: Case) -> Plain:
    if case.verdict is None:
        return {}
    number, word = _CONFIDENCE[case.verdict.confidence]
    return {"confidence_id": number, "confidence": word}


def _unmapped(case: Case) -> Plain:
    """What OCSF has no place for, and an analyst wants."""
    return {
        "score": case.score,
        "reasons": [{"points": one.points, "text": text(one.text)} for one in case.reasons],
        "answers": [
            {"id": one.id, "text": text(one.text), "said": one.said.value, "sentence": text(one.sentence)}
            for one in case.answers
        ],
    }


def _owner(case: Case) -> str:
    """Who has the case, as its record says last."""
    owners = [str(one.body.get("owner") or "") for one in case.entries if one.kind == "owner"]
    return owners[-1] if owners and owners[-1] != "nobody" else ""


def _id(of: str) -> str:
    """The same for the same thing in every export."""
    return str(uuid.uuid5(IDS, whole(of)))
