"""The shapes of `--json` and `--jsonl`. People script against them: `docs/reference/json.md`, and a schema test."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import orjson

from perilune import __version__
from perilune.cli.output_answers import (
    answer_object,
    escalation_object,
    facts_object,
    suppressed_object,
    verdict_object,
)
from perilune.model.case import Case, ProcessNode, TimelineEntry
from perilune.model.events import EventRef
from perilune.model.findings import Explained, Finding, Member, Reason
from perilune.model.rules import Evidence, Refusal, RuleSet
from perilune.model.sources import Reading, SourceReport

if TYPE_CHECKING:
    from perilune.detection.oracle import Explanation
    from perilune.pipeline import Hunt, RuleOnEvent
    from perilune.store.cases import Summary

Plain = dict[str, object]


def hunt_object(hunt: Hunt, cases: tuple[Case, ...]) -> Plain:
    """The one object that `hunt --json` prints; `cases` are the hunt's with their stored ids."""
    held = {finding.id: case.id for case in cases for finding in case.findings}
    return {
        "perilune": __version__,
        "cases": [case_object(case, whole=False) for case in cases],
        "findings": [finding_object(f, held.get(f.id, "")) for f in hunt.findings],
        "explained": [explained_object(one) for one in hunt.explained],
        "suppressed": [suppressed_object(one) for one in hunt.suppressed],
        "input": input_object(hunt.sources),
        "rules": {
            "used": hunt.rules,
            "refused": [refusal_object(refusal) for refusal in hunt.refused],
            "not_listed": dict(hunt.cut),
            "undecoded": hunt.undecoded,
            "uncorrelated": hunt.unpaired,
        },
    }


def hunt_lines(hunt: Hunt, cases: tuple[Case, ...]) -> Iterator[bytes]:
    """The same as JSON lines, each with its `type`; the last is the input."""
    whole = hunt_object(hunt, cases)
    for kind, name in (("case", "cases"), ("finding", "findings"), ("explained", "explained")):
        for one in whole[name]:  # type: ignore[attr-defined]
            yield dump({"type": kind, **one}, indent=False)
    yield dump({"type": "input", **whole["input"], "rules": whole["rules"]}, indent=False)  # type: ignore[dict-item]


def case_object(case: Case, *, whole: bool) -> Plain:
    """A case; `whole` adds its findings, tree, timeline and record."""
    short: Plain = {
        "id": case.id,
        "status": case.status.value,
        "title": case.title,
        "severity": case.level.word,
        "score": case.score,
        "reasons": [_reason(reason) for reason in case.reasons],
        "host": case.host,
        "users": list(case.users),
        "techniques": list(case.techniques),
        "first": case.first,
        "last": case.last,
        "findings": [finding.id for finding in case.findings],
        "not_listed": dict(case.repeats),
        "hosts": list(case.hosts or (case.host,)),
        "verdict": verdict_object(case.verdict),
        "escalation": escalation_object(case.escalation),
        "answers": [answer_object(answer) for answer in case.answers],
    }
    if not whole:
        return short
    return short | {
        "findings": [finding_object(finding, case.id) for finding in case.findings],
        "tree": [_node(node) for node in case.tree],
        "tree_cut": case.tree_cut,
        "timeline": [_entry(entry) for entry in case.timeline],
        "timeline_cut": case.timeline_cut,
        "facts": facts_object(case.facts),
        "entries": [
            {"number": e.number, "at": e.at, "who": e.who, "kind": e.kind, "body": e.body} for e in case.entries
        ],
    }


def summary_object(summary: Summary) -> Plain:
    """A case's line in the queue."""
    return {
        "id": summary.id,
        "status": summary.status.value,
        "title": summary.title,
        "severity": summary.level.word,
        "score": summary.score,
        "host": summary.host,
        "users": list(summary.users),
        "techniques": list(summary.techniques),
        "findings": summary.findings,
        "first": summary.first,
        "last": summary.last,
        "updated": summary.updated,
    }


def finding_object(finding: Finding, case_id: str) -> Plain:
    from perilune.cli.output_analysed import analysed_object  # imported late: it draws trees for people too

    return {
        "id": finding.id,
        "case": case_id,
        "rule_id": finding.rule_id,
        "rule_title": finding.rule_title,
        "rule_author": finding.rule_author,
        "rule_license": finding.rule_license,
        "rule_link": finding.rule_link,
        "rule_source": finding.rule_source,
        "technique": finding.techniques[0] if finding.techniques else "",
        "techniques": list(finding.techniques),
        "severity": finding.level.word,
        "score": finding.score,
        "reasons": [_reason(reason) for reason in finding.reasons],
        "evidence": [_evidence(piece) for piece in finding.evidence],
        "context": [
            {"rule_id": c.rule_id, "title": c.title, "lowers": c.lowers,
             "evidence": [_evidence(piece) for piece in c.evidence]}
            for c in finding.context
        ],
        "analysis": analysed_object(finding.analysis),
        "group": dict(finding.group),
        "members": [_member(member) for member in finding.members],
        "members_cut": finding.members_cut,
        "event": {
            **_event(finding.event),
            "time": finding.time,
            "host": finding.host,
            "user": finding.user,
            "row": dict(finding.row),
        },
    }  # fmt: skip


def _member(member: Member) -> Plain:
    return {
        "rule_id": member.rule_id,
        "rule_title": member.rule_title,
        "text": member.text,
        "event": {**_event(member.event), "time": member.time, "host": member.host},
    }


def explained_object(one: Explained) -> Plain:
    return {
        "rule_id": one.context.rule_id,
        "title": one.context.title,
        "image": one.image,
        "command_line": one.command_line,
        "evidence": [_evidence(piece) for piece in one.context.evidence],
        "event": {**_event(one.event), "time": one.time, "host": one.host, "user": one.user},
    }


def input_object(sources: tuple[SourceReport, ...]) -> Plain:
    """What was read and what was not."""
    rows: dict[str, int] = {}
    for source in sources:
        for table, count in source.rows.items():
            rows[table] = rows.get(table, 0) + count
    return {
        "complete": all(source.reading is Reading.COMPLETE for source in sources),
        "records": sum(source.records for source in sources),
        "skipped": sum(sum(source.skipped.values()) for source in sources),
        "rows": rows,
        "files": [
            {
                "path": source.path,
                "format": source.format,
                "reading": source.reading.value,
                "records": source.records,
                "rows": dict(source.rows),
                "skipped": dict(source.skipped),
                "problems": [{"what": p.what, "count": p.count, "where": p.where} for p in source.problems],
            }
            for source in sources
        ],
    }


def rules_object(ruleset: RuleSet) -> Plain:
    """What `rules list --json` prints."""
    return {
        "rules": [
            {
                "id": rule.id,
                "title": rule.title,
                "author": rule.author,
                "level": rule.level.word,
                "status": rule.status,
                "role": rule.role.value,
                "techniques": list(rule.techniques),
                "tables": [scope.table for scope in rule.scopes],
                "license": rule.license,
                "link": rule.link,
                "source": rule.source,
            }
            for rule in ruleset.rules
        ],
        "refused": [refusal_object(refusal) for refusal in ruleset.refused],
    }


def refusal_object(refusal: Refusal) -> Plain:
    return {"source": refusal.source, "title": refusal.title, "reason": refusal.reason}


def explanation_object(one: RuleOnEvent) -> Plain:
    """What `rules explain --json` prints for one event."""
    return {
        "rule_id": one.rule.id,
        "rule_title": one.rule.title,
        "rule_author": one.rule.author,
        "event": _event(one.event),
        "held": one.why.held,
        "why": _why(one.why),
    }


def _why(node: Explanation) -> Plain:
    plain: Plain = {"test": node.test, "held": node.held}
    if node.value is not None:
        plain["value"] = node.value
    if node.parts:
        plain["parts"] = [_why(part) for part in node.parts]
    return plain


def dump(value: object, *, indent: bool = True) -> bytes:
    """JSON with ISO times. Bytes, so that hostile text cannot fail an encoder half-way."""
    options = orjson.OPT_NON_STR_KEYS | (orjson.OPT_INDENT_2 if indent else 0)
    return orjson.dumps(value, option=options, default=str)


def _reason(reason: Reason) -> Plain:
    return {"points": reason.points, "text": reason.text}


def _evidence(piece: Evidence) -> Plain:
    return {"field": piece.field, "column": piece.column, "value": piece.value, "test": piece.test}


def _event(ref: EventRef) -> Plain:
    return {"table": ref.table, "file": ref.source, "record": ref.record}


def _node(node: ProcessNode) -> Plain:
    return {
        "key": node.key,
        "parent": node.parent,
        "depth": node.depth,
        "pid": node.pid,
        "name": node.name,
        "path": node.path,
        "command_line": node.command_line,
        "user": node.user,
        "time": node.time,
        "event": _event(node.event) if node.event else None,
        "findings": list(node.findings),
    }


def _entry(entry: TimelineEntry) -> Plain:
    return {
        "time": entry.time,
        "table": entry.table,
        "action": entry.action,
        "summary": entry.summary,
        "event": _event(entry.event),
        "findings": list(entry.findings),
    }
