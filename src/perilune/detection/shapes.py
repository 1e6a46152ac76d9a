"""Shapes as plain JSON values and back. Tests are many and shared, so each is written once and named by number."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from perilune.detection.cover import Word
from perilune.detection.encoding import DecodeError, Json
from perilune.detection.shape import All, Any_, Branch, Inverse, Node, Pair, Shape, Test


class Writer:
    """Encodes shapes and gathers their tests."""

    def __init__(self) -> None:
        self.tests: list[Json] = []
        self._numbers: dict[str, int] = {}

    def shape(self, found: Shape) -> list[Json]:
        return [[table, [self._branch(each) for each in found.branches(table)]] for table in found.tables]

    def _branch(self, branch: Branch) -> Json:
        groups = [
            [[self._test(test) for test in clause] for clause in clauses] for clauses in (branch.clauses, branch.more)
        ]
        return [[self._node(part) for part in branch.parts], *groups]

    def _node(self, node: Node) -> Json:
        match node:
            case Test():
                return self._test(node)
            case All(of=of):
                return ["&", *map(self._node, of)]
            case Any_(of=of):
                return ["|", *map(self._node, of)]
            case Inverse(of=inner):
                return ["!", self._node(inner)]
            case Pair(key=key, columns=columns):
                return ["=", key, *columns]

    def _test(self, test: Test) -> int:
        if test.key not in self._numbers:
            self._numbers[test.key] = len(self.tests)
            words = None if test.words is None else [list(word) for word in test.words]
            self.tests.append([test.key, test.column, words, test.exact])
        return self._numbers[test.key]


class Reader:
    """Decodes what a Writer wrote. Raises DecodeError for anything else."""

    def __init__(self, tests: Sequence[Json]) -> None:
        self._written = tests
        self._tests: dict[int, Test] = {}

    def shape(self, value: Sequence[Json]) -> Shape:
        match value:
            case [*pairs] if all(isinstance(pair, list) and len(pair) == 2 for pair in pairs):
                return Stored(self, dict(pairs))  # type: ignore[arg-type]
        raise DecodeError("no shape")

    def branches(self, value: Json) -> tuple[Branch, ...]:
        try:
            return tuple(map(self._branch, cast("list[Json]", value)))
        except (TypeError, ValueError, IndexError, RecursionError) as error:
            raise DecodeError(f"no branches: {error}") from None

    def _branch(self, value: Json) -> Branch:
        match value:
            case [list(parts), list(clauses), list(more)]:
                test = self._test
                return Branch(
                    tuple(test(part) if isinstance(part, int) else self._node(part) for part in parts),
                    tuple(tuple(map(test, clause)) for clause in clauses),
                    tuple(tuple(map(test, clause)) for clause in more),
                )
        raise DecodeError("no branch")

    def _test(self, number: int) -> Test:
        found = self._tests.get(number)
        if found is None:
            found = self._tests[number] = _test_of(self._written[number])
        return found

    def _node(self, value: Json) -> Node:
        match value:
            case int(number):
                return self._test(number)
            case ["&", *of]:
                return All(tuple(map(self._node, of)))
            case ["|", *of]:
                return Any_(tuple(map(self._node, of)))
            case ["!", inner]:
                return Inverse(self._node(inner))
            case ["=", str(key), str(one), str(other)]:
                return Pair(key, (one, other))
        raise DecodeError("no node")


@dataclass(frozen=True, slots=True)
class Stored:
    """A shape as it was written; a table's branches are decoded when a batch of that table comes."""

    reader: Reader
    written: Mapping[str, Json]

    @property
    def tables(self) -> Collection[str]:
        return self.written.keys()

    def branches(self, table: str) -> Sequence[Branch]:
        return self.reader.branches(self.written[table])


def _test_of(value: Json) -> Test:
    match value:
        case [str(key), str(column), None, bool(exact)]:
            return Test(key, column, None, exact)
        case [str(key), str(column), list(words), bool(exact)]:
            return Test(key, column, tuple(map(Word._make, words)), exact)
    raise DecodeError("no test")
