"""What is known of a value without running anything: a constant, the name of an API, a table, a function, or nothing.

Strings are `str` with one character per byte; nil is None.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from perilune.analysis.lua import tree


class _Unknown(Enum):
    UNKNOWN = "unknown"

    def __repr__(self) -> str:
        return "UNKNOWN"


UNKNOWN: Final = _Unknown.UNKNOWN


@dataclass(slots=True, unsafe_hash=True)
class Ref:
    """A global or what is reached from one: `os.execute`, `io.popen():read`. `hidden`: its name was computed.

    Never changed; not frozen, because a frozen one takes three times as long to make and every name of a text makes one.

    tags  what its data comes from: `network`, `request`, `file`
    """

    path: str
    hidden: bool = False
    tags: frozenset[str] = frozenset()

    @property
    def name(self) -> str:
        """The path without calls, as the tables name it."""
        path = self.path
        if "(" in path:
            path = path.replace("()", "")
        return path.replace(":", ".") if ":" in path else path


@dataclass(frozen=True, slots=True)
class Tainted:
    """Unknown, but it is known where it comes from."""

    tags: frozenset[str]


@dataclass(slots=True, eq=False)
class LuaTable:
    """Keys as Lua has them: floats that are whole are integers. `open`: there may be more in it than is known."""

    items: dict[object, Value] = field(default_factory=dict)
    open: bool = False
    meta: LuaTable | None = None
    length: int = 0

    def get(self, key: object) -> Value:
        found = self.items.get(normal_key(key))
        return UNKNOWN if found is None and self.open else found

    def set(self, key: object, value: Value) -> None:
        key = normal_key(key)
        if value is None:
            self.items.pop(key, None)
            if key == self.length and self.length:
                self.length -= 1
            return
        self.items[key] = value
        while key == self.length + 1:
            self.length += 1
            if self.length + 1 in self.items:
                key = self.length + 1

    def array(self) -> list[Value]:
        return [self.items.get(n) for n in range(1, self.length + 1)]


def normal_key(key: object) -> object:
    if isinstance(key, float) and key.is_integer():
        return int(key)
    if isinstance(key, bool):
        return ("bool", key)  # Python takes True for 1
    return key


@dataclass(slots=True, eq=False)
class FunctionValue:
    """A function of the program. `tags`: where the data of its parameters comes from, if it is called back with it.

    node  its node in the tree, or its prototype in compiled Lua
    """

    node: tree.Function | object
    tags: frozenset[str] = frozenset()


Value = str | int | float | None | Ref | Tainted | LuaTable | FunctionValue | _Unknown | object


NO_TAGS: Final[frozenset[str]] = frozenset()
# Made once: `isinstance(x, A | B)` makes its union anew each time, and these are asked for every node of every text.
_CONSTANT = (str, int, float)
_TAGGED = (Tainted, Ref, FunctionValue)
FIXED = (Ref, FunctionValue)
KEPT = (Ref, FunctionValue, LuaTable)


def is_constant(value: Value) -> bool:
    return value is None or isinstance(value, _CONSTANT)


def is_unknown(value: Value) -> bool:
    return value is UNKNOWN or isinstance(value, Tainted)


def tags_of(value: Value) -> frozenset[str]:
    return value.tags if isinstance(value, _TAGGED) else NO_TAGS


def shown(value: Value) -> str | None:
    """A value for people: constants as text, APIs as `=name`."""
    if isinstance(value, str):
        return value
    if value is None:
        return "nil"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return number_text(value)
    return f"={value.name}" if isinstance(value, Ref) else None


def number_text(value: int | float) -> str:
    """A number as Lua writes it."""
    if isinstance(value, int):
        return str(value)
    if value != value or value in (float("inf"), float("-inf")):
        return {True: "inf", False: "-inf"}[value > 0] if value == value else "nan"
    if value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    return f"{value:.14g}"
