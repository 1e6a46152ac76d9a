"""Local lists of every supported format, and what a lookup says."""

# ruff: noqa: E501 - samples are not broken in two

from __future__ import annotations

import json
from datetime import date
from importlib.resources import files

import pytest

from perilune.analysis import analyze
from perilune.analysis.lists import Lists, parse
from perilune.errors import ContentError
from perilune.model.analysis import Indicator, IndicatorKind, Listing

TODAY = date(2026, 11, 21)


def looked_up(text: str, command: str) -> list[tuple[str, Listing]]:
    found = analyze(command, lists=Lists([parse(text, "mine.txt")], today=TODAY))
    return [(one.value, listing) for one in found.indicators for listing in one.listings]


def test_a_csv_with_a_header_names_list_entry_and_age() -> None:
    text = "# exported\nfirst_seen,ioc_value,comment\n2026-11-01,evil.example.net,dropper\n2026-10-01,203.0.113.7,c2\n"
    hits = looked_up(text, "curl http://a.evil.example.net/x; nc 203.0.113.7 99")
    assert ("a.evil.example.net", "mine.txt", "evil.example.net", 20, "dropper") in [
        (value, one.list, one.entry, one.age_days, one.note) for value, one in hits
    ]
    assert ("203.0.113.7", 51) in [(value, one.age_days) for value, one in hits]


def test_plain_lines_with_networks_and_defanged_values() -> None:
    hits = looked_up("203.0.113.0/24\nevil[.]example[.]net\n", "curl http://203.0.113.9/ http://evil.example.net/")
    assert {value for value, _ in hits} == {"203.0.113.9", "evil.example.net"}


def test_a_json_list() -> None:
    hits = looked_up(json.dumps([{"indicator": "http://evil.example.net/a", "last_seen": "2026-11-20"}]), "curl http://evil.example.net/a")  # fmt: skip
    assert [(value, one.age_days) for value, one in hits] == [("http://evil.example.net/a", 1)]


STIX = {
    "type": "bundle",
    "id": "bundle--1",
    "objects": [
        {"type": "indicator", "name": "C2", "pattern_type": "stix", "valid_from": "2026-11-11T00:00:00Z",
         "pattern": "[ipv4-addr:value = '203.0.113.5' OR domain-name:value = 'evil.example.net']"},
        {"type": "indicator", "pattern_type": "stix", "valid_from": "2026-11-11T00:00:00.000Z",
         "pattern": "[file:hashes.'SHA-256' = 'aa11bb22cc33dd44ee55ff66aa11bb22cc33dd44ee55ff66aa11bb22cc33dd44' AND file:name = 'a']"},
        {"type": "indicator", "pattern_type": "yara", "pattern": "rule x {}"},
        {"type": "indicator", "pattern_type": "stix", "pattern": "[url:value = 'http://old.example.net/']", "revoked": True},
    ],
}  # fmt: skip


def test_a_stix_bundle() -> None:
    hits = looked_up(json.dumps(STIX), "curl http://evil.example.net/ http://203.0.113.5/ http://old.example.net/")
    assert {(value, one.note, one.age_days) for value, one in hits} == {
        ("evil.example.net", "C2", 10),
        ("203.0.113.5", "C2", 10),
    }
    parsed = parse(json.dumps(STIX), "x")
    assert dict(parsed.skipped) == {"pattern of type yara": 1, "revoked": 1}
    assert any("part of a larger pattern" in one.note for one in parsed.entries)


def test_a_misp_export() -> None:
    attributes = [
        {"type": "domain|ip", "value": "evil.example.net|203.0.113.4", "to_ids": True, "timestamp": "1793000000"},
        {"type": "md5", "value": "d41d8cd98f00b204e9800998ecf8427e", "to_ids": False},
        {"type": "url", "value": "http://gone.example.net/", "deleted": True},
    ]
    text = json.dumps({"response": [{"Event": {"info": "Campaign", "Attribute": attributes, "Object": []}}]})
    hits = looked_up(text, "curl http://evil.example.net/; ping 203.0.113.4")
    assert {(value, one.note) for value, one in hits} == {("evil.example.net", "Campaign"), ("203.0.113.4", "Campaign")}
    assert sum(parse(text, "x").skipped.values()) == 2


def test_a_warning_list_is_known_benign_and_removes_nothing() -> None:
    text = json.dumps({"name": "Resolvers", "type": "cidr", "version": 20261001, "list": ["192.0.2.0/24"]})
    hits = looked_up(text, "dig @192.0.2.53 a.example.net")
    assert [(value, one.benign, one.list, one.age_days) for value, one in hits] == [
        ("192.0.2.53", True, "Resolvers", 51)
    ]


@pytest.mark.parametrize("text", ["{", "[1", '{"a": 1}', "3", ""])
def test_what_is_no_list_is_refused_or_empty(text: str) -> None:
    try:
        assert all(not e.value or e.value == "3" for e in parse(text, "mine").entries)
    except ContentError as error:
        assert error.where == "mine"


def test_the_packaged_lists_can_be_read() -> None:
    for one in (files("perilune") / "content" / "lists").iterdir():
        if not one.name.endswith(".json"):
            continue
        parsed = parse(one.read_text(encoding="utf-8"), one.name)
        assert parsed.entries
        assert parsed.benign


def test_a_wallet_is_compared_with_its_case() -> None:
    wallet = "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa"
    lists = Lists([parse(wallet, "w")])
    assert lists.lookup(Indicator(IndicatorKind.WALLET, wallet, 0, 0, 1))
    assert not lists.lookup(Indicator(IndicatorKind.WALLET, wallet.lower(), 0, 0, 1))
