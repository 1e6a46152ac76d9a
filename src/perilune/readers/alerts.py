"""Exports of alerts: which product wrote them, each alert, and the events that it names as rows of our tables.

Cortex XDR (alerts, alerts with events, incidents with their alerts), Microsoft Defender (alerts of Defender for
Endpoint, incidents of Defender XDR, alerts and incidents of Microsoft Graph), and any JSON with a title or a command
line.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import orjson

from perilune.errors import ReadError
from perilune.model.alerts import Alert
from perilune.model.sources import Problem, Reading, SourceReport
from perilune.model.tables import Table
from perilune.ports import Limits, Records
from perilune.readers import alerts_cortex, alerts_defender, alerts_generic
from perilune.readers.alert_fields import Told
from perilune.readers.mappings import Mappings, packaged
from perilune.readers.normalize import Normalizer

FILE_MOST = 64 << 20  # bytes
ALERTS_MOST = 10_000
_DEEPEST = 6  # envelopes within each other

Raw = Mapping[str, object]
Incident = Raw | None

# Whether a record is one of a product's alerts, and what it tells. The first that knows a record takes it.
_Known = tuple[Callable[[Raw], bool], Callable[[Raw, Incident], Told]]
_PRODUCTS: tuple[_Known, ...] = (
    (alerts_cortex.is_alert, alerts_cortex.tell),
    (alerts_defender.is_alert, alerts_defender.tell),
    (alerts_generic.is_alert, alerts_generic.tell),
)
# Where envelopes keep what they hold: replies of APIs, pages, lists of a query.
_INSIDE = ("reply", "alerts", "data", "value", "incidents", "issues", "results", "records", "items")


@dataclass(frozen=True, slots=True)
class AlertFile:
    """What a file of alerts held; `tables` have the events that the alerts name."""

    alerts: tuple[Alert, ...]
    tables: tuple[Table, ...]
    report: SourceReport


def read_alerts(data: bytes, name: str, mappings: Mappings | None = None) -> AlertFile:
    """The alerts of an export. What is no alert is counted by what is wrong with it."""
    if len(data) > FILE_MOST:
        raise ReadError(f"is larger than {FILE_MOST:,} bytes", where=name)
    skipped: Counter[str] = Counter()
    alerts: list[Alert] = []
    normalizer = Normalizer(mappings or packaged(), Limits())
    origin = normalizer.begin(name, "alerts")
    tables: list[Table] = []
    records = 0
    problems: list[Problem] = []
    for record, incident in _opened(_values(data, problems), None, skipped, 0):
        records += 1
        told = _told(record, incident)
        if told is None:
            skipped["neither a title nor a command line"] += 1
        elif len(alerts) >= ALERTS_MOST:
            skipped[f"more than {ALERTS_MOST:,} alerts"] += 1
        else:
            number = len(alerts) + 1
            alerts.append(told.alert(number))
            for kind, fields in told.events:
                tables += normalizer.add(Records(kind, [fields], [number]))
    tables += normalizer.flush()
    problems += origin.faults.values()
    reading = Reading.PARTIAL if problems or len(alerts) >= ALERTS_MOST else Reading.COMPLETE
    if not alerts:
        reading = Reading.UNKNOWN
    rows = dict(origin.counts)
    report = SourceReport(name, "alerts", reading, records, rows, dict(skipped + origin.skipped), tuple(problems))
    return AlertFile(tuple(alerts), tuple(tables), report)


def _told(record: Raw, incident: Incident) -> Told | None:
    for is_alert, tell in _PRODUCTS:
        if is_alert(record):
            return tell(record, incident)
    return None


def _values(data: bytes, problems: list[Problem]) -> Iterator[object]:
    """One JSON document, or a value on each line; a line that is none is counted."""
    try:
        yield orjson.loads(data)
        return
    except orjson.JSONDecodeError as error:
        whole = str(error)
    wrong = good = 0
    first = ""
    for number, line in enumerate(data.split(b"\n"), 1):
        if not line.strip():
            continue
        try:
            value = orjson.loads(line)
        except orjson.JSONDecodeError:
            wrong += 1
            first = first or f"line {number}"
            continue
        good += 1
        yield value
    if wrong:
        problems.append(Problem(f"is no JSON: {whole}" if not good else "a line that is no JSON", wrong, first))


def _opened(
    values: Iterator[object] | list[object], incident: Incident, skipped: Counter[str], depth: int
) -> Iterator[tuple[Raw, Incident]]:
    """The alerts inside envelopes and incidents, each with the incident that it belongs to."""
    for value in values:
        if isinstance(value, list) and depth < _DEEPEST:
            yield from _opened(value, incident, skipped, depth + 1)
        elif isinstance(value, dict):
            yield from _of_record(value, incident, skipped, depth)
        else:
            skipped["a value that is no object"] += 1


def _of_record(value: Raw, incident: Incident, skipped: Counter[str], depth: int) -> Iterator[tuple[Raw, Incident]]:
    if any(is_alert(value) for is_alert, _ in _PRODUCTS[:2]):
        yield value, incident
        return
    inside = [value[name] for name in _INSIDE if isinstance(value.get(name), list | dict)]
    around = _incident(value) or incident
    if inside and depth < _DEEPEST:
        yield from _opened([*inside], around, skipped, depth + 1)
    elif around is not None and around is not incident:
        skipped["an incident without its alerts"] += 1
    else:
        yield value, incident


def _incident(value: Raw) -> Incident:
    """The incident that an envelope is or holds."""
    inner = value.get("incident")
    if isinstance(inner, dict):
        return inner
    return value if {"incident_id", "incidentId", "incidentWebUrl", "case_id"} & set(value) else None
