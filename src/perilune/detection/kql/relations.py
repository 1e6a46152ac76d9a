"""Tables between operators: a common table expression's name and its columns; and the names that a query defined."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from perilune.detection.kql.errors import KqlError, Span, nearest
from perilune.detection.kql.kinds import Kind
from perilune.detection.kql.values import Value, column

if TYPE_CHECKING:
    from perilune.detection.kql.syntax import Function


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table.

    sql     its name in SQL. DuckDB takes names without regard to case and Kusto does not, so it may differ
    hidden  it is found by name and is in no `*`: another product's name of the same thing
    """

    name: str
    kind: Kind
    nullable: bool = True
    sql: str = ""
    hidden: bool = False

    @property
    def physical(self) -> str:
        return self.sql or self.name

    def value(self, table: str | None = None) -> Value:
        return Value(column(self.physical, table), self.kind, self.nullable and self.kind is not Kind.STRING,
                     name=self.name)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Relation:
    """A table at one point of a query.

    sql        the name of its common table expression
    sorted     its rows stand in an order that was asked for
    partition  in mv-apply: the hidden column that says which row of the source a row came from
    """

    sql: str
    columns: tuple[Column, ...]
    sorted: bool = False
    partition: str | None = None

    @property
    def shown(self) -> list[Column]:
        return [one for one in self.columns if not one.hidden]

    def find(self, name: str) -> Column | None:
        return next((one for one in self.columns if one.name == name), None)

    def get(self, name: str, at: Span) -> Column:
        found = self.find(name)
        if found is None:
            raise unknown("column", name, at, [one.name for one in self.columns])
        return found

    def renamed(self, sql: str) -> Relation:
        return replace(self, sql=sql)


def unknown(what: str, name: str, at: Span, known: Iterable[str]) -> KqlError:
    names = list(known)
    few = f"known: {', '.join(names)}" if names and len(names) <= 12 else None
    return KqlError(f"there is no {what} {name!r} here", at, hint=nearest(name, names) or few)


def physical(columns: Sequence[Column]) -> tuple[Column, ...]:
    """The columns with names that are distinct for DuckDB too."""
    taken: set[str] = set()
    found: list[Column] = []
    for one in columns:
        name, number = one.name, 2
        while name.lower() in taken:
            name, number = f"{one.name}__{number}", number + 1
        taken.add(name.lower())
        found.append(replace(one, sql=name))
    return tuple(found)


@dataclass(frozen=True, slots=True)
class Lambda:
    """A function that the query defined, with the names that it could see."""

    function: Function
    scope: Names


Bound = Value | Relation | Lambda


@dataclass(frozen=True, slots=True)
class Names:
    """What `let` has bound so far; a new name makes a new table of names."""

    bound: Mapping[str, Bound] = field(default_factory=dict)

    def get(self, name: str) -> Bound | None:
        return self.bound.get(name)

    def having(self, name: str, value: Bound) -> Names:
        return Names({**self.bound, name: value})


@dataclass(frozen=True, slots=True)
class Scope:
    """What an expression can see: columns, perhaps those of a join's two sides, and the names."""

    names: Names
    relation: Relation | None = None
    left: Relation | None = None
    right: Relation | None = None
    extra: Mapping[str, Value] = field(default_factory=dict)
    aggregating: bool = False

    def find(self, name: str) -> Value | None:
        if name in self.extra:
            return self.extra[name]
        if self.relation is not None and (found := self.relation.find(name)):
            return found.value()
        bound = self.names.get(name)
        return bound if isinstance(bound, Value) else None

    def known(self) -> list[str]:
        columns = [one.name for one in self.relation.columns] if self.relation else []
        return [*columns, *self.names.bound]

    @property
    def is_sorted(self) -> bool:
        return self.relation is not None and self.relation.sorted
