"""What a run asks of the world, one at a time, and what it gets back. A run touches nothing but through these."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from perilune.model.actions import Action, Observation, Receipt, Result


@dataclass(frozen=True, slots=True)
class Approve:
    """May this be done? Answered with a Decision, at once or after days."""

    action: Action


@dataclass(frozen=True, slots=True)
class Check:
    """Is its effect there? Answered with an Observation."""

    action: Action


@dataclass(frozen=True, slots=True)
class Do:
    """Do it. Answered with a Receipt. The only step that changes anything outside."""

    action: Action


@dataclass(frozen=True, slots=True)
class Pause:
    """Wait so many seconds. Answered with None."""

    seconds: float
    why: str


@dataclass(frozen=True, slots=True)
class Ask:
    """A question to a person. Answered with one of the choices, as text."""

    step: str
    question: str
    choices: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Escalate:
    """A person must look at this. Answered with None."""

    action: Action
    why: str


@dataclass(frozen=True, slots=True)
class Tell:
    """For the record: a step entered, a branch taken, an action ended. Answered with None."""

    kind: str
    step: str
    text: str


@dataclass(frozen=True, slots=True)
class Ended:
    """An action's end, for the record. Answered with None."""

    action: Action
    result: Result


@dataclass(frozen=True, slots=True)
class Decision:
    granted: bool
    why: str = ""


Step = Approve | Check | Do | Pause | Ask | Escalate | Tell | Ended
Answer = Decision | Observation | Receipt | str | None
Variables = Mapping[str, str | None]

_ANSWERS = {"decision": Decision, "observation": Observation, "receipt": Receipt, "text": str}


def encode_answer(answer: Answer) -> str:
    """An answer as a journal keeps it."""
    for name, kind in _ANSWERS.items():
        if isinstance(answer, kind):
            return msgspec.json.encode({name: answer}).decode()
    return "{}"


def decode_answer(text: str) -> Answer:
    for name, value in msgspec.json.decode(text, type=dict[str, object]).items():
        answer: Answer = msgspec.convert(value, _ANSWERS[name])
        return answer
    return None


def describe_step(step: Step) -> str:
    """What a step is, the same whenever the same run is walked: a journal tells by it that the way is the same."""
    match step:
        case Approve(action) | Check(action) | Do(action) | Escalate(action) | Ended(action):
            return f"{type(step).__name__}|{action.key}"
        case Ask(place) | Tell(_, place):
            return f"{type(step).__name__}|{place}"
        case Pause():
            return "Pause"
