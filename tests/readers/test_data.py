"""Every log of the development data is understood, and gives so many rows."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from perilune import readers
from perilune.model.sources import SourceReport

EXPECTED = {
    "applogs": {"XAppLogEvents": 62},
    "tetragon": {"DeviceProcessEvents": 3},
    "zeek/ftp.json.gz": {"XLogEvents": 93},
    "zeek/pe.json.gz": {"XLogEvents": 21},
    "zeek/x509.json.gz": {"XLogEvents": 348},
    "zeek/dns.json.gz": {"DeviceNetworkEvents": 53_615},
    "zeek/ssl.json.gz": {"DeviceNetworkEvents": 49_474},
    "auditd/laurel_event.jsonl": {"DeviceProcessEvents": 1, "XLogEvents": 7},
}


@pytest.mark.parametrize("name", EXPECTED)
def test_understood(data_dir: Path, name: str) -> None:
    rows: Counter[str] = Counter()
    for item in readers.read([data_dir / name]):
        if isinstance(item, SourceReport):
            assert item.reading == "complete", item
            assert not item.skipped, item
            rows.update(item.rows)
    assert dict(rows) == EXPECTED[name]


def test_every_event_log_and_audit_log_is_understood(data_dir: Path) -> None:
    known: Counter[str] = Counter()
    for folder in ("auditd", "evtx/attack-samples"):
        for item in readers.read([data_dir / folder]):
            if isinstance(item, SourceReport) and not item.path.endswith((".GPL", "LICENSE")):
                assert item.format in ("auditd", "evtx", "json"), item
                assert item.rows or not item.records, item
                known.update(item.rows)
    assert known["DeviceProcessEvents"] > 1000
    assert sum(known.values()) > 10_000
