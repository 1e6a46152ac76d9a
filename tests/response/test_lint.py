"""Each rule of the specification, broken once in a good document."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from perilune.response import cacao
from perilune.response.lint import lint_library, lint_playbook
from perilune.response.playbook import load_playbook
from tests.response.build import action_step, document, key

Doc = dict[str, Any]


def good() -> Doc:
    return json.loads(  # type: ignore[no-any-return]
        json.dumps(
            document(
                {
                    "start:l": {"type": "start", "on_completion": "if-condition:l"},
                    "if-condition:l": {
                        "type": "if-condition",
                        "condition": "__x__:value = true",
                        "on_true": "action:l",
                        "on_false": "end:l2",
                        "on_completion": "end:l",
                    },
                    "action:l": action_step(
                        "isolate __x__:value", {"action": "isolate-host", "each": "hosts"}, on_completion="end:l3"
                    ),
                    "end:l": {"type": "end"},
                    "end:l2": {"type": "end"},
                    "end:l3": {"type": "end"},
                },
                {"__x__": {"type": "bool", "value": "false", "external": True}},
            )
        )
    )


def step(doc: Doc, name: str) -> Doc:
    found: Doc = doc["workflow"][key(name)]
    return found


def extension(doc: Doc) -> Doc:
    found: Doc = step(doc, "action:l")["step_extensions"][cacao.EXTENSION]
    return found


BROKEN: dict[str, tuple[Callable[[Doc], object], str]] = {
    "playbook id": (lambda d: d.update(id=key("thing:x")), "begins with playbook--"),
    "identity": (lambda d: d.update(created_by=key("thing:y")), "STIX identity"),
    "modified": (lambda d: d.update(modified="2020-01-01T00:00:00.000Z"), "earlier than created"),
    "validity": (
        lambda d: d.update(valid_from="2026-01-02T00:00:00.000Z", valid_until="2026-01-01T00:00:00.000Z"),
        "not later",
    ),
    "activities": (lambda d: d.update(playbook_types=["mitigation"]), "at least one activity"),
    "key and type": (
        lambda d: d["workflow"].update({key("action:l"): {"type": "end"}}),
        "must be end--UUID",
    ),
    "uuid version": (
        lambda d: d["workflow"].update({"end--00000000-0000-1000-8000-000000000000": {"type": "end"}}),
        "version 4",
    ),
    "start": (lambda d: d.update(workflow_start=key("end:l")), "no start step"),
    "exception": (lambda d: d.update(workflow_exception=key("end:gone")), "no step of the workflow"),
    "pointer": (lambda d: step(d, "action:l").update(on_completion=key("end:gone")), "no step of the workflow"),
    "both ways on": (lambda d: step(d, "action:l").update(on_success=key("end:l3")), "must not stand beside"),
    "mid-air": (lambda d: step(d, "action:l").pop("on_completion"), "mid-air"),
    "end goes on": (lambda d: step(d, "end:l").update(on_completion=key("end:l2")), "leads nowhere"),
    "unreachable": (lambda d: step(d, "if-condition:l").pop("on_false"), "nothing leads"),
    "circle": (lambda d: step(d, "action:l").update(on_completion=key("action:l")), "leads back to itself"),
    "variable name": (lambda d: d["playbook_variables"].update({"x": {"type": "bool"}}), "__name__"),
    "variable type": (lambda d: d["playbook_variables"].update({"__y__": {"type": "colour"}}), "unknown type"),
    "undeclared use": (lambda d: step(d, "action:l").update(description="__z__:value"), "declared nowhere"),
    "undeclared argument": (lambda d: step(d, "action:l").update(in_args=["__z__"]), "declared nowhere"),
    "constant as result": (
        lambda d: (
            d["playbook_variables"]["__x__"].update(constant=True),
            step(d, "action:l").update(out_args=["__x__"]),
        ),
        "constant",
    ),
    "condition": (lambda d: step(d, "if-condition:l").update(condition="__x__:value ="), "ends where a value"),
    "condition variable": (lambda d: step(d, "if-condition:l").update(condition="__q__:value = 1"), "declared nowhere"),
    "agent": (lambda d: step(d, "action:l").update(agent=key("group:gone")), "not in agent_definitions"),
    "target": (lambda d: step(d, "action:l").update(targets=[key("linux:gone")]), "not in target_definitions"),
    "extension definition": (lambda d: d.update(extension_definitions={}), "not in extension_definitions"),
    "marking": (lambda d: d.update(markings=[key("marking-tlp:x")]), "not in data_marking_definitions"),
    "command twice": (
        lambda d: step(d, "action:l")["commands"][0].update(command_b64="eA=="),
        "one of command and command_b64",
    ),
    "not run here": (
        lambda d: step(d, "action:l")["commands"].append({"type": "bash", "command": "id"}),
        "does not run 'bash'",
    ),
    "http line": (
        lambda d: step(d, "action:l")["commands"].append({"type": "http-api", "command": "GET"}),
        "start line",
    ),
    "summary": (lambda d: d.update(playbook_processing_summary={"if_logic": False}), "should be true"),
    "unknown action": (lambda d: extension(d).update(action="explode"), "unknown action"),
    "unknown each": (lambda d: extension(d).update(each="planets"), "unknown 'planets'"),
    "wrong target": (lambda d: extension(d).update(each="accounts"), "not done to accounts"),
    "two things at once": (lambda d: extension(d).update(look="related"), "exactly one"),
    "unknown topic": (lambda d: extension(d).update(action="", look="weather"), "unknown topic"),
    "question": (lambda d: extension(d).update(action="", question="Well?", choices=["yes"]), "two choices"),
    "approval": (lambda d: extension(d).update(approval="perhaps"), "approval is required"),
}


def test_the_good_document_has_no_fault() -> None:
    assert lint_playbook(load_playbook(json.dumps(good()), "x")) == ()


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_rule_is_named(name: str) -> None:
    breaking, says = BROKEN[name]
    doc = good()
    breaking(doc)
    faults = lint_playbook(load_playbook(json.dumps(doc), "x"))
    assert any(says in fault.what for fault in faults), faults


def test_a_playbook_that_calls_itself_or_one_that_is_not_there_is_named() -> None:
    doc = good()
    call = {"type": "playbook-action", "playbook_id": doc["id"], "on_completion": key("end:l3")}
    doc["workflow"][key("playbook-action:l")] = call
    step(doc, "if-condition:l")["on_true"] = key("playbook-action:l")
    playbook = load_playbook(json.dumps(doc), "x")
    assert "calls itself" in lint_library({playbook.id: playbook})[0].what
    assert "is known" in lint_library({"other": playbook})[0].what
