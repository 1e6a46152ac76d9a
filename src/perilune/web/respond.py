"""What people do about runs of playbooks: plan, start, decide, answer, take back. Pages and API are two doors to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from fastapi import HTTPException

from perilune import plugins
from perilune.errors import StoreError, UsageError
from perilune.model.actions import Plan
from perilune.model.case import Case
from perilune.ports import Connector
from perilune.response.plan import plan_hash
from perilune.response.steps import Ask
from perilune.service.office import BUILT_IN
from perilune.service.runs import plan_case
from perilune.store.runs import Run
from perilune.web.problems import not_found
from perilune.web.rooms import Rooms

DEFAULT_PLAYBOOK = "T1059 - Command and Scripting Interpreter"
ENDED = ("finished", "cancelled")
VALUE_MOST = 1000


@dataclass(frozen=True, slots=True)
class Wish:
    """What a run is to be: a playbook with its inputs, and what its actions are done with."""

    playbook: str = DEFAULT_PLAYBOOK
    connector: str = "simulated"
    inputs: Mapping[str, str] = field(default_factory=dict)
    answers: Mapping[str, str] = field(default_factory=dict)


def connectors() -> list[str]:
    """The names that a run may have."""
    return [*BUILT_IN, *(one.name for one in plugins.find_connectors().connectors)]


def plan(held: Rooms, case: Case, wish: Wish) -> tuple[Plan, Connector]:
    """What would be done. Nothing is changed or kept."""
    office = held.office
    used = office.connector(wish.connector)
    made = plan_case(
        case, office.shelf(), wish.playbook, used, inputs=wish.inputs, answers=wish.answers, content=office.content,
        related=office.related(case),
    )  # fmt: skip
    return made, used


def start(held: Rooms, case: Case, wish: Wish, seen: str, who: str) -> Run:
    """Begins the run whose plan the person saw; refused where it would be another one now."""
    made, _ = plan(held, case, wish)
    if plan_hash(made) != seen.strip().lower():
        raise HTTPException(409, "The plan is another now than the one you saw. Look at it again.")
    office = held.office
    run = office.runner(wish.connector).start(made, office.shelf().find(wish.playbook).name, who=who)
    held.driver.ring(run.id)
    return run


def find(held: Rooms, run_id: str) -> Run:
    try:
        return held.office.runs.load(run_id)
    except StoreError as error:
        raise not_found(error.what) from None


def decide(
    held: Rooms,
    run: Run,
    *,
    who: str,
    granted: bool,
    reason: str,
    seen: str,
    actions: Sequence[int] = (),
    hours: float = 8,
) -> None:
    """Writes down what a second person decided about exactly the plan that they saw."""
    if seen.strip().lower() != run.plan_hash:
        raise HTTPException(409, "The decision is about another plan. Look at this one again.")
    if who == run.who:
        raise HTTPException(403, "You began this run: another person decides on it.")
    if not reason:
        raise UsageError("say why, for the record")
    holds = timedelta(hours=hours)
    runner = held.office.runner(run.connector)
    runner.decide(run.id, who=who, granted=granted, reason=reason, actions=actions, holds=holds)
    held.driver.ring(run.id)


def question(held: Rooms, run: Run) -> Ask | None:
    """What the run waits to be told, if it waits for an answer."""
    if run.status != "waiting" or not run.waiting.startswith("an answer"):
        return None
    return held.office.runner(run.connector).question(run.id)


def answer(held: Rooms, run: Run, said: str, who: str) -> None:
    asked = question(held, run)
    if asked is None:
        raise UsageError(f"{run.id} waits for no answer")
    if said not in asked.choices:
        raise UsageError(f"answers are: {', '.join(asked.choices)}")
    held.office.runs.answer(run.id, asked.step, said, at=held.now(), who=who)
    held.driver.ring(run.id)


def undo(held: Rooms, run: Run, reason: str, who: str, actions: Sequence[int] = ()) -> Run:
    """A run of its own that takes back what this one did. Asking for it is approving it."""
    if not reason:
        raise UsageError("say why, for the record")
    if run.status not in ENDED and not run.waiting:
        raise UsageError(f"{run.id} is under way; cancel it first, or wait for its end")
    undoing = held.office.runner(run.connector).undo(run.id, who=who, reason=reason, only=actions)
    held.driver.ring(undoing.id)
    return undoing


def cancel(held: Rooms, run: Run, reason: str, who: str) -> None:
    """Ends the run where it is; what it did stays."""
    if run.status in ENDED:
        raise UsageError(f"{run.id} is {run.status}")
    if not reason:
        raise UsageError("say why, for the record")
    held.office.runs.note(run.id, "cancel", {"reason": reason}, at=held.now(), who=who)
    held.office.runs.set_status(run.id, "cancelled", at=held.now(), who=who)
