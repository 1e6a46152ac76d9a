"""The pieces of an evaluation: scopes, functions with their scope, and the two ways in which it ends early."""

from __future__ import annotations

from dataclasses import dataclass, field

from perilune.analysis.lua import tree
from perilune.analysis.lua.values import Value

MOST_STEPS = 1_200_000  # of one evaluation


class Exhausted(Exception):
    """The steps are used up. Never leaves this module."""


class LuaError(Exception):
    """`error(…)` of the program. Never leaves this module."""


@dataclass(slots=True, eq=False)
class Env:
    names: dict[str, Value]
    parent: Env | None = None
    varargs: list[Value] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class Closure:
    node: tree.Function
    env: Env
    quiet: bool = False  # of a chunk that is analysed on its own


Signal = str | list[Value] | None  # `break`, `continue`, the values of a return, or nothing
