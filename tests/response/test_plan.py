"""Plans of the packaged playbook, and the hash that approvals are bound to."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import pytest

from perilune.errors import UsageError
from perilune.model.actions import Kind, Outcome, Plan, Result, Subject, Target, TargetType
from perilune.response.plan import fill_inputs, make_plan, plan_hash, undo_plan
from perilune.service.playbooks import load_shelf
from tests.response.build import ACCOUNT, ADDRESS, FILE, HOST, PROCESS, around, subject

SHELF = load_shelf(None)
EVERYTHING = frozenset(product(Kind, TargetType))
RICH = {"processes": (PROCESS,), "files": (FILE,), "addresses": (ADDRESS,), "accounts": (ACCOUNT,)}


def plan(
    given: Subject | None = None,
    handles: frozenset[tuple[Kind, TargetType]] = EVERYTHING,
    answers: dict[str, str] | None = None,
    **inputs: str,
) -> Plan:
    book = SHELF.find("T1059")
    full = fill_inputs(book, inputs)
    return make_plan(
        SHELF.playbooks,
        SHELF.pinned(book),
        full,
        given or subject(**RICH),
        around(),
        "simulated",
        handles,
        answers or {},
    )


def kinds(one: Plan) -> list[str]:
    return [action.kind.value for action in one.actions]


def test_the_seeds_defaults_isolate_first_and_neither_restore_nor_close() -> None:
    made = plan()
    assert kinds(made) == [
        "isolate-host", "collect-evidence", "block-indicator", "quarantine-file", "disable-user", "clear-sessions",
        "terminate-tree",
    ]  # fmt: skip
    assert {a.kind.value: a.approvers for a in made.actions}["isolate-host"] == 1
    assert [a.number for a in made.actions] == list(range(1, 8))


def test_an_empty_auto_containment_never_means_automatic() -> None:
    assert all(a.approvers for a in plan().actions if a.kind is not Kind.COLLECT_EVIDENCE)
    automatic = {a.kind for a in plan(AutoContainment="true").actions if a.approvers == 0}
    assert automatic == {
        Kind.ISOLATE_HOST, Kind.COLLECT_EVIDENCE, Kind.BLOCK_INDICATOR, Kind.QUARANTINE_FILE, Kind.DISABLE_USER,
        Kind.CLEAR_SESSIONS,
    }  # fmt: skip


def test_without_early_isolation_the_containment_plan_isolates() -> None:
    assert kinds(plan(PreHostContainment="false"))[:2] == ["collect-evidence", "isolate-host"]


def test_delete_takes_the_place_of_quarantine_and_needs_two() -> None:
    made = plan(FileRemediation="Delete")
    assert "quarantine-file" not in kinds(made)
    assert next(a for a in made.actions if a.kind is Kind.DELETE_FILE).approvers == 2


def test_restore_and_close_follow_their_inputs() -> None:
    made = plan(AutoRestoreEndpoint="true", ShouldCloseAutomatically="true")
    assert kinds(made)[-3:] == ["release-host", "enable-user", "close-case"]
    assert any("assumed the answer 'yes'" in line for line in made.unknown)
    assert not plan(AutoRestoreEndpoint="true", answers={"__gone__": "no"}).unknown


def test_a_suspicious_case_asks_and_a_benign_answer_touches_nothing() -> None:
    unsure = replace(subject(**RICH), facts={"command-line": {"__verdict__": "suspicious"}, "related": {}})
    assert any("malicious, or expected" in line for line in plan(unsure).unknown)
    assert kinds(plan(unsure, answers={"__verdict__": "benign"})) == ["notify"]


def test_what_the_connector_cannot_do_is_refused_by_name() -> None:
    made = plan(handles=EVERYTHING - {(Kind.ISOLATE_HOST, TargetType.HOST)})
    assert next((r.guard, r.reason) for r in made.refusals if r.kind is Kind.ISOLATE_HOST) == (
        "connector",
        "simulated cannot do isolate-host to this type of target: host",
    )


def test_more_targets_than_a_step_allows_refuse_the_whole_step() -> None:
    many = tuple(Target(TargetType.ACCOUNT, f"user{n}", "web-01") for n in range(6))
    made = plan(subject(accounts=many))
    assert len([r for r in made.refusals if r.kind is Kind.DISABLE_USER]) == 6
    assert "disable-user" not in kinds(made)


def test_inputs_are_checked() -> None:
    book = SHELF.find("T1059")
    assert fill_inputs(book, {"autocontainment": "YES"})["__AutoContainment__"] == "true"
    with pytest.raises(UsageError, match="true or false"):
        fill_inputs(book, {"AutoContainment": "maybe"})
    with pytest.raises(UsageError, match="has no input 'Colour'"):
        fill_inputs(book, {"Colour": "red"})


def test_the_hash_changes_with_anything_in_the_plan() -> None:
    made = plan()
    assert plan_hash(made) == plan_hash(plan())
    other = replace(made, actions=(replace(made.actions[0], target=replace(HOST, value="web-02")), *made.actions[1:]))
    assert plan_hash(other) != plan_hash(made)
    document = replace(made.documents[0], text=made.documents[0].text + " ")
    assert plan_hash(replace(made, documents=(document, *made.documents[1:]))) != plan_hash(made)


def test_undo_goes_backwards_and_leaves_what_held_before() -> None:
    made = plan()
    results = {a.number: Result(Outcome.DONE) for a in made.actions} | {4: Result(Outcome.ALREADY)}
    back = undo_plan(made, "R-1", results)
    assert [(a.kind.value, a.undoes) for a in back.actions] == [
        ("enable-user", "R-1:5"), ("unblock-indicator", "R-1:3"), ("release-host", "R-1:1"),
    ]  # fmt: skip
    assert {r.kind for r in back.refusals} == {Kind.COLLECT_EVIDENCE, Kind.CLEAR_SESSIONS, Kind.TERMINATE_TREE}
    assert [a.undoes for a in undo_plan(made, "R-1", results, [3]).actions] == ["R-1:3"]


def test_an_inverse_that_the_connector_cannot_do_is_refused_by_name() -> None:
    made = plan()
    done = {action.number: Result(Outcome.DONE) for action in made.actions}
    can = frozenset(one for one in EVERYTHING if one[0] is not Kind.RESTORE_FILE)
    undoing = undo_plan(made, "R-1", done, handles=can)
    assert "restore-file" not in kinds(undoing)
    assert "release-host" in kinds(undoing)
    assert any("simulated cannot do restore-file" in one.reason for one in undoing.refusals)
