"""What later dialects add to the grammar: Luau's types, soft keywords, choices in expressions. Types are skipped."""

from __future__ import annotations

from typing import TYPE_CHECKING

from perilune.analysis.lua import tree
from perilune.analysis.lua.cursor import Cursor

if TYPE_CHECKING:
    from perilune.analysis.lua.parse import Parser as _Parser
else:
    _Parser = object

_OPEN = {"(": ")", "{": "}", "[": "]", "<": ">"}
_CLOSE = frozenset((")", "}", "]", ">"))
_JOIN = frozenset(("|", "&", "->", ".", "?", "...", ":", "!"))


class Types(Cursor):
    """The part of the parser that reads over type annotations."""

    def annotation(self) -> None:
        """`: T` after a name or parameters; nothing where there is none."""
        if self.types[self.at] == ":":
            self.at += 1
            self._type()

    def cast(self) -> bool:
        """`:: T` after an expression. A label starts a statement on a line of its own instead."""
        if self.types[self.at + 1] not in ("name", "{", "(", "string", "nil") or self.types[self.at + 2] == "::":
            return False
        self.at += 1
        self._type()
        return True

    def generics(self) -> None:
        """`<T, U...>` before parameters."""
        if self.types[self.at] == "<":
            self._balanced()

    def _type(self) -> None:
        while True:
            kind = self.types[self.at]
            if kind in _OPEN:
                self._balanced()
            elif kind in ("name", "string", "nil", "true", "false"):
                self.at += 1
                if self.types[self.at] == "<":
                    self._balanced()
                if (
                    self.types[self.at] == "("
                    and self.text[self.starts[self.at - 1] : self.ends[self.at - 1]] == "typeof"
                ):
                    self._balanced()
            elif kind != "...":
                return
            while self.types[self.at] == "?":
                self.at += 1
            if self.types[self.at] not in _JOIN:
                return
            self.at += 1

    def _balanced(self) -> None:
        """One bracket up to its partner; a bracket without one ends at the end of the text."""
        depth = 0
        while (kind := self.types[self.at]) != "eof":
            self.at += 1
            if kind in _OPEN:
                depth += 1
            elif kind in _CLOSE:
                depth -= 1
                if depth <= 0:
                    return
            elif kind == ">>":
                depth -= 2
                if depth <= 0:
                    return

    def soft_keyword(self: _Parser) -> tree.Stat | None:  # type: ignore[misc]
        """`continue`, `goto x`, `type X = …`, `export type …`, 5.5's `global x`: names elsewhere."""
        at = self.at
        word = self.text[self.starts[at] : self.ends[at]]
        following = self.types[at + 1]
        if word == "continue" and following not in ("=", ".", "(", "[", ":", ",", "string"):
            self.at += 1
            return tree.Jump("continue", "", self.starts[at])
        if word == "export" and following == "name":
            self.at += 1
            return self.soft_keyword()
        if word == "type" and following == "name" and self.types[at + 2] in ("=", "<"):
            self.at += 2
            self.generics()
            self.need("=")
            self._type()
            return tree.Label("", self.starts[at])
        if word == "global" and following in ("name", "function", "<", "*"):
            return self._global(following)
        return None

    def _global(self: _Parser, following: str) -> tree.Stat:  # type: ignore[misc]
        self.at += 1
        start = self.starts[self.at]
        if following == "function":
            return self._function_statement()
        self._attribute()
        if self.take("*"):
            return tree.Label("", start)
        names: list[tree.Expr] = []
        while True:
            first = self.at
            name = self._declared()
            names.append(tree.Name(name, self.starts[first], self.ends[first]))
            if not self.take(","):
                break
        if self.take("="):
            return tree.Assignment(names, self.expressions(), start)
        return tree.Label("", start)
