"""Cases as rows, one for each finding, for tables and spreadsheets; a case without findings is one row too."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime

from perilune.model.case import Case
from perilune.model.findings import Finding
from perilune.report.quote import tested

Cell = str | int | datetime | None

# Column -> what it holds. The order is the order of the columns, in CSV and in Parquet.
COLUMNS: dict[str, type] = {
    "case": str, "status": str, "severity": str, "score": int, "verdict": str, "confidence": str, "escalate": str,
    "title": str, "host": str, "users": str, "techniques": str, "first": datetime, "last": datetime, "sentence": str,
    "finding": str, "rule": str, "rule_id": str, "rule_author": str, "rule_license": str, "rule_severity": str,
    "rule_score": int, "rule_techniques": str, "time": datetime, "finding_host": str, "user": str,
    "process": str, "process_id": int, "command_line": str, "parent": str, "parent_command_line": str,
    "remote_address": str, "remote_port": int, "remote_name": str, "sha256": str,
    "evidence": str, "table": str, "file": str, "record": int,
}  # fmt: skip


def rows(cases: Iterable[Case]) -> Iterator[tuple[Cell, ...]]:
    """The cells of each row, in the order of `COLUMNS`."""
    for case in cases:
        about = _of_case(case)
        for finding in case.findings or (None,):
            found = about | (_of_finding(finding) if finding else {})
            yield tuple(found.get(name) for name in COLUMNS)


def _of_case(case: Case) -> dict[str, Cell]:
    return {
        "case": case.id or case.key,
        "status": case.status.value,
        "severity": case.level.word,
        "score": case.score,
        "verdict": case.verdict.word.value if case.verdict else "",
        "confidence": case.verdict.confidence.value if case.verdict else "",
        "escalate": case.escalation.said.value if case.escalation else "",
        "title": case.title,
        "host": case.host,
        "users": ", ".join(case.users),
        "techniques": " ".join(case.techniques),
        "first": case.first,
        "last": case.last,
        "sentence": case.verdict.sentence if case.verdict else "",
    }


def _of_finding(finding: Finding) -> dict[str, Cell]:
    row = finding.row
    return {
        "finding": finding.id,
        "rule": finding.rule_title,
        "rule_id": finding.rule_id,
        "rule_author": finding.rule_author,
        "rule_license": finding.rule_license,
        "rule_severity": finding.level.word,
        "rule_score": finding.score,
        "rule_techniques": " ".join(finding.techniques),
        "time": finding.time,
        "finding_host": finding.host,
        "user": finding.user,
        "process": _text(row.get("FolderPath") or row.get("FileName")),
        "process_id": _number(row.get("ProcessId")),
        "command_line": _text(row.get("ProcessCommandLine")),
        "parent": _text(row.get("InitiatingProcessFolderPath") or row.get("InitiatingProcessFileName")),
        "parent_command_line": _text(row.get("InitiatingProcessCommandLine")),
        "remote_address": _text(row.get("RemoteIP")),
        "remote_port": _number(row.get("RemotePort")),
        "remote_name": _text(row.get("RemoteUrl") or row.get("XQueryName")),
        "sha256": _text(row.get("SHA256")),
        "evidence": "; ".join(
            f"{one.field} {' and '.join(one.tests)}" for one in tested(finding.evidence[:20], finding.row)
        ),
        "table": finding.event.table,
        "file": finding.event.source,
        "record": finding.event.record,
    }


def _text(value: object) -> str:
    return "" if value is None else str(value)


def _number(value: object) -> int | None:
    return value if isinstance(value, int) and abs(value) < 2**63 else None
