"""Other alerts of the host within a day, by tactic, and errors of scripts."""

from __future__ import annotations

from perilune.investigation.alerts import find_alerts, find_errors, tactics_of
from tests.build import at, finding, table
from tests.investigation.scopes import scoped

DAY = 86_400


def test_findings_of_other_cases_within_a_day_are_told_by_tactic_each_rule_once() -> None:
    mine = finding("mine")
    others = [
        finding("near", seconds=3600, tags=("attack.credential_access", "attack.t1003")),
        finding("again", seconds=3700, rule_id="rule-near", tags=("attack.credential_access",)),
        finding("far", seconds=3 * DAY, tags=("attack.persistence",)),
        mine,
    ]
    found = list(find_alerts(scoped(findings=[mine]), others))
    assert [(fact.name, fact.value) for fact in found] == [("credential-access", "rule-near")]


def test_tactics_are_read_in_either_spelling() -> None:
    assert tactics_of(finding(tags=("attack.defense-evasion", "attack.t1059", "attack.command_and_control"))) == (
        "defense-evasion", "command-and-control",
    )  # fmt: skip


def test_an_alert_of_a_product_counts_and_script_errors_say_when_code_was_built() -> None:
    alert = {"Timestamp": at(1), "ActionType": "AntivirusDetection", "AdditionalFields": "{}"}
    error = {
        "Timestamp": at(1),
        "XApplication": "nginx",
        "XMessage": 'runtime error: [string "x"]:1: boom',
        "XDynamicCode": True,
    }
    quiet = {"Timestamp": at(2), "XApplication": "nginx", "XMessage": "worker started"}
    assert [fact.name for fact in find_alerts(scoped(table("DeviceEvents", alert)), ())] == ["of a product"]
    assert [fact.tags for fact in find_errors(scoped(table("XAppLogEvents", error, quiet)))] == [("dynamic",)]
