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
    "auditd/audit_execve_long_and_hex.log": {"DeviceProcessEvents": 3, "XLogEvents": 12},
    "auditd/audit_lua_hosts.log": {"DeviceProcessEvents": 177, "XLogEvents": 712},
    "auditd/audit_ucast_sample.log": {"DeviceProcessEvents": 7, "XLogEvents": 31},
    "auditd/lua_lab.log": {"DeviceProcessEvents": 23, "DeviceNetworkEvents": 1, "XLogEvents": 247},
    "auditd/msticpy_auditd.log": {"DeviceProcessEvents": 146, "XLogEvents": 1392},
}


@pytest.mark.parametrize("name", EXPECTED)
def test_understood(data_dir: Path, name: str) -> None:
    rows: Counter[str] = Counter()
    for item in readers.read([data_dir / name]):
        if isinstance(item, SourceReport):
            assert item.reading == "complete", item
            rows.update(item.rows)
    assert dict(rows) == EXPECTED[name]


def test_every_event_log_is_understood(data_dir: Path) -> None:
    rows: Counter[str] = Counter()
    for item in readers.read([data_dir / "evtx" / "attack-samples"]):
        if isinstance(item, SourceReport) and item.format:
            assert (item.format, item.reading) == ("evtx", "complete"), item
            rows.update(item.rows)
    assert dict(rows) == {
        "DeviceEvents": 1,
        "DeviceFileEvents": 213,
        "DeviceImageLoadEvents": 654,
        "DeviceNetworkEvents": 164,
        "DeviceProcessEvents": 1533,
        "DeviceRegistryEvents": 318,
        "XLogEvents": 5368,
        "XScriptEvents": 4,
    }
