"""A rule's tree in the shape that the matcher works on.

Comparisons of one column are gathered into one `Test`, a truth about a value of that column, so that it is decided
once for each distinct value. A rule falls into branches (alternatives); a branch holds on a row if all its parts
do. Its clauses are covers: a row on which one of them finds no word cannot meet the branch.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import pyarrow as pa

from perilune.detection import encoding
from perilune.detection.cover import Cover, Word, cover, is_wordy
from perilune.detection.trees import simplified
from perilune.detection.values import SEARCHED
from perilune.model.rules import And, Expr, Field, FieldMatch, Keyword, Leaf, Not, Or, Regex, Rule, SameRow, Text
from perilune.model.tables import COLUMNS, TABLES

_USELESS = 0.5  # of all values have one of the words: nothing is gained by looking for them
MAX_BRANCHES = 32  # of one scope; beyond, alternatives stay together
ANY_VALUE = "*"  # the pseudo key of all values of a JSON object, or all items of a list
# Decided first, for a whole batch: they say which log source a row belongs to.
DISPATCH = ("XPlatform", "XProvider", "XChannel", "XEventId", "ActionType", "XScriptLanguage")


@dataclass(frozen=True, slots=True, eq=False)
class Test:
    """A truth about one value of one column. `key` is its encoded tree, which two equal tests share.

    words  one of these is in every value that it holds on; None where that cannot be said
    exact  a value with one of the words always meets it
    """

    __test__ = False  # not one of pytest's

    key: str
    column: str
    words: tuple[Word, ...] | None = None
    exact: bool = False


@dataclass(frozen=True, slots=True)
class All:
    of: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Any_:
    of: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Inverse:
    of: Node


@dataclass(frozen=True, slots=True)
class Pair:
    """A comparison of two columns of one row: the encoded `SameRow`."""

    key: str
    columns: tuple[str, str]

    @property
    def is_equality(self) -> bool:
        """Whether the values must be equal, which is quickly seen."""
        return f'"{FieldMatch.EQUALS}"' in self.key


Node = Test | All | Any_ | Inverse | Pair


@dataclass(frozen=True, slots=True)
class Branch:
    """One way for a rule to hold. Each clause lists tests: a word of one of them must be found.

    clauses  those whose words are rare, or else the best there is
    more     those whose words are too common to be looked for in a large batch
    """

    parts: tuple[Node, ...]
    clauses: tuple[tuple[Test, ...], ...]
    more: tuple[tuple[Test, ...], ...] = ()


class Shape(Protocol):
    """A rule's branches, by table; made from the rule, or read from the cache as they are needed."""

    @property
    def tables(self) -> Collection[str]: ...

    def branches(self, table: str) -> Sequence[Branch]: ...


@dataclass(frozen=True, slots=True)
class Made:
    """A shape that was just made."""

    by_table: Mapping[str, tuple[Branch, ...]]

    @property
    def tables(self) -> Collection[str]:
        return self.by_table.keys()

    def branches(self, table: str) -> Sequence[Branch]:
        return self.by_table[table]


@dataclass(frozen=True, slots=True)
class _Part:
    """A part of a branch on its way: the node, its cover, and which tests the cover's words come from."""

    node: Node
    cover: Cover | None
    tests: tuple[Test, ...] = ()


def shape(rule: Rule) -> Shape:
    """The rule's branches over every table that it reads."""
    found: dict[str, tuple[Branch, ...]] = {}
    for scope in rule.scopes:
        found[scope.table] = (*found.get(scope.table, ()), *_branches(scope.expr, scope.table))
    return Made(found)


def _branches(expr: Expr, table: str) -> Iterator[Branch]:
    gathered = _gathered(simplified(_searched(expr, table)))
    for alternative in _alternatives(gathered):
        parts = sorted((_part(each) for each in alternative), key=_cost)
        covered = [part for part in parts if part.cover is not None]
        best = _best(covered)
        more = tuple(part.tests for part in covered if part not in best and part.cover and part.cover.weight < _USELESS)
        yield Branch(tuple(part.node for part in parts), tuple(part.tests for part in best), more)


def _cost(part: _Part) -> int:
    """Which part to verify first: what the search settles, then short values, equal columns, long values, the rest."""
    node = part.node
    if isinstance(node, Test):
        return 0 if node.exact else 3 if is_wordy(node.column) else 1
    return (2 if node.is_equality else 5) if isinstance(node, Pair) else 4


def _best(covered: list[_Part]) -> list[_Part]:
    """The parts with cheap words; where there is none, the one whose words are rarest, if they are rare at all."""
    cheap = [part for part in covered if part.cover and part.cover.cheap]
    telling = [part for part in covered if part.cover and part.cover.weight < _USELESS]
    if cheap or not telling:
        return cheap
    return [min(telling, key=lambda part: part.cover.weight if part.cover else 0)]


def _alternatives(expr: Expr) -> list[tuple[Expr, ...]]:
    """The tree as alternatives, each of parts that must all hold."""
    if isinstance(expr, Or) and not _is_of_one_column(expr):
        found = [each for part in expr.of for each in _alternatives(part)]
        return found if len(found) <= MAX_BRANCHES else [(expr,)]
    if isinstance(expr, And) and not _is_of_one_column(expr):
        return _distributed(expr)
    return [(expr,)]


def _distributed(expr: And) -> list[tuple[Expr, ...]]:
    """An And over its first mixed Or: each alternative then finds its own words."""
    for at, part in enumerate(expr.of):
        if isinstance(part, Or) and not _is_of_one_column(part):
            rest = expr.of[:at] + expr.of[at + 1 :]
            inner = _alternatives(part)
            if 1 < len(inner) <= MAX_BRANCHES:
                return [(*rest, *each) for each in inner]
    return [expr.of]


def _part(expr: Expr) -> _Part:
    column = _column(expr)
    if column is not None:
        found = cover(expr, column)
        test = Test(encoding.key(expr), column, found.words if found else None, bool(found and found.exact))
        return _Part(test, found, (test,))
    match expr:
        case And(of=of):
            return _all(list(map(_part, of)))
        case Or(of=of):
            return _any(list(map(_part, of)))
        case Not(of=inner):
            return _Part(Inverse(_part(inner).node), None)
        case SameRow(field=field, other=other):
            return _Part(Pair(encoding.key(expr), (_name(field), _name(other))), None)
    raise AssertionError(f"not a mixed tree: {expr}")


def _all(parts: list[_Part]) -> _Part:
    node = All(tuple(part.node for part in parts))
    covered = [part for part in parts if part.cover is not None]
    if not covered:
        return _Part(node, None)
    best = min(covered, key=lambda part: (not part.cover.cheap, part.cover.weight) if part.cover else (True, 0))
    return _Part(node, best.cover, best.tests)


def _any(parts: list[_Part]) -> _Part:
    node = Any_(tuple(part.node for part in parts))
    covers = [part.cover for part in parts if part.cover is not None]
    if len(covers) < len(parts):
        return _Part(node, None)
    joined = Cover((), exact=False, cheap=all(c.cheap for c in covers), weight=sum(c.weight for c in covers))
    return _Part(node, joined, tuple(test for part in parts for test in part.tests))


def _gathered(expr: Expr) -> Expr:
    """The tree with all comparisons of one column beside each other, in a node of their own."""
    match expr:
        case Not(of=inner):
            return Not(_gathered(inner))
        case And(of=parts):
            return _grouped(And, [_gathered(part) for part in parts])
        case Or(of=parts):
            return _grouped(Or, [_gathered(part) for part in parts])
        case _:
            return expr


def _grouped(kind: type[And] | type[Or], parts: list[Expr]) -> Expr:
    groups: dict[str, list[Expr]] = {}
    mixed: list[Expr] = []
    for part in parts:
        column = _column(part)
        if column is None:
            mixed.append(part)
        else:
            groups.setdefault(column, []).extend(part.of if isinstance(part, kind) else (part,))
    found = [group[0] if len(group) == 1 else kind(tuple(dict.fromkeys(group))) for group in groups.values()]
    whole = (*found, *mixed)
    return whole[0] if len(whole) == 1 else kind(whole)


def _is_of_one_column(expr: Expr) -> bool:
    return _column(expr) is not None


def _column(expr: Expr) -> str | None:
    """The one column that a tree is about, or None where there are several."""
    match expr:
        case And(of=parts) | Or(of=parts):
            first = _column(parts[0]) if parts else None
            return first if first is not None and all(_column(part) == first for part in parts[1:]) else None
        case Not(of=inner):
            return _column(inner)
        case SameRow() | Keyword():
            return None
        case _:
            return _name(expr.field)


def _name(field: Field) -> str:
    return field.column if field.key is None else f"{field.column}.{field.key}"


def _searched(expr: Expr, table: str) -> Expr:
    """The tree without Sigma's field names, and with each keyword looked for in each text column."""
    match expr:
        case And(of=parts):
            return And(tuple(_searched(part, table) for part in parts))
        case Or(of=parts):
            return Or(tuple(_searched(part, table) for part in parts))
        case Not(of=inner):
            return Not(_searched(inner, table))
        case Keyword():
            return Or(tuple(_in_column(expr, field) for field in _text_fields(table)))
        case SameRow(field=field, other=other):
            return replace(expr, field=_plain(field), other=_plain(other))
        case _:
            return _unnamed(expr)


def _unnamed(leaf: Leaf) -> Expr:
    assert not isinstance(leaf, Keyword)
    return replace(leaf, field=_plain(leaf.field))


def _plain(field: Field) -> Field:
    return Field("", field.column, field.key)


def _in_column(keyword: Keyword, field: Field) -> Expr:
    if keyword.pattern is not None:
        return Regex(field, keyword.pattern, keyword.flags)
    return Text(field, keyword.parts, keyword.cased)


def _text_fields(table: str) -> Iterable[Field]:
    """Where a keyword is looked for: text columns, the values of `AdditionalFields`, the items of lists."""
    for name in TABLES[table].columns:
        if name in SEARCHED:
            many = name == "AdditionalFields" or pa.types.is_list(COLUMNS[name])
            yield Field("", name, ANY_VALUE if many else None)
