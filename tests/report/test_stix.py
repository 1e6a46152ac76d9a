"""STIX 2.1: the bundle passes the standard's own validator and library, whatever a log holds."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
import stix2
import stix2validator

from perilune.model.case import Case
from perilune.report import inert, stix
from perilune.report.observables import Observable, What
from tests.report.cases import EMPTY, INTRUSION, LONG, POISONS, hostile

# The intrusion with an address and a name that lead outside; those of its own are for documentation only.
OUTSIDE = replace(
    INTRUSION,
    findings=tuple(
        replace(one, row={**one.row, "RemoteIP": "45.155.204.7", "RemoteUrl": "c2.lua-loader.dev"})
        if one.id == "f-connect"
        else one
        for one in INTRUSION.findings
    ),
)


def _bundle(*cases: Case) -> dict[str, Any]:
    found = json.loads(inert.dump(stix.bundle(cases)))
    assert isinstance(found, dict)
    return found


def faults(bundle: dict[str, Any]) -> list[str]:
    """What the OASIS validator says is wrong."""
    options = stix2validator.ValidationOptions(version="2.1", disabled=["all"])
    results = stix2validator.validate_instance(bundle, options)
    found = results if isinstance(results, list) else [results]
    return [str(error) for one in found for error in one.errors]


def test_the_bundle_is_valid() -> None:
    bundle = _bundle(OUTSIDE)
    assert not faults(bundle)
    assert {one["type"] for one in bundle["objects"]} >= {
        "identity", "attack-pattern", "observed-data", "sighting", "indicator", "relationship", "grouping", "note",
        "process", "file", "user-account", "ipv4-addr", "domain-name", "network-traffic",
    }  # fmt: skip


@pytest.mark.parametrize("poison", [*POISONS, LONG], ids=range(len(POISONS) + 1))
def test_no_log_makes_the_bundle_invalid(poison: str) -> None:
    assert not faults(_bundle(hostile(poison), EMPTY))


def test_the_validator_sees_a_fault() -> None:
    bundle = _bundle(INTRUSION)
    note = next(one for one in bundle["objects"] if one["type"] == "note")
    del note["object_refs"]
    assert faults(bundle)


def test_the_library_reads_it_and_gives_observables_the_same_ids() -> None:
    bundle = _bundle(OUTSIDE)
    parsed = stix2.parse(bundle, version="2.1")
    assert len(parsed.objects) == len(bundle["objects"])
    for kind in ("ipv4-addr", "domain-name", "user-account", "file", "directory"):
        for one in bundle["objects"]:
            if one["type"] == kind:
                again = stix2.parse({name: value for name, value in one.items() if name != "id"}, version="2.1")
                assert again.id == one["id"], one


def test_every_reference_leads_somewhere() -> None:
    objects = _bundle(INTRUSION, hostile(POISONS[0]))["objects"]
    known = {one["id"] for one in objects}
    for one in objects:
        for name, value in one.items():
            if name.endswith("_ref"):
                assert value in known, (one["id"], name)
            if name.endswith("_refs"):
                assert set(value) <= known, (one["id"], name)


def test_a_case_gives_the_same_objects_every_time() -> None:
    assert _bundle(INTRUSION) == _bundle(INTRUSION)
    both = _bundle(INTRUSION, INTRUSION)
    assert len({one["id"] for one in both["objects"]}) == len(both["objects"])


def test_a_value_cannot_leave_its_pattern() -> None:
    link = Observable(What.URL, "http://a.example/x'] OR [file:name = 'y\\", (), False)
    assert stix.pattern_of(link) == r"[url:value = 'http://a.example/x\'] OR [file:name = \'y\\']"


def test_only_what_leads_outside_becomes_an_indicator() -> None:
    patterns = [one["pattern"] for one in _bundle(OUTSIDE)["objects"] if one["type"] == "indicator"]
    assert patterns == ["[ipv4-addr:value = '45.155.204.7']", "[domain-name:value = 'c2.lua-loader.dev']"]
    assert not [one for one in _bundle(INTRUSION)["objects"] if one["type"] == "indicator"]


@pytest.mark.parametrize(
    ("key", "wanted"),
    [
        ("HKU\\S-1-5-21\\SOFTWARE\\Run\\x", "HKEY_USERS\\S-1-5-21\\SOFTWARE\\Run\\x"),
        ("HKEY_CURRENT_USER\\Software\\Run", "HKEY_CURRENT_USER\\Software\\Run"),
        ("hklm\\system", "HKEY_LOCAL_MACHINE\\system"),
        ("HKEY_USERS\\a HKLM b", ""),
    ],
)
def test_a_registry_key_names_its_hive_in_full(key: str, wanted: str) -> None:
    first = replace(INTRUSION.findings[0], row={**INTRUSION.findings[0].row, "RegistryKey": key})
    bundle = _bundle(replace(INTRUSION, findings=(first,)))
    assert not faults(bundle)
    assert [one["key"] for one in bundle["objects"] if one["type"] == "windows-registry-key"] == (
        [wanted] if wanted else []
    )
