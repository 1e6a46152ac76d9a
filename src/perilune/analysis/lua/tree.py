"""The nodes of a parsed Lua text.

Chains are flat: `a..b..c`, `1+2-3` and `a.b(c):d()` are one node with a list each, so that an obfuscator's chain of
100,000 parts is no deep tree. Spans are characters of the text, which has one character per byte.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class Name:
    name: str
    start: int
    end: int


@dataclass(slots=True)
class String:
    value: str
    start: int
    end: int


@dataclass(slots=True)
class Number:
    value: int | float | None
    start: int
    end: int


@dataclass(slots=True)
class Word:
    """`nil`, `true`, `false`, `...`, or a part that could not be read (`?`)."""

    word: str
    start: int
    end: int


@dataclass(slots=True)
class Function:
    parameters: list[str]
    vararg: bool
    body: Block
    start: int
    end: int
    name: str = ""


@dataclass(slots=True)
class Table:
    """Items in order; a key of None is the next number."""

    items: list[tuple[Expr | None, Expr]]
    start: int
    end: int


@dataclass(slots=True)
class Chain:
    """Operators of one precedence, from left to right."""

    first: Expr
    rest: list[tuple[str, Expr]]
    start: int
    end: int


@dataclass(slots=True)
class Unary:
    """Prefix operators, outermost first."""

    operators: list[str]
    operand: Expr
    start: int
    end: int


@dataclass(slots=True)
class Index:
    key: Expr
    end: int


@dataclass(slots=True)
class Call:
    """Arguments, and the method's name for `a:b()`."""

    arguments: list[Expr]
    method: str
    end: int


@dataclass(slots=True)
class Suffixed:
    base: Expr
    parts: list[Index | Call]
    start: int
    end: int


@dataclass(slots=True)
class Choice:
    """Luau's `if a then b else c`."""

    clauses: list[tuple[Expr, Expr]]
    otherwise: Expr
    start: int
    end: int


Expr = Name | String | Number | Word | Function | Table | Chain | Unary | Suffixed | Choice


@dataclass(slots=True)
class LocalVariables:
    names: list[str]
    values: list[Expr]
    start: int


@dataclass(slots=True)
class Assignment:
    """`operator` is the `+` of `+=`, or nothing."""

    targets: list[Expr]
    values: list[Expr]
    start: int
    operator: str = ""


@dataclass(slots=True)
class LocalFunction:
    name: str
    function: Function
    start: int


@dataclass(slots=True)
class Statement:
    """A call as a statement."""

    value: Expr
    start: int


@dataclass(slots=True)
class Do:
    body: Block
    start: int


@dataclass(slots=True)
class While:
    condition: Expr
    body: Block
    start: int


@dataclass(slots=True)
class Repeat:
    body: Block
    condition: Expr
    start: int


@dataclass(slots=True)
class If:
    clauses: list[tuple[Expr, Block]]
    otherwise: Block | None
    start: int


@dataclass(slots=True)
class NumericFor:
    name: str
    bounds: list[Expr]
    body: Block
    start: int


@dataclass(slots=True)
class GenericFor:
    names: list[str]
    values: list[Expr]
    body: Block
    start: int


@dataclass(slots=True)
class Return:
    values: list[Expr]
    start: int


@dataclass(slots=True)
class Jump:
    """`break`, `continue`, or `goto` with its label."""

    word: str
    label: str
    start: int


@dataclass(slots=True)
class Label:
    name: str
    start: int


Stat = (
    LocalVariables | Assignment | LocalFunction | Statement | Do | While | Repeat | If | NumericFor | GenericFor
    | Return | Jump | Label
)  # fmt: skip


@dataclass(slots=True)
class Block:
    statements: list[Stat] = field(default_factory=list)
