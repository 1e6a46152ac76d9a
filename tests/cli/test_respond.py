"""From a case to its end on the command line, with the simulated fleet."""

from __future__ import annotations

import json
import os
import pwd
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from click.testing import CliRunner, Result

from perilune.cli.main import cli
from perilune.cli.respond import own_name
from perilune.errors import UsageError
from perilune.model.rules import Level
from perilune.store.cases import CaseStore
from tests.build import at, case, finding
from tests.conftest import CHECKOUT
from tests.service.test_subject import TREE, analysis, indicator

SCHEMA = CHECKOUT / "src" / "perilune" / "content" / "schemas" / "respond.schema.json"


def perilune(*arguments: str, code: int | None = 0) -> Result:
    result = CliRunner().invoke(cli, arguments, standalone_mode=False)
    if result.exception is not None:
        raise result.exception
    assert code is None or (result.return_value or 0) == code, result.output
    return result


def as_json(*arguments: str, code: int | None = 0) -> Any:
    found = json.loads(perilune(*arguments, "--json", code=code).output)
    jsonschema.validate(found, json.loads(SCHEMA.read_text()))
    return found


@pytest.fixture(autouse=True)
def stored(own_home: Path) -> None:
    from perilune.model.analysis import IndicatorKind

    one = finding(analysis=analysis(indicator(IndicatorKind.IPV4, "45.77.1.2")))
    made = case(one, tree=TREE, score=96, level=Level.CRITICAL, users=("www-data",))
    CaseStore(f"sqlite:///{own_home / 'cases.db'}").save(made, at=at(0))


def test_a_dry_run_prints_requests_and_effects_in_order_and_keeps_nothing(own_home: Path) -> None:
    found = as_json("respond", "C-1", "--dry-run")["plan"]
    assert [a["kind"] for a in found["actions"]][:3] == ["isolate-host", "collect-evidence", "block-indicator"]
    assert all(a["requests"] and a["check"] and a["reach"] for a in found["actions"])
    text = perilune("respond", "C-1", "--dry-run").output
    assert "nothing is changed" in text
    assert "does: set isolated host||web-01 = true" in text
    assert "Not known before:" in text
    assert as_json("runs", "list")["runs"] == []
    assert json.loads((own_home / "simulated.json").read_text())["calls"] == []


def test_respond_approve_verify_undo() -> None:
    run = as_json("respond", "C-1")["run"]
    assert (run["status"], run["results"]) == ("waiting", [])
    wanted = run["plan"]["hash"]
    assert as_json("plan", "show", run["id"])["plan"]["hash"] == wanted
    run = as_json("approve", "R-1", "--reason", "seen", "--plan", wanted[:12])["run"]
    assert run["status"] == "finished"
    assert {one["outcome"] for one in run["results"]} == {"done"}
    undone = as_json("undo", "R-1", "--reason", "mistake")["run"]
    assert [a["kind"] for a in undone["plan"]["actions"]][-1] == "release-host"
    assert {one["outcome"] for one in undone["results"]} == {"done"}
    assert as_json("audit", "verify")["breaks"] == []
    exported = [json.loads(line) for line in perilune("audit", "export").output.splitlines()]
    assert {"run", "decision", "intent", "effect"} <= {line["kind"] for line in exported}


def test_another_plan_than_the_one_that_was_seen_is_not_approved() -> None:
    from perilune.errors import UsageError

    perilune("respond", "C-1")
    with pytest.raises(UsageError, match="look at it again"):
        perilune("approve", "R-1", "--reason", "x", "--plan", "ffffffff")


def test_deny_and_cancel_and_list() -> None:
    perilune("respond", "C-1")
    run = as_json("deny", "R-1", "--action", "1", "--reason", "the pay server")["run"]
    assert "approval of action 3" in run["waiting"]
    assert "R-1 is cancelled" in perilune("runs", "cancel", "R-1", "--reason", "enough").output
    assert as_json("runs", "list")["runs"][0]["status"] == "cancelled"
    assert "cancelled" in perilune("runs", "show", "R-1").output


def test_a_question_is_answered() -> None:
    perilune("recover", "C-1")
    assert "answer" in as_json("runs", "show", "R-1")["run"]["waiting"]
    run = as_json("runs", "answer", "R-1", "yes")["run"]
    assert "release-host" in run["waiting"]


def test_sweep_drives_on_what_waits() -> None:
    perilune("respond", "C-1")
    assert json.loads(perilune("runs", "sweep", "--json").output)["driven"] == ["R-1"]


def test_closing_a_case_is_in_its_record_and_in_the_audit_log() -> None:
    perilune("close", "C-1", "--reason", "handled by the shop team")
    shown = json.loads(perilune("case", "show", "C-1", "--json").output)["case"]
    assert shown["status"] == "closed"
    assert "handled by the shop team" in json.dumps(shown["entries"])
    assert "handled by the shop team" in perilune("audit", "export").output


def test_a_false_positive_is_proposed_and_not_yet_in_force(own_home: Path) -> None:
    row = {"FolderPath": "/usr/bin/lua5.4", "ProcessCommandLine": "lua5.4 /opt/run.lua"}
    store = CaseStore(f"sqlite:///{own_home / 'cases.db'}")
    made = store.save(case(finding("fp", row=row), key="other"), at=at(0))[0]
    output = perilune("close", made.id, "--as", "false-positive", "--reason", "the nightly report").output
    assert "proposed:" in output
    assert len(list((own_home / "content" / "proposed").glob("*.yml"))) == 2
    assert not (own_home / "content" / "known_hosts").exists()
    assert "proposed" in json.dumps(store.load(made.id).entries[-1].body)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("respond", "C-9"), "there is no case C-9"),
        (("respond", "C-1", "--playbook", "nothing"), "no playbooks are called"),
        (("respond", "C-1", "--input", "x"), "name=value"),
        (("respond", "C-1", "--connector", "magic"), "there is no connector 'magic'"),
        (("approve", "R-7", "--reason", "x"), "there is no run R-7"),
        (("undo", "X", "--reason", "x"), "is not a run"),
    ],
)
def test_what_cannot_be_is_said_plainly(arguments: tuple[str, ...], says: str) -> None:
    from perilune.errors import PeriluneError

    with pytest.raises(PeriluneError, match=says):
        perilune(*arguments)


def test_playbooks_are_listed_shown_and_checked(tmp_path: Path) -> None:
    listed = json.loads(perilune("playbook", "list", "--json").output)
    assert len(listed["playbooks"]) == 7
    assert "AutoContainment" in perilune("playbook", "show", "T1059").output
    document = perilune("playbook", "show", "Recovery Plan", "--document").output
    good = tmp_path / "good.json"
    good.write_text(document)
    perilune("playbook", "lint", str(good))
    good.write_text(document.replace("cacao-2.0", "cacao-3.0"))
    assert "spec_version" in perilune("playbook", "lint", str(good), code=1).output


def test_playbooks_are_drawn_and_tested(tmp_path: Path) -> None:
    assert perilune("playbook", "graph", "T1059").output.startswith("<svg")
    assert all(not one["differences"] for one in json.loads(perilune("playbook", "test", "--json").output)["scenarios"])
    wrong = tmp_path / "x.scenarios.yml"
    wrong.write_text("playbook: Recovery Plan\nscenarios: [{name: mine, expect: {plan: [notify]}}]\n")
    assert "0 of 1" in perilune("playbook", "test", str(wrong), code=1).output


def test_a_name_is_believed_and_the_account_stands_beside_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getuid", lambda: 0)
    monkeypatch.setenv("SUDO_UID", str(pwd.getpwnam("daemon").pw_uid))
    assert own_name() == "daemon"
    perilune("respond", "C-1")
    perilune("approve", "R-1", "--reason", "seen", "--who", "bo")
    exported = [json.loads(line) for line in perilune("audit", "export").output.splitlines()]
    accounts = [line["body"] for line in exported if line["kind"] == "account"]
    assert [(one["who"], one["account"], one["sudo"]) for one in accounts] == [
        ("daemon", "daemon", True), ("bo", "daemon", True),
    ]  # fmt: skip


def test_an_ordinary_user_cannot_say_that_sudo_was_somebody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    nobody = pwd.getpwnam("nobody").pw_uid
    monkeypatch.setattr(os, "getuid", lambda: nobody)
    monkeypatch.setenv("SUDO_UID", "0")
    assert own_name() == "nobody"


@pytest.mark.parametrize("what", ["edited", "deleted", "broken"])
def test_a_playbook_that_is_changed_under_a_run_does_not_strand_it(own_home: Path, what: str) -> None:
    """The run ends with the document that its plan was made of; the next one takes the new one."""
    text = perilune("playbook", "show", "T1059", "--document").output
    own = own_home / "content" / "playbooks" / "own.json"
    own.parent.mkdir(parents=True)
    own.write_text(text.replace("T1059 - Command and Scripting Interpreter", "T1059 - Ours"))
    before = as_json("respond", "C-1", "--playbook", "T1059 - Ours")["run"]
    if what == "edited":
        own.write_text(own.read_text().replace("T1059 - Ours", "T1059 - Newer"))
    elif what == "deleted":
        own.unlink()
    else:
        own.write_text(own.read_text()[:1000])
    run = as_json("approve", "R-1", "--reason", "seen")["run"]
    assert (run["status"], run["playbook"]) == ("finished", "T1059 - Ours")
    assert run["plan"]["playbooks"] == before["plan"]["playbooks"]
    assert {one["outcome"] for one in run["results"]} == {"done"}
    assert len(run["results"]) == len(before["plan"]["actions"])
    assert as_json("audit", "verify")["breaks"] == []
    found = {one["name"] for one in json.loads(perilune("playbook", "list", "--json").output)["playbooks"]}
    assert "T1059 - Ours" not in found
    assert ("T1059 - Newer" in found) is (what == "edited")


def test_alerts_are_closed_at_a_product_that_is_named() -> None:
    with pytest.raises(UsageError, match="go together"):
        perilune("close", "C-1", "--reason", "x", "--alert", "da1")
    with pytest.raises(UsageError, match="no alerts"):
        perilune("close", "C-1", "--reason", "x", "--alert", "da1", "--connector", "simulated")
    assert as_json("runs", "list")["runs"] == []
