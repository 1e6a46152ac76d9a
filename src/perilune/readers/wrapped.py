"""What searches and forwarders put around a record: Elasticsearch hits, Splunk results, dotted names.

Opened only where nothing knows the record as it is.
"""

from __future__ import annotations

import orjson

Raw = dict[str, object]

_DOTTED = ("process.", "event.", "host.", "winlog.", "user.", "agent.", "file.", "source.", "destination.")
_MAX_STEPS = 20


def open_wrapped(record: Raw) -> list[object] | None:
    """The records within, or None where this is no wrapper that is known."""
    for name in ("_source", "result"):  # Elasticsearch; Splunk's search export
        if isinstance(record.get(name), dict):
            return [record[name]]
    hits = record.get("hits")
    if isinstance(hits, dict) and isinstance(hits.get("hits"), list):
        return list(hits["hits"])
    event = record.get("event")
    if isinstance(event, dict) and "sourcetype" in record:  # Splunk's HTTP event collector
        return [event]
    for name in ("_raw", "event", "message", "log"):  # a forwarder's record with the product's JSON as one text
        text = record.get(name)
        if isinstance(text, str) and text[:1] == "{":
            return _decoded(text)
    dotted = sum(name.startswith(_DOTTED) for name in record)
    return [nested(record)] if dotted >= 2 else None


def _decoded(text: str) -> list[object] | None:
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    return [found] if isinstance(found, dict) else None


def nested(record: Raw) -> Raw:
    """The record with `process.pid` as an object `process` that has a `pid`."""
    found: Raw = {}
    for name, value in record.items():
        *above, last = name.split(".")
        place = found
        for step in above[:_MAX_STEPS]:
            inner = place.setdefault(step, {})
            if not isinstance(inner, dict):
                break
            place = inner
        else:
            place.setdefault(last, value)
    return found
