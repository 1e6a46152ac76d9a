"""Alerts of other products, worked through like findings of our own: read, matched, decoded, investigated, answered.

Each alert becomes a finding on the event that it names, beside whatever our rules find there; then the story goes on as
for a hunt. The same alert imported twice is the same finding.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path

import orjson

from perilune import pipeline, readers
from perilune.casework import investigate
from perilune.correlating import correlated
from perilune.errors import ReadError
from perilune.judging import host_key, host_of, judge, time_of
from perilune.model.alerts import Alert
from perilune.model.analysis import walk
from perilune.model.case import Case
from perilune.model.findings import Context, Finding, Judged, Reason
from perilune.model.rules import Evidence, Refusal
from perilune.model.sources import SourceReport
from perilune.model.tables import EventRef, Table
from perilune.readers.alerts import FILE_MOST, AlertFile, read_alerts
from perilune.surroundings import load_surroundings
from perilune.triage.suppression import suppress
from perilune.triage.verdict import LEAST, LEVEL_POINTS, Feedback

# The event that an alert's finding stands on: the first table that has one.
_ORDER = ("DeviceProcessEvents", "XScriptEvents", "DeviceFileEvents", "DeviceRegistryEvents", "DeviceNetworkEvents",
          "DeviceEvents")  # fmt: skip
_SHOWN = ("ProcessCommandLine", "XScriptText", "FolderPath", "RegistryKey", "RemoteUrl", "RemoteIP")
_VALUE_MOST = 2_000

Row = Mapping[str, object]
Place = tuple[EventRef, Row]


@dataclass(frozen=True, slots=True)
class Imported:
    """What alerts came to.

    cases    most urgent first
    alerts   as they were read
    sources  what each file gave
    refused  rules and files of the content folder that could not be used
    """

    cases: tuple[Case, ...]
    alerts: tuple[Alert, ...]
    sources: tuple[SourceReport, ...]
    refused: tuple[Refusal, ...] = ()


def load(path: Path, content: Path | None = None) -> AlertFile:
    """The alerts of a file."""
    try:
        with path.open("rb") as stream:
            data = stream.read(FILE_MOST + 1)
    except OSError as error:
        raise ReadError(f"cannot be read: {error.strerror}", where=str(path)) from None
    return read_alerts(data, str(path), readers.tools(content)[0])


def triage(
    files: Sequence[AlertFile],
    *,
    rules: Iterable[str | Path] = (),
    content: Path | None = None,
    cache: Path | None = None,
    feedback: Feedback | None = None,
    today: date | None = None,
) -> Imported:
    """Cases of the alerts. Arguments as for `pipeline.hunt`."""
    today = today or datetime.now(UTC).date()
    ruleset = pipeline.select(pipeline.load_rules(rules, content=content, cache=cache), pipeline.Choice())
    tables = [table for one in files for table in (*one.tables, *_bare(one))]
    seen = pipeline.detect(ruleset, [*tables, *(one.report for one in files)])
    try:
        judged = correlated(judge(seen.hits, seen.spool, seen.decoder), ruleset.rules, seen.hits, seen.spool)
        theirs = [
            replace(finding, analysis=seen.decoder.analysis_of(finding.event.table, finding.row))
            for one in files
            for finding in _findings(one, tables, judged)
        ]
        beside = load_surroundings(content, today)
        named = [_with_techniques(finding) for finding in theirs]
        kept, _ = suppress((*judged.findings, *named), beside.suppressions, today)
        judged = replace(judged, findings=kept)
        seen.spool.expect({host_key(finding.row, finding.event) for finding in kept})
        cases, _ = investigate(judged, seen.spool, seen.sources, beside.around, feedback)
    finally:
        seen.spool.close()
    alerts = tuple(alert for one in files for alert in one.alerts)
    return Imported(cases, alerts, tuple(seen.sources), (*ruleset.refused, *beside.refused))


def _bare(file: AlertFile) -> Iterator[Table]:
    """A row for each alert that names no event, so that it has a host and a place in the timeline."""
    import pyarrow as pa

    from perilune.model.tables import COLUMNS

    named = {number for table in file.tables for number in table.values("XSourceRecord")}
    rows = [
        {
            "ActionType": "AlertReported",
            "DeviceName": alert.host or None,
            "AdditionalFields": orjson.dumps({"alert": alert.title, "text": alert.description[:_VALUE_MOST]}).decode(),
            "XProvider": alert.product,
            "XSourceFile": file.report.path,
            "XSourceFormat": "alerts",
            "XSourceRecord": alert.number,
        }
        for alert in file.alerts
        if alert.number not in named
    ]
    if rows:
        schema = pa.schema([(name, COLUMNS[name]) for name in rows[0]])
        yield Table("DeviceEvents", pa.Table.from_pylist(rows, schema=schema))


def _findings(file: AlertFile, tables: Sequence[Table], judged: Judged) -> Iterator[Finding]:
    """A finding for each alert of a file, lowered by the known uses that are recognised on its event."""
    places = _places(file.report.path, tables)
    known: dict[EventRef, tuple[Context, ...]] = {one.event: (one.context,) for one in judged.explained}
    known |= {one.event: one.context for one in judged.findings if one.context}
    for alert in file.alerts:
        if alert.number in places:
            event, row = places[alert.number]
            yield _finding(alert, event, row, known.get(event, ()))


def _places(path: str, tables: Sequence[Table]) -> dict[int, Place]:
    """By an alert's number, the event that its finding stands on."""
    found: dict[int, Place] = {}
    for name in _ORDER:
        for table in tables:
            if table.name == name:
                for row in table.data.to_pylist():
                    if row.get("XSourceFile") == path:
                        plain = {column: value for column, value in row.items() if value is not None}
                        number = int(row["XSourceRecord"])
                        found.setdefault(number, (EventRef(name, path, number), plain))
    return found


def _finding(alert: Alert, event: EventRef, row: Row, contexts: Sequence[Context]) -> Finding:
    score, reasons = _weighed(alert, contexts)
    rule = f"{alert.product}: {alert.title}"
    return Finding(
        id=_id(alert, row),
        rule_id=rule,
        rule_title=alert.title,
        rule_author=alert.product,
        rule_description=alert.description[:_VALUE_MOST],
        rule_link=alert.link,
        rule_source=f"alert {alert.id}" + (f" of incident {alert.incident}" if alert.incident else ""),
        level=alert.level,
        techniques=alert.techniques,
        event=event,
        host=host_of(row, event),
        user=str(row.get("XUser") or row.get("AccountName") or row.get("InitiatingProcessAccountName") or ""),
        time=time_of(row),
        row={name: value.isoformat() if isinstance(value, datetime) else value for name, value in row.items()},
        evidence=tuple(_evidence(alert, row)),
        score=score,
        reasons=reasons,
        context=tuple(contexts),
    )


def _weighed(alert: Alert, contexts: Sequence[Context]) -> tuple[int, tuple[Reason, ...]]:
    """An alert weighs what a rule of its level weighs, and known uses lower it alike."""
    word = alert.level.word if alert.severity else f"{alert.level.word} (its product names no severity)"
    reasons = [Reason(LEVEL_POINTS[alert.level], f"{word} alert of {alert.product}: {alert.title}")]
    strongest = max(contexts, key=lambda one: one.lowers, default=None)
    if strongest is not None:
        room = reasons[0].points - LEAST
        reasons.append(Reason(-min(strongest.lowers, room), f"known use: {strongest.title}"))
    return sum(reason.points for reason in reasons), tuple(reasons)


def _evidence(alert: Alert, row: Row) -> Iterator[Evidence]:
    for column in _SHOWN:
        if value := row.get(column):
            yield Evidence(column, column, str(value)[:_VALUE_MOST], f"named by the alert of {alert.product}")


def _with_techniques(finding: Finding) -> Finding:
    """With those that our analysis of its text finds: many alerts name none, or only T1059.

    Of the interpreters' own only those that the text runs: a capability names every language that it is known in.
    """
    if finding.analysis is None:
        return finding
    run = {command.technique for command in walk(finding.analysis.commands)}
    found = [one for one in finding.analysis.techniques if not one.startswith("T1059.") or one in run]
    return replace(finding, techniques=tuple(dict.fromkeys((*finding.techniques, *found))))


def _id(alert: Alert, row: Row) -> str:
    """The same for the same alert in every import: by its product's own id, else by what it says."""
    said = [alert.id] if alert.id else [alert.title, alert.host, str(row.get("Timestamp")), str(row.get(_SHOWN[0]))]
    return hashlib.sha256(orjson.dumps([alert.product, *said])).hexdigest()[:24]
