"""Small builders of playbooks, cases' subjects and surroundings."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from typing import Any

from perilune.model.actions import Action, Endpoint, Kind, Phase, Role, Subject, Target, TargetType
from perilune.response import cacao
from perilune.response.guards import SafeList, Surroundings
from perilune.response.playbook import load_playbook
from tests.build import at

HOST = Target(TargetType.HOST, "web-01")
PROCESS = Target(TargetType.PROCESS, "/usr/bin/lua5.4", "web-01", 4242, at(0))
FILE = Target(TargetType.FILE, "/tmp/x.lua", "web-01", sha256="ab" * 32)
ADDRESS = Target(TargetType.ADDRESS, "45.77.1.2")
ACCOUNT = Target(TargetType.ACCOUNT, "www-data", "web-01")
CASE = Target(TargetType.CASE, "C-1")

_IDS: dict[str, str] = {}


def key(name: str) -> str:
    """`action:isolate` -> `action--UUID`, the same one each time."""
    kind = name.split(":")[0]
    return _IDS.setdefault(name, f"{kind}--{uuid.uuid4()}")


def action_step(name: str, extension: Mapping[str, object] | None = None, **more: object) -> dict[str, object]:
    step: dict[str, object] = {
        "type": "action",
        "name": name,
        "commands": [{"type": "manual", "command": name}],
        "agent": key("group:soc"),
        **more,
    }
    if extension is not None:
        step["step_extensions"] = {cacao.EXTENSION: extension}
    return step


def document(
    steps: Mapping[str, Mapping[str, Any]], variables: Mapping[str, Mapping[str, object]] | None = None, **more: object
) -> dict[str, Any]:
    """A playbook whose steps are named by `key`; names in pointers are turned into ids."""
    workflow = {key(name): _pointed(step) for name, step in steps.items()}
    first = next(name for name in steps if name.startswith("start"))
    return {
        "type": "playbook",
        "spec_version": "cacao-2.0",
        "id": key("playbook:test"),
        "name": "Test",
        "created_by": key("identity:me"),
        "created": "2026-11-20T09:00:00.000Z",
        "modified": "2026-11-20T09:00:00.000Z",
        "workflow_start": key(first),
        "workflow": workflow,
        "playbook_variables": dict(variables or {}),
        "agent_definitions": {key("group:soc"): {"type": "group", "name": "SOC"}},
        "extension_definitions": {
            cacao.EXTENSION: {
                "type": "extension-definition",
                "name": "Perilune response",
                "created_by": key("identity:me"),
                "schema": "text",
                "version": "1.0.0",
            }
        },
        **more,
    }


def _pointed(step: Mapping[str, Any]) -> dict[str, Any]:
    pointed = dict(step)
    for name in ("on_completion", "on_success", "on_failure", "on_true", "on_false"):
        if name in pointed:
            pointed[name] = key(pointed[name])
    if "next_steps" in pointed:
        pointed["next_steps"] = [key(one) for one in pointed["next_steps"]]
    if "cases" in pointed:
        pointed["cases"] = {value: key(one) for value, one in pointed["cases"].items()}
    return pointed


def playbook(*args: Any, **more: Any) -> cacao.Playbook:
    return load_playbook(json.dumps(document(*args, **more)), "test")


def action(kind: Kind = Kind.ISOLATE_HOST, target: Target = HOST, **more: Any) -> Action:
    values: dict[str, Any] = {"number": 1, "step": "s", "phase": Phase.CONTAINMENT, "why": "because", "approvers": 1}
    return Action(kind=kind, target=target, **(values | more))


def around(role: Role = Role.WORKSTATION, **more: Any) -> Surroundings:
    endpoints = {"web-01": (Endpoint("e1", "web-01", role),)}
    return Surroundings(**({"endpoints": endpoints, "safe": SafeList()} | more))


def subject(**targets: tuple[Target, ...]) -> Subject:
    facts = {"command-line": {"__verdict__": "malicious", "__score__": "90"}, "related": {}}
    return Subject("C-1", {"hosts": (HOST,), "case": (CASE,)} | targets, facts)
