"""Cases in the formats that other tools take. The command `case export` and the API call the same functions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from perilune import __version__
from perilune.model.case import Case


@dataclass(frozen=True, slots=True)
class Export:
    """One format. `many`: several cases fit into one file; `says` is for people."""

    name: str
    suffix: str
    media_type: str
    many: bool
    says: str
    render: Callable[[Sequence[Case], datetime], bytes]


def export(cases: Sequence[Case], name: str, generated: datetime) -> bytes:
    """The cases in a format; of a format that holds one case, the first."""
    return EXPORTS[name].render(cases, generated)


def _ocsf(cases: Sequence[Case], generated: datetime) -> bytes:
    from perilune.report import inert, ocsf

    found = (one for case in cases for one in ocsf.detections(case, version=__version__, generated=generated))
    return inert.lines(found).encode()


def _ocsf_incident(cases: Sequence[Case], generated: datetime) -> bytes:
    from perilune.report import inert, ocsf

    found = (ocsf.incident(case, version=__version__, generated=generated) for case in cases)
    return inert.lines(found).encode()


def _stix(cases: Sequence[Case], generated: datetime) -> bytes:
    from perilune.report import inert, stix

    return inert.dump(stix.bundle(cases), indent=True).encode() + b"\n"


def _navigator(cases: Sequence[Case], generated: datetime) -> bytes:
    from perilune.detection.attack import packaged
    from perilune.report import case_layer, inert

    name = f"Perilune: {cases[0].id}" if len(cases) == 1 else f"Perilune: {len(cases)} cases"
    made = case_layer.layer(cases, packaged().version, name=name, by=f"Perilune {__version__}")
    return inert.dump(inert.fit(made), indent=True).encode() + b"\n"


def _csv(cases: Sequence[Case], generated: datetime) -> bytes:
    from perilune.report import csv

    return csv.render(cases).encode("utf-8", "replace")


def _parquet(cases: Sequence[Case], generated: datetime) -> bytes:
    from perilune.report import parquet

    return parquet.render(cases)


def _jsonl(cases: Sequence[Case], generated: datetime) -> bytes:
    from perilune.cli import output
    from perilune.report import inert

    return inert.lines(inert.fit(output.case_object(case, whole=True)) for case in cases).encode()


def _markdown(cases: Sequence[Case], generated: datetime) -> bytes:
    from perilune.report import markdown

    return _report(cases[0], generated, markdown.render)


def _html(cases: Sequence[Case], generated: datetime) -> bytes:
    from perilune.report import html

    return _report(cases[0], generated, html.render)


def _report(whole: Case, generated: datetime, render: Callable[..., str]) -> bytes:
    from perilune.triage import guides

    case = _bounded(whole)
    text = render(
        case,
        generated=generated,
        version=__version__,
        sources=case.sources,
        explained=case.explained,
        guide=guides.render(case) if case.findings else None,
    )
    return text.encode("utf-8", "replace")


def _bounded(case: Case) -> Case:
    """The case with no text longer than a report could show: megabytes of padding would take it half a minute."""
    import msgspec

    from perilune.report import inert

    return msgspec.convert(inert.fit(msgspec.to_builtins(case)), Case, strict=False)


def _jira(cases: Sequence[Case], generated: datetime) -> bytes:
    from perilune.report import ticket

    return ticket.jira(cases[0]).encode("utf-8", "replace")


def _servicenow(cases: Sequence[Case], generated: datetime) -> bytes:
    from perilune.report import ticket

    return ticket.servicenow(cases[0]).encode("utf-8", "replace")


_LINES = "application/x-ndjson"
EXPORTS: Mapping[str, Export] = {
    one.name: one
    for one in (
        Export("ocsf", ".jsonl", _LINES, True, "OCSF 1.5 Detection Findings, one on a line", _ocsf),
        Export("ocsf-incident", ".jsonl", _LINES, True, "OCSF 1.5 Incident Findings, one on a line", _ocsf_incident),
        Export("stix", ".json", "application/stix+json;version=2.1", True, "one STIX 2.1 bundle", _stix),
        Export("navigator", ".json", "application/json", True, "one layer of the ATT&CK Navigator", _navigator),
        Export("csv", ".csv", "text/csv; charset=utf-8", True, "one row for each finding, for spreadsheets", _csv),
        Export("jsonl", ".jsonl", _LINES, True, "whole cases, one on a line", _jsonl),
        Export("parquet", ".parquet", "application/vnd.apache.parquet", True, "the rows of csv, exact", _parquet),
        Export("markdown", ".md", "text/markdown; charset=utf-8", False, "a case for a ticket", _markdown),
        Export("html", ".html", "text/html; charset=utf-8", False, "the self-contained report", _html),
        Export("jira", ".txt", "text/plain; charset=utf-8", False, "the body of a Jira ticket", _jira),
        Export(
            "servicenow", ".txt", "text/plain; charset=utf-8", False, "the body of a ServiceNow ticket", _servicenow
        ),
    )
}
