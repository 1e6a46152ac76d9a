"""Walks through a playbook: every CACAO step type, with its variables; what is to be done it asks of `perform`.

A walk is a generator, so the same walk plans (nothing is asked, everything is assumed to work) and runs (every answer
comes from outside and is kept). Parallel branches are walked one after the other, which the specification allows,
in the order of the document, so that a run can be walked again after a crash and take the same way.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass

from perilune.errors import ContentError
from perilune.model.actions import Result
from perilune.response import cacao
from perilune.response.conditions import holds, parse_condition
from perilune.response.playbook import responses
from perilune.response.steps import Answer, Ask, Pause, Step, Tell

MAX_STEPS = 10_000
MAX_ROUNDS = 1_000

Walking = Generator[Step, Answer, bool]


@dataclass(frozen=True, slots=True)
class Order:
    """An action step that is to be carried out.

    path       the steps that led here through playbooks, then the step: the same in every walk
    automatic  whether the inputs say that nobody need approve
    """

    path: str
    name: str
    response: cacao.Response
    automatic: bool


Perform = Callable[[Order], Generator[Step, Answer, Sequence[Result]]]
Library = Mapping[str, cacao.Playbook]
Facts = Mapping[str, Mapping[str, str]]


@dataclass(slots=True)
class _Budget:
    left: int = MAX_STEPS

    def spend(self, where: str) -> None:
        self.left -= 1
        if self.left < 0:
            raise ContentError(f"the playbook takes more than {MAX_STEPS:,} steps", where=where)


@dataclass(frozen=True, slots=True)
class World:
    """What every playbook of a walk shares: the others, the case's facts, answers given before, and who performs."""

    library: Library
    facts: Facts
    answers: Mapping[str, str]
    perform: Perform


def walk(world: World, playbook: str, inputs: Mapping[str, str | None]) -> Walking:
    """Walks the playbook and those that it calls; true when it came to an end without a failed step."""
    return _Walk(world, world.library[playbook], inputs, _Budget(), "").whole()


class _Walk:
    """One playbook's walk: its variables, and where it was called from."""

    def __init__(
        self,
        world: World,
        playbook: cacao.Playbook,
        inputs: Mapping[str, str | None],
        budget: _Budget,
        path: str,
    ) -> None:
        self._world = world
        self._playbook = playbook
        self._budget = budget
        self._path = path
        self._responses = responses(playbook)
        self.variables: dict[str, str | None] = {n: v.value for n, v in playbook.playbook_variables.items()}
        for name, value in inputs.items():
            if name in playbook.playbook_variables and not playbook.playbook_variables[name].constant:
                self.variables[name] = value

    def whole(self) -> Walking:
        yield Tell("playbook", self._path, f"begins {self._playbook.name}")
        went_well = yield from self._chain(self._playbook.workflow_start)
        yield Tell("playbook", self._path, f"ends {self._playbook.name}")
        return went_well

    def _chain(self, key: str | None) -> Walking:
        """From a step to the end of its branch."""
        went_well = True
        while key is not None:
            step = self._playbook.workflow[key]
            self._budget.spend(f"{self._playbook.name}, step {step.name or key}")
            if isinstance(step, cacao.End):
                return went_well
            if step.delay:
                yield Pause(step.delay / 1000, step.name or key)
            done = yield from self._one(key, step)
            went_well = went_well and (done or step.on_completion is not None or step.on_failure is not None)
            key = self._after(step, done)
        return went_well

    def _after(self, step: cacao.WorkflowStep, done: bool) -> str | None:
        if step.on_completion:
            return step.on_completion
        if done:
            return step.on_success
        return step.on_failure or self._playbook.workflow_exception

    def _one(self, key: str, step: cacao.WorkflowStep) -> Walking:
        match step:
            case cacao.ActionStep():
                return (yield from self._action(key, step))
            case cacao.PlaybookStep():
                return (yield from self._call(key, step))
            case cacao.Parallel():
                return (yield from self._parallel(key, step))
            case cacao.IfCondition():
                return (yield from self._if(key, step))
            case cacao.WhileCondition():
                return (yield from self._while(key, step))
            case cacao.SwitchCondition():
                return (yield from self._switch(key, step))
            case _:
                return True

    def _parallel(self, key: str, step: cacao.Parallel) -> Walking:
        yield Tell("parallel", self._place(key), f"{step.name or key}: {len(step.next_steps)} branches")
        went_well = True
        for branch in step.next_steps:
            went_well = (yield from self._chain(branch)) and went_well
        return went_well

    def _if(self, key: str, step: cacao.IfCondition) -> Walking:
        held = yield from self._condition(key, step.name, step.condition)
        if held is None:
            return False
        return (yield from self._chain(step.on_true if held else step.on_false))

    def _while(self, key: str, step: cacao.WhileCondition) -> Walking:
        for _ in range(MAX_ROUNDS):
            held = yield from self._condition(key, step.name, step.condition)
            if not held:
                return held is not None
            if not (yield from self._chain(step.on_true)):
                return False
        raise ContentError(f"the loop goes round more than {MAX_ROUNDS:,} times", where=step.name or key)

    def _condition(self, key: str, name: str, text: str) -> Generator[Step, Answer, bool | None]:
        """Unknown takes neither branch: the step fails, and says so."""
        held = holds(parse_condition(text), self.variables)
        word = {True: "yes", False: "no", None: "unknown, because a variable has no value"}[held]
        yield Tell("condition", self._place(key), f"{name or text}: {word}")
        return held

    def _switch(self, key: str, step: cacao.SwitchCondition) -> Walking:
        value = self.variables.get(step.switch.removesuffix(":value"))
        branch = step.cases.get(value or "", step.cases.get("default"))
        yield Tell("switch", self._place(key), f"{step.name or step.switch}: {value!r}")
        return (yield from self._chain(branch)) if branch else True

    def _call(self, key: str, step: cacao.PlaybookStep) -> Walking:
        given = {name: self.variables.get(name) for name in step.in_args}
        called = self._world.library.get(step.playbook_id)
        if called is None:
            raise ContentError(f"calls the playbook {step.playbook_id}, which is not there", where=step.name or key)
        inner = _Walk(self._world, called, given, self._budget, self._place(key))
        went_well = yield from inner.whole()
        self.variables |= {name: inner.variables.get(name) for name in step.out_args}
        return went_well

    def _action(self, key: str, step: cacao.ActionStep) -> Walking:
        said = self._responses.get(key)
        if said is None:
            return (yield from self._by_hand(key, step))
        if said.look:
            found = self._world.facts.get(said.look, {})
            self.variables |= {name: found.get(name) for name in step.out_args}
            told = ", ".join(f"{name.strip('_')} {found.get(name, 'unknown')}" for name in step.out_args)
            yield Tell("look", self._place(key), f"{step.name}: {told}")
            return True
        if said.question:
            return (yield from self._question(key, said))
        automatic = self._automatic(said.approval)
        results = yield from self._world.perform(Order(self._place(key), step.name, said, automatic))
        return all(result.held for result in results)

    def _question(self, key: str, said: cacao.Response) -> Walking:
        answer: Answer = self._world.answers.get(said.answer)
        if answer is None:
            answer = yield Ask(self._place(key), said.question, said.choices)
        self.variables[said.answer] = answer if answer in said.choices else None
        return self.variables[said.answer] is not None

    def _automatic(self, approval: str) -> bool:
        if approval in self.variables:
            return (self.variables[approval] or "").strip().lower() == "true"
        return approval == "automatic"

    def _by_hand(self, key: str, step: cacao.ActionStep) -> Walking:
        """A manual step without the extension: a person does it and says so."""
        text = "\n".join(getattr(command, "command", None) or "" for command in step.commands)
        answer = yield Ask(self._place(key), f"{step.name}: {text}", ("done", "not done"))
        return answer == "done"

    def _place(self, key: str) -> str:
        return f"{self._path}/{key}" if self._path else key
