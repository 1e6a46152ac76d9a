"""OCSF: every event of every case is valid against the published schema, whatever a log holds."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from typing import Any

import jsonschema
import pytest

from perilune.model.case import Case
from perilune.report import inert, ocsf
from tests.report.cases import EMPTY, GENERATED, INTRUSION, LONG, POISONS, VERSION, hostile


@cache
def _validator(name: str, version: str) -> jsonschema.Draft202012Validator:
    """The published schema as JSON Schema, unknown attributes refused."""
    from ocsf_json_schema import OcsfJsonSchemaEmbedded, get_ocsf_schema

    schema = OcsfJsonSchemaEmbedded(get_ocsf_schema(version)).get_class_schema(name, profiles=["host", "incident"])
    return jsonschema.Draft202012Validator(schema)


def faults(event: Mapping[str, Any], name: str, version: str = ocsf.VERSION) -> list[str]:
    plain = json.loads(inert.dump(event))
    return [f"{one.json_path}: {one.message[:200]}" for one in _validator(name, version).iter_errors(plain)]


def _events(case: Case) -> list[tuple[str, Mapping[str, Any]]]:
    found = [("detection_finding", one) for one in ocsf.detections(case, version=VERSION, generated=GENERATED)]
    return [*found, ("incident_finding", ocsf.incident(case, version=VERSION, generated=GENERATED))]


@pytest.mark.parametrize("version", ["1.5.0", "1.6.0", "1.8.0"])
def test_every_event_is_valid(version: str) -> None:
    for name, event in _events(INTRUSION):
        assert not faults(event, name, version), name


@pytest.mark.parametrize("poison", [*POISONS, LONG], ids=range(len(POISONS) + 1))
def test_no_log_makes_an_event_invalid(poison: str) -> None:
    for name, event in [*_events(hostile(poison)), *_events(EMPTY)]:
        assert not faults(event, name), name


def test_the_schema_sees_a_fault() -> None:
    _, event = _events(INTRUSION)[0]
    assert faults({**event, "severity_id": 42}, "detection_finding")
    assert faults({name: value for name, value in event.items() if name != "metadata"}, "detection_finding")
    assert faults({**event, "no_such_attribute": 1}, "detection_finding")


def test_a_finding_says_who_did_what_with_what() -> None:
    _, event = _events(INTRUSION)[0]
    assert (event["class_uid"], event["type_uid"]) == (2004, 200402)
    assert event["severity"] == "Critical"
    attacks = event["finding_info"]["attacks"]
    assert (attacks[0]["technique"]["uid"], attacks[0]["sub_technique"]["uid"]) == ("T1059", "T1059.011")
    evidence = event["evidences"][0]
    assert evidence["process"]["pid"] == 8530
    assert evidence["process"]["parent_process"]["pid"] == 8518
    assert "socket" in evidence["process"]["cmd_line"]
    assert evidence["data"]["record"] == 4120
    _, connection = _events(INTRUSION)[4]
    assert connection["evidences"][0]["dst_endpoint"] == {
        "ip": "203.0.113.9", "hostname": "cdn.updates.example", "port": 4444
    }  # fmt: skip


def test_an_event_has_the_same_id_in_every_export() -> None:
    first, again = _events(INTRUSION), _events(INTRUSION)
    ids = [one["metadata"]["uid"] for _, one in first]
    assert ids == [one["metadata"]["uid"] for _, one in again]
    assert len(set(ids)) == len(ids)


def test_the_incident_names_its_owner_or_nobody() -> None:
    incident = dict(_events(EMPTY)[-1][1])
    assert incident["assignee_group"] == {"name": "unassigned"}
    assert "assignee" not in incident


def test_a_long_text_says_that_it_was_cut() -> None:
    event = _events(hostile(LONG))[0][1]
    assert "more characters" in event["finding_info"]["title"]
    assert len(inert.dump(event)) < 2_000_000
