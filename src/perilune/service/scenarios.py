"""Tests of playbooks as data: a case, approvals and a fleet's faults in; the steps that must come out.

A scenario is planned and driven by the real planner and engine, with the journal in memory and the simulated fleet,
so it is the same each time. They stand beside the playbook, `<playbook>.scenarios.yml`; anyone can add one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from importlib.resources import files
from pathlib import Path

import msgspec
import yaml

from perilune.connectors.simulated import Fault, Fleet, Simulated
from perilune.errors import ContentError
from perilune.model.actions import Endpoint, Kind, Plan, Role, Subject, Target, TargetType
from perilune.response.execute import run
from perilune.response.guards import Surroundings
from perilune.response.lint import EACH
from perilune.response.plan import fill_inputs, make_plan
from perilune.response.steps import Decision
from perilune.service.engine import Engine, Memory, Progress
from perilune.service.playbooks import Shelf, library_of, load_safe_list
from perilune.service.subject import is_interpreter


class Thing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A target of a scenario's case. A text alone is its value."""

    value: str
    host: str = ""
    pid: int | None = None
    started: datetime | None = None
    sha256: str = ""


class Machine(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    id: str
    role: Role = Role.WORKSTATION


class Expected(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What must come out; what is left out is not looked at.

    plan       the kinds of the plan's actions, in order
    done       the kinds that were really sent, in order
    outcomes   by kind
    refused    the guard, by kind
    waits      a part of what the run waits for at its end; empty: it must be finished
    escalated  kinds that a person must look at
    approvers  how many people, by kind
    """

    plan: tuple[Kind, ...] | None = None
    done: tuple[Kind, ...] | None = None
    outcomes: dict[Kind, str] = {}
    refused: dict[Kind, str] = {}
    waits: str = ""
    escalated: tuple[Kind, ...] | None = None
    approvers: dict[Kind, int] = {}


class Scenario(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One scenario. `approvals` are granted, denied or missing (then the run waits), by kind or `default`."""

    name: str
    expect: Expected
    case: dict[str, tuple[str | Thing, ...]] = {}
    facts: dict[str, dict[str, str]] = {}
    endpoints: dict[str, tuple[Machine, ...]] = {}
    interpreters: tuple[str, ...] = ()
    inputs: dict[str, str] = {}
    answers: dict[str, str] = {}
    replies: dict[str, str] = {}
    approvals: dict[str, str] = msgspec.field(default_factory=lambda: {"default": "granted"})
    faults: tuple[Fault, ...] = ()


class Suite(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    playbook: str
    scenarios: tuple[Scenario, ...]


@dataclass(frozen=True, slots=True)
class Tried:
    """One scenario's end: the differences from what was expected; none is good."""

    playbook: str
    scenario: str
    differences: tuple[str, ...] = field(default=())


def load_suites(content: Path | None) -> Iterator[tuple[str, Suite]]:
    """The packaged suites and the user's own."""
    packaged = files("perilune") / "content" / "playbooks"
    for entry in sorted(packaged.iterdir(), key=lambda one: one.name):
        if entry.name.endswith(".scenarios.yml"):
            yield entry.name, parse_suite(entry.read_text(encoding="utf-8"), entry.name)
    for path in sorted((content / "playbooks").glob("*.scenarios.yml")) if content else ():
        yield str(path), parse_suite(path.read_text(encoding="utf-8"), str(path))


def parse_suite(text: str, where: str) -> Suite:
    try:
        return msgspec.convert(yaml.safe_load(text), Suite, strict=False)
    except (yaml.YAMLError, msgspec.ValidationError) as error:
        raise ContentError(f"is no suite of scenarios: {error}", where=where) from error


def try_suite(suite: Suite, shelf: Shelf, content: Path | None) -> list[Tried]:
    return [_tried(suite.playbook, scenario, shelf, content) for scenario in suite.scenarios]


def _tried(playbook: str, scenario: Scenario, shelf: Shelf, content: Path | None) -> Tried:
    fleet = Simulated(fleet=_fleet(scenario))
    plan = _plan(playbook, scenario, shelf, fleet, content)
    memory = Memory(decisions=_decisions(scenario.approvals), replies=scenario.replies)
    engine = Engine(memory, fleet, sleep=lambda seconds: None, patience=float("inf"))
    progress = engine.drive(run(plan, library_of(plan.documents)))
    found = (*_planned(scenario.expect, plan), *_driven(scenario.expect, plan, progress, fleet, memory))
    return Tried(playbook, scenario.name, found)


def _fleet(scenario: Scenario) -> Fleet:
    machines = {name: [Endpoint(one.id, name, one.role) for one in found] for name, found in scenario.endpoints.items()}
    return Fleet(endpoints=machines, faults=list(scenario.faults))


def _plan(playbook: str, scenario: Scenario, shelf: Shelf, fleet: Simulated, content: Path | None) -> Plan:
    chosen = shelf.find(playbook)
    targets = {name: tuple(_target(name, one) for one in found) for name, found in scenario.case.items()}
    targets.setdefault("case", (Target(TargetType.CASE, "C-1"),))
    hosts = {one.value if one.type is TargetType.HOST else one.host for found in targets.values() for one in found}
    endpoints = {host: tuple(fleet.endpoints(host)) for host in sorted(hosts) if host}
    digests = frozenset(scenario.interpreters)
    around = Surroundings(endpoints, load_safe_list(content), digests, is_interpreter)
    answers = {f"__{name.strip('_')}__": value for name, value in scenario.answers.items()}
    subject = Subject("C-1", targets, scenario.facts, digests)
    inputs = fill_inputs(chosen, scenario.inputs)
    return make_plan(shelf.playbooks, shelf.pinned(chosen), inputs, subject, around, fleet.name, fleet.handles, answers)


def _target(name: str, one: str | Thing) -> Target:
    if name not in EACH:
        raise ContentError(f"a case has no {name!r}", hint=f"it has {', '.join(EACH)}")
    thing = Thing(one) if isinstance(one, str) else one
    return Target(EACH[name], thing.value, thing.host, thing.pid, thing.started, thing.sha256)


def _decisions(approvals: Mapping[str, str]) -> dict[str, Decision]:
    return {kind: Decision(word == "granted", word) for kind, word in approvals.items() if word != "missing"}


def _planned(expected: Expected, plan: Plan) -> Iterator[str]:
    kinds = tuple(action.kind for action in plan.actions)
    if expected.plan is not None and kinds != expected.plan:
        yield f"the plan is {_list(kinds)}, not {_list(expected.plan)}"
    refused = {refusal.kind: refusal.guard for refusal in plan.refusals}
    for kind, guard in expected.refused.items():
        if refused.get(kind) != guard:
            yield f"{kind} is refused by {refused.get(kind, 'nobody')}, not by {guard}"
    approvers = {action.kind: action.approvers for action in plan.actions}
    for kind, count in expected.approvers.items():
        if approvers.get(kind) != count:
            yield f"{kind} needs {approvers.get(kind)} approvers, not {count}"


def _driven(expected: Expected, plan: Plan, progress: Progress, fleet: Simulated, memory: Memory) -> Iterator[str]:
    sent = tuple(Kind(kind) for kind, _, _ in fleet.fleet.calls)
    if expected.done is not None and sent != expected.done:
        yield f"sent were {_list(sent)}, not {_list(expected.done)}"
    outcomes = {
        action.kind: memory.results[action.number] for action in plan.actions if action.number in memory.results
    }
    for kind, word in expected.outcomes.items():
        if kind not in outcomes or outcomes[kind].outcome != word:
            yield f"{kind} is {outcomes[kind].outcome.value if kind in outcomes else 'not begun'}, not {word}"
    if bool(expected.waits) != bool(progress.waiting) or expected.waits not in progress.waiting:
        yield f"it waits for {progress.waiting or 'nothing'}, not {expected.waits or 'nothing'}"
    kinds = {action.number: action.kind for action in plan.actions}
    raised = tuple(kinds[int(str(body["action"]))] for kind, body in memory.notes if kind == "escalate")
    if expected.escalated is not None and raised != expected.escalated:
        yield f"escalated were {_list(raised)}, not {_list(expected.escalated)}"


def _list(kinds: tuple[Kind, ...]) -> str:
    return ", ".join(kinds) or "nothing"
