"""The far side of SSH: this folder, running on the host itself, asked one thing and answering one thing.

It is sent over the channel with the question, is never written to the host's disk, and ends after its answer.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from perilune.connectors.linux import Linux, plain
from perilune.errors import PeriluneError
from perilune.model.actions import Action, Endpoint, Observation, Receipt, Request

STATE = "/var/lib/perilune"


@dataclass(frozen=True, slots=True)
class Question:
    """One call of the connector. `management` stays reachable, besides where this question came from."""

    call: str
    host: str = ""
    action: Action | None = None
    key: str = ""
    state: str = STATE
    management: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Reply:
    """Its answer: the one that belongs to the call, or an error in words."""

    endpoints: tuple[Endpoint, ...] = ()
    requests: tuple[Request, ...] = ()
    observation: Observation | None = None
    receipt: Receipt | None = None
    error: str = ""


def main(given: BinaryIO, out: BinaryIO) -> None:
    try:
        reply = answer(plain.decode(given.read(), Question))
    except (PeriluneError, ValueError) as error:
        reply = Reply(error=str(error))
    out.write(plain.encode(reply) + b"\n")
    out.flush()


def answer(question: Question) -> Reply:
    linux = Linux(Path(question.state), (*question.management, *came_from()))
    if question.call == "endpoints":
        return Reply(endpoints=tuple(linux.endpoints(question.host)))
    if question.action is None:
        raise ValueError("an action is wanted")
    match question.call:
        case "describe":
            return Reply(requests=tuple(linux.describe(question.action)))
        case "check":
            return Reply(observation=linux.check(question.action))
        case "act":
            return Reply(receipt=linux.act(question.action, question.key))
    raise ValueError(f"there is no call {question.call!r}")


def came_from() -> tuple[str, ...]:
    """The address that asks: isolating the host must not cut it off."""
    first = os.environ.get("SSH_CONNECTION", "").split(" ")[0]
    return (first,) if first else ()


if __name__ == "__main__":
    main(sys.stdin.buffer, sys.stdout.buffer)
