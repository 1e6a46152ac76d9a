"""What the grammars of several operators share: items, patterns, sort keys, expanded arrays, hints."""

from __future__ import annotations

from typing import TYPE_CHECKING

from perilune.detection.kql.kinds import Kind
from perilune.detection.kql.reading import Reading
from perilune.detection.kql.syntax import Expanded, Expr, Item, Name, ParsePart, Pattern, Sort
from perilune.detection.kql.tokens import Type

if TYPE_CHECKING:
    from perilune.detection.kql.parser import Parser


class Pieces:
    """Reads the parts that operators are made of."""

    def __init__(self, reading: Reading, parser: Parser) -> None:
        self._r = reading
        self._parser = parser

    def _expression(self) -> Expr:
        return self._parser.expressions.expression()

    def items(self) -> tuple[Item, ...]:
        """`a, b = x + 1, (c, d) = f(x)`"""
        found = [self.item()]
        while self._r.skip_mark(","):
            found.append(self.item())
        return tuple(found)

    def item(self) -> Item:
        at = self._r.at
        start = self._r.place()
        names = self._assigned()
        if names is None:
            self._r.back_to(start)
            return Item((), self._expression(), at)
        return Item(names, self._expression(), at)

    def _assigned(self) -> tuple[str, ...] | None:
        """The names before a `=`, or None where there is no `=`."""
        if self._r.now.type is Type.NAME and self._r.ahead().text == "=" and self._r.ahead().type is Type.MARK:
            name = self._r.next().text
            self._r.next()
            return (name,)
        if self._r.is_mark("[") and self._r.ahead().type is Type.STRING:
            name = self._r.name()
            return (name,) if self._r.skip_mark("=") else None
        if self._r.is_mark("("):
            return self._several()
        return None

    def _several(self) -> tuple[str, ...] | None:
        self._r.next()
        names: list[str] = []
        while self._r.now.type is Type.NAME:
            names.append(self._r.next().text)
            if not self._r.skip_mark(","):
                break
        if names and self._r.skip_mark(")") and self._r.skip_mark("="):
            return tuple(names)
        return None

    def _pattern(self) -> Pattern:
        """A name in which `*` may stand anywhere."""
        at = self._r.at
        if self._r.is_mark("["):
            return Pattern(self._r.name(), at)
        text = ""
        while self._r.now.type is Type.NAME or self._r.is_mark("*"):
            touching = self._r.touches()
            text += self._r.next().text
            if not touching:
                break
        if not text:
            raise self._r.expected("a column name or a pattern with *")
        return Pattern(text, at)

    def _patterns(self) -> tuple[Pattern, ...]:
        found = [self._pattern()]
        while self._r.skip_mark(","):
            found.append(self._pattern())
        return tuple(found)

    def _sorts(self) -> tuple[Sort, ...]:
        found = [self._sort()]
        while self._r.skip_mark(","):
            found.append(self._sort())
        return tuple(found)

    def _sort(self) -> Sort:
        at = self._r.at
        expr = self._expression()
        descending = not self._r.skip_word("asc")
        if descending:
            self._r.skip_word("desc")
        nulls_first = not descending
        if self._r.skip_word("nulls"):
            nulls_first = self._r.expect_word("first", "last").text == "first"
        return Sort(expr, descending, nulls_first, at)

    def _skip_hints(self) -> None:
        """`hint.strategy = broadcast`: about a cluster's nodes, of which there is one here."""
        while self._r.is_word("hint") and self._r.ahead().text == ".":
            for _ in range(3):
                self._r.next()
            self._r.expect_mark("=")
            self._r.next()

    def _expanded(self) -> tuple[Expanded, ...]:
        found: list[Expanded] = []
        while True:
            item = self.item()
            kind = None
            if self._r.skip_word("to"):
                self._r.expect_word("typeof")
                self._r.expect_mark("(")
                kind = self._r.kind()
                self._r.expect_mark(")")
            found.append(Expanded(item.names, item.expr, kind, item.at))
            if not self._r.skip_mark(","):
                return tuple(found)

    def _parse_part(self) -> ParsePart:
        at = self._r.at
        if self._r.now.type is Type.STRING:
            return ParsePart(str(self._r.next().value), None, Kind.STRING, at)
        if self._r.skip_mark("*"):
            return ParsePart(None, None, Kind.STRING, at)
        name = self._r.name("a text, a column or *")
        kind = self._r.kind() if self._r.skip_mark(":") else Kind.STRING
        return ParsePart(None, name, kind, at)

    def _table(self) -> Expr:
        """A table as an argument: a name (perhaps with *), a call, or a pipeline in parentheses."""
        token = self._r.now
        if (token.type is Type.NAME and self._r.ahead().text == "*" and self._r.touches()) or self._r.is_mark("*"):
            return Name(self._pattern().text, token.at)
        if self._r.is_mark("(") or token.type is Type.NAME or self._r.is_mark("["):
            return self._parser.expressions.operand()
        raise self._r.expected("a table")

    def _table_list(self) -> list[Expr]:
        self._r.expect_mark("(")
        tables = [self._table()]
        while self._r.skip_mark(","):
            tables.append(self._table())
        self._r.expect_mark(")")
        return tables
