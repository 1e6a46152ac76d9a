"""A connector is made of tools, each for some kinds of action; the right one is picked by a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from perilune.errors import ConnectorError
from perilune.model.actions import Action, Kind, Observation, Receipt, Request, TargetType


class Tool(Protocol):
    """What does some kinds of action."""

    def describe(self, action: Action) -> Sequence[Request]: ...
    def check(self, action: Action) -> Observation: ...
    def act(self, action: Action, key: str) -> Receipt: ...


def pick(
    connector: str, table: Mapping[tuple[Kind, TargetType], str], tools: Mapping[str, Tool], action: Action
) -> Tool:
    name = table.get((action.kind, action.target.type))
    if name is None:
        raise ConnectorError(f"{connector} cannot do {action.kind} to a {action.target.type}")
    return tools[name]
