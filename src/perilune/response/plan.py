"""Makes a plan: walks the playbook for a case as if everything worked, and lists what it would do, in order."""

from __future__ import annotations

import hashlib
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType

import msgspec

from perilune.errors import UsageError
from perilune.model.actions import (
    Action,
    Document,
    Kind,
    Outcome,
    Phase,
    Plan,
    Refusal,
    Result,
    Subject,
    Target,
    TargetType,
)
from perilune.response import cacao
from perilune.response.guards import Surroundings, approvers_needed, over_caps, refuse
from perilune.response.kinds import KINDS
from perilune.response.steps import Answer, Ask, Step, Tell
from perilune.response.walk import Library, Order, World, walk

_BOOLEANS = {"true": "true", "yes": "true", "1": "true", "false": "false", "no": "false", "0": "false"}


def make_plan(
    library: Library,
    documents: Sequence[Document],
    inputs: Mapping[str, str | None],
    subject: Subject,
    around: Surroundings,
    connector: str,
    handles: frozenset[tuple[Kind, TargetType]],
    answers: Mapping[str, str] = MappingProxyType({}),
) -> Plan:
    """The plan of the first document for the subject. Refused actions are in it with their reasons."""
    planner = _Planner(subject, around, connector, handles)
    world = World(library, subject.facts, answers, planner.perform)
    unknown = _drive(walk(world, documents[0].id, inputs))
    actions, capped = _within_caps(planner.actions)
    return Plan(
        case=subject.case,
        connector=connector,
        documents=tuple(documents),
        inputs=inputs,
        actions=tuple(replace(action, number=n) for n, action in enumerate(actions, 1)),
        refusals=(*planner.refusals, *capped),
        facts=subject.facts,
        steps=tuple(dict.fromkeys(planner.steps)),
        answers=dict(answers),
        unknown=tuple(unknown),
    )


def plan_hash(plan: Plan) -> str:
    """The hash that approvals are bound to: of everything in the plan."""
    return hashlib.sha256(msgspec.json.encode(plan, order="deterministic")).hexdigest()


def undo_plan(
    plan: Plan,
    run: str,
    results: Mapping[int, Result],
    only: Sequence[int] = (),
    handles: frozenset[tuple[Kind, TargetType]] | None = None,
) -> Plan:
    """The plan that takes a run's effects back, last first. What held before the run is not its own to undo.

    handles  what the connector can do; an inverse that it cannot is refused by name
    """
    actions: list[Action] = []
    refusals: list[Refusal] = []
    for action in reversed(plan.actions):
        result = results.get(action.number)
        if result is None or result.outcome is not Outcome.DONE or (only and action.number not in only):
            continue
        row = KINDS[action.kind]
        if row.inverse is None:
            refusals.append(Refusal(action.kind, action.target, "undo", "no-inverse", row.note))
            continue
        if handles is not None and (row.inverse, action.target.type) not in handles:
            why = f"{plan.connector} cannot do {row.inverse}: take it back in the product itself"
            refusals.append(Refusal(row.inverse, action.target, "undo", "connector", why))
            continue
        actions.append(
            Action(
                number=len(actions) + 1,
                kind=row.inverse,
                target=action.target,
                step="undo",
                phase=Phase.RECOVERY,
                why=f"takes back action {action.number} of {run}",
                undoes=f"{run}:{action.number}",
            )
        )
    return Plan(plan.case, plan.connector, (), {}, tuple(actions), tuple(refusals), steps=("undo",), undoes=run)


def fill_inputs(playbook: cacao.Playbook, given: Mapping[str, str]) -> dict[str, str | None]:
    """The playbook's external variables with what was given; names may be written without their underscores."""
    external = {name: one for name, one in playbook.playbook_variables.items() if one.external}
    filled: dict[str, str | None] = {name: one.value for name, one in external.items()}
    for name, value in given.items():
        full = next((one for one in external if one.strip("_").lower() == name.strip("_").lower()), None)
        if full is None:
            known = ", ".join(one.strip("_") for one in external)
            raise UsageError(f"{playbook.name} has no input {name!r}", hint=f"its inputs are: {known or 'none'}")
        filled[full] = _value(name, value, external[full].type)
    return filled


def _value(name: str, value: str, kind: str) -> str:
    if kind == "bool":
        if value.strip().lower() not in _BOOLEANS:
            raise UsageError(f"the input {name} is true or false, not {value!r}")
        return _BOOLEANS[value.strip().lower()]
    if kind in ("integer", "long") and not value.strip().lstrip("+-").isdecimal():
        raise UsageError(f"the input {name} is a whole number, not {value!r}")
    return value


def _drive(walking: Generator[Step, Answer, bool]) -> list[str]:
    """Walks on, assuming each question's first answer; returns what was assumed."""
    unknown: list[str] = []
    answer: Answer = None
    try:
        while True:
            step = walking.send(answer)
            answer = None
            if isinstance(step, Ask):
                answer = step.choices[0]
                unknown.append(f"assumed the answer {step.choices[0]!r} to: {step.question}")
            elif isinstance(step, Tell) and step.kind == "condition" and "unknown" in step.text:
                unknown.append(step.text)
    except StopIteration:
        return unknown


def _within_caps(actions: Sequence[Action]) -> tuple[list[Action], list[Refusal]]:
    over = over_caps(actions)
    refused = [Refusal(a.kind, a.target, a.step, "cap", over[a.kind]) for a in actions if a.kind in over]
    return [action for action in actions if action.kind not in over], refused


@dataclass(slots=True)
class _Planner:
    """Collects what the walk asks for; every action that no guard refuses is taken to succeed."""

    subject: Subject
    around: Surroundings
    connector: str
    handles: frozenset[tuple[Kind, TargetType]]
    actions: list[Action] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)
    steps: list[str] = field(default_factory=list)

    def perform(self, order: Order) -> Generator[Step, Answer, Sequence[Result]]:
        yield Tell("step", order.path, order.name)
        self.steps.append(order.path)
        said = order.response
        targets = self.subject.targets.get(said.each, ())
        if said.at_most is not None and len(targets) > said.at_most:
            why = f"the step allows {said.at_most} targets and the case has {len(targets)}"
            self.refusals += [Refusal(Kind(said.action), one, order.path, "at-most", why) for one in targets]
            return [Result(Outcome.REFUSED, why)] * len(targets)
        return [self._one(order, target) for target in targets]

    def _one(self, order: Order, target: Target) -> Result:
        action = self._action(order, target)
        if any(a.kind is action.kind and a.target == action.target for a in self.actions):
            return Result(Outcome.ALREADY, "an earlier step of the plan does it")
        if (action.kind, target.type) not in self.handles:
            what = f"{self.connector} cannot do {action.kind} to this type of target: {target.type}"
            refused: tuple[str, str] | None = ("connector", what)
        else:
            refused = refuse(action, self.around)
        if refused is not None:
            self.refusals.append(Refusal(action.kind, target, order.path, *refused))
            return Result(Outcome.REFUSED, refused[1])
        self.actions.append(replace(action, approvers=approvers_needed(action, self.around)))
        return Result(Outcome.DONE)

    def _action(self, order: Order, target: Target) -> Action:
        said, kind = order.response, Kind(order.response.action)
        row = KINDS[kind]
        approvers = 0 if order.automatic else max(row.approvers, said.approvers or 0)
        return Action(
            number=0,
            kind=kind,
            target=target,
            step=order.path,
            phase=row.phase,
            why=order.name,
            approvers=approvers,
            lasts=said.lasts or row.lasts,
        )
