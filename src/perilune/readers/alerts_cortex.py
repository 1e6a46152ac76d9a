"""Alerts of Cortex XDR and XSIAM: of `get_alerts`, `get_alerts_multi_events`, and of `get_incident_extra_data`.

The process goes through the same mapping that reads such alerts as logs.
"""

from __future__ import annotations

from collections.abc import Iterator

from perilune.readers.alert_fields import EVENTS_MOST, Event, Raw, Told, techniques_of, text_of
from perilune.readers.prepare import cortex_alert

_MARKS = ("detection_timestamp", "matching_status", "actor_process_image_name", "causality_actor_process_image_name")
_TECHNIQUES = ("mitre_technique_id_and_name", "mitre_techniques_ids_and_names")


def is_alert(record: Raw) -> bool:
    return ("alert_id" in record or "external_id" in record) and any(name in record for name in _MARKS)


def tell(record: Raw, incident: Raw | None) -> Told:
    around = incident or {}
    return Told(
        product="Cortex XDR",
        id=text_of(record.get("alert_id")) or text_of(record.get("external_id")),
        title=text_of(record.get("name")) or text_of(record.get("description")) or "unnamed alert",
        severity=text_of(record.get("severity")),
        host=text_of(record.get("host_name")),
        description=text_of(record.get("description")),
        techniques=techniques_of(*(record.get(name) for name in _TECHNIQUES)),
        incident=text_of(record.get("case_id")) or text_of(around.get("incident_id")),
        link=text_of(around.get("xdr_url")),
        events=tuple(_events(record))[:EVENTS_MOST],
    )


def _events(record: Raw) -> Iterator[Event]:
    for _, fields in cortex_alert(dict(record)):
        yield "cortex:alert", fields
        if fields.get("action_remote_ip"):
            yield "cortex:network", fields
        if fields.get("action_file_path"):
            yield "cortex:file", fields
