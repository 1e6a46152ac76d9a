"""How a function of the language is declared, and what it gets to work with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from perilune.detection.kql.convert import coerce
from perilune.detection.kql.errors import KqlError, Span
from perilune.detection.kql.kinds import NUMERIC, Json, Kind
from perilune.detection.kql.values import Sql, Value, cast, coalesce, fn, text

if TYPE_CHECKING:
    from perilune.detection.kql.compiler import Compiler
    from perilune.detection.kql.relations import Scope
    from perilune.detection.kql.syntax import Expr


@dataclass(slots=True)
class Args:
    """The arguments of one call, bound when they are first asked for."""

    name: str
    exprs: tuple[Expr, ...]
    at: Span
    scope: Scope
    compiler: Compiler
    _bound: dict[int, Value] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.exprs)

    def value(self, index: int) -> Value:
        if index not in self._bound:
            self._bound[index] = self.compiler.scalars.value(self.exprs[index], self.scope)
        return self._bound[index]

    def values(self) -> list[Value]:
        return [self.value(index) for index in range(len(self))]

    def typed(self, index: int, kind: Kind) -> Value:
        """The argument as this type, converted where Kusto converts by itself."""
        return coerce(self.value(index), kind, self.place(index), f"{self.name}()")

    def sql(self, index: int, kind: Kind) -> Sql:
        return self.typed(index, kind).sql

    def place(self, index: int) -> Span:
        return self.exprs[index].at

    def text(self, index: int, default: str | None = None) -> str:
        """A constant text."""
        if index >= len(self) and default is not None:
            return default
        found = self.typed(index, Kind.STRING).const
        if not isinstance(found, str):
            raise KqlError(f"argument {index + 1} of {self.name}() must be a constant text", self.place(index))
        return found

    def whole(self, index: int, default: int | None = None) -> int:
        """A constant whole number."""
        if index >= len(self) and default is not None:
            return default
        found = self.value(index).const
        if not isinstance(found, int):
            raise KqlError(f"argument {index + 1} of {self.name}() must be a constant number", self.place(index))
        return found

    def constant(self, index: int) -> Json:
        found = self.value(index)
        if not found.is_const:
            raise KqlError(f"argument {index + 1} of {self.name}() must be a constant", self.place(index))
        return found.const  # type: ignore[return-value]

    def error(self, what: str, hint: str | None = None) -> KqlError:
        return KqlError(what, self.at, hint=hint)

    def number(self, index: int) -> Value:
        found = self.value(index)
        return found if found.kind in NUMERIC else self.typed(index, Kind.REAL)


Lowering = Callable[[Args], Value]


@dataclass(frozen=True, slots=True)
class Signature:
    """What the reference says of a function."""

    name: str
    least: int
    most: int
    about: str


FUNCTIONS: dict[str, Lowering] = {}
SIGNATURES: dict[str, Signature] = {}
MANY = 100


def function(*names: str, least: int = 1, most: int | None = None) -> Callable[[Lowering], Lowering]:
    """Declares the lowering of a function under its names; the number of arguments is checked before it is called."""
    top = least if most is None else most

    def declare(lower: Lowering) -> Lowering:
        for name in names:
            SIGNATURES[name] = Signature(name, least, top, (lower.__doc__ or "").strip().split("\n")[0])
            FUNCTIONS[name] = _checked(lower, least, top)
        return lower

    return declare


def _checked(lower: Lowering, least: int, most: int) -> Lowering:
    def check(args: Args) -> Value:
        if not least <= len(args) <= most:
            raise args.error(f"{args.name}() takes {count_words(least, most)}, not {len(args)}")
        return lower(args)

    return check


def count_words(least: int, most: int) -> str:
    if most >= MANY:
        return f"at least {least} argument{'' if least == 1 else 's'}"
    if least == most:
        return "no argument" if not most else f"{most} argument{'' if most == 1 else 's'}"
    return f"{least} to {most} arguments"


def text_value(sql: Sql, nullable: bool = False) -> Value:
    """A string; where SQL may give NULL it becomes empty."""
    return Value(coalesce(sql, text("")) if nullable else sql, Kind.STRING, False)


def json_value(sql: Sql) -> Value:
    return Value(cast(sql, "JSON"), Kind.DYNAMIC)


def call(name: str, *args: Sql, kind: Kind, nullable: bool = True) -> Value:
    """One of our own functions (`kql_…`), whose dynamics are JSON in text."""
    found = fn(name, *args)
    if kind is Kind.DYNAMIC:
        return json_value(found)
    return text_value(found, True) if kind is Kind.STRING else Value(found, kind, nullable)
