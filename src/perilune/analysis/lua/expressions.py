"""Expressions: operands, chains of operators, what follows a name. Flat where Lua's own grammar nests to the left."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from perilune.analysis.lua import tree
from perilune.analysis.lua.lexer import KEYWORDS, number_value, string_value
from perilune.analysis.lua.luau import Types

# Left and right binding power. Concatenation is associative on what it is used for, so it is a flat chain here.
_POWER: dict[str, tuple[int, int]] = {
    "or": (1, 1), "||": (1, 1), "and": (2, 2), "&&": (2, 2),
    "<": (3, 3), ">": (3, 3), "<=": (3, 3), ">=": (3, 3), "~=": (3, 3), "!=": (3, 3), "==": (3, 3),
    "|": (4, 4), "~": (5, 5), "&": (6, 6), "<<": (7, 7), ">>": (7, 7), "..": (9, 9),
    "+": (10, 10), "-": (10, 10), "*": (11, 11), "/": (11, 11), "//": (11, 11), "%": (11, 11), "^": (14, 13),
}  # fmt: skip
_PLAIN = {"&&": "and", "||": "or", "!=": "~="}
_UNARY = frozenset(("not", "-", "#", "~", "!"))


class Expressions(Types):
    """The part of the parser that reads values."""

    if TYPE_CHECKING:

        def function(self, start: int, name: str = "", *, method: bool = False) -> tree.Function: ...

    def key(self) -> tree.Index:
        """The name after a dot, keywords allowed: obfuscated and foreign text has them."""
        at = self.at
        if self.types[at] != "name" and self.types[at] not in KEYWORDS:
            raise self.wrong("a name")
        self.at = at + 1
        start, end = self.starts[at], self.ends[at]
        return tree.Index(tree.String(self.text[start:end], start, end), end)

    def expressions(self) -> list[tree.Expr]:
        found = [self.expression()]
        while self.types[self.at] == ",":
            self.at += 1
            found.append(self.expression())
        return found

    def expression(self) -> tree.Expr:
        first = self._operand()
        kind = self.types[self.at]
        return self._chain(first, 0) if kind in _POWER or kind == "::" else first

    def _chain(self, left: tree.Expr, limit: int) -> tree.Expr:
        level = -1  # of the chain that `left` is, where this loop made it
        while True:
            operator = self.types[self.at]
            if operator == "::" and self.cast():
                continue
            power = _POWER.get(operator)
            if power is None or power[0] <= limit:
                return left
            self.at += 1
            right = self._operand()
            following = _POWER.get(self.types[self.at])
            if following is not None and following[0] > power[1]:
                self.down(2)
                right = self._chain(right, power[1])
                self.depth -= 2
            operator = _PLAIN.get(operator, operator)
            if level == power[0] and isinstance(left, tree.Chain):
                left.rest.append((operator, right))
                left.end = self.ends[self.at - 1]
            else:
                left = tree.Chain(left, [(operator, right)], left.start, self.ends[self.at - 1])
                level = power[0]

    def _operand(self) -> tree.Expr:
        if self.types[self.at] not in _UNARY:
            return self.suffixed()
        start = self.starts[self.at]
        operators = []
        while (kind := self.types[self.at]) in _UNARY:
            operators.append("not" if kind == "!" else kind)
            self.at += 1
        operand = self.suffixed()
        if self.types[self.at] == "^":
            self.down(2)
            operand = self._chain(operand, 12)
            self.depth -= 2
        return tree.Unary(operators, operand, start, self.ends[self.at - 1])

    def suffixed(self) -> tree.Expr:
        base = self._primary()
        if self.types[self.at] not in _SUFFIXES:
            return base
        parts: list[tree.Index | tree.Call] = []
        while suffix := _SUFFIXES.get(self.types[self.at]):
            if (part := suffix(self)) is None:
                break
            parts.append(part)
        if not parts:
            return base
        return tree.Suffixed(base, parts, base.start, parts[-1].end)

    def _primary(self) -> tree.Expr:
        at = self.at
        kind = self.types[at]
        start, end = self.starts[at], self.ends[at]
        if kind == "name":
            self.at = at + 1
            return tree.Name(self.text[start:end], start, end)
        if kind == "string" or kind == "longstring" or kind == "tick":
            self.at = at + 1
            return tree.String(string_value(self.text[start:end]), start, end)
        if kind == "number":
            self.at = at + 1
            return tree.Number(number_value(self.text[start:end]), start, end)
        if kind in ("nil", "true", "false", "..."):
            self.at = at + 1
            return tree.Word(kind, start, end)
        return self._compound(kind, start, end)

    def _compound(self, kind: str, start: int, end: int) -> tree.Expr:
        if kind == "function":
            self.at += 1
            return self.function(start)
        if kind == "{":
            return self._table()
        if kind == "(":
            self.at += 1
            self.down(4)
            found = self.expression()
            self.depth -= 4
            self.need(")")
            return found
        if kind == "if":
            return self.choice(start)
        if kind == "goto":  # a name up to 5.1
            self.at += 1
            return tree.Name(kind, start, end)
        if kind in ("@", "$"):
            self.at += 1
            return tree.Word("?", start, end)
        raise self.wrong("an expression")

    def _table(self) -> tree.Table:
        start = self.starts[self.at]
        self.at += 1
        self.down(4)
        items: list[tuple[tree.Expr | None, tree.Expr]] = []
        while (kind := self.types[self.at]) != "}":
            key: tree.Expr | None = None
            if kind == "name" and self.types[self.at + 1] == "=":
                key = self.key().key
                self.at += 1
            elif kind == "[":
                self.at += 1
                key = self.expression()
                self.need("]")
                self.need("=")
            items.append((key, self.expression()))
            if self.types[self.at] not in (",", ";"):
                break
            self.at += 1
        self.depth -= 4
        self.need("}")
        return tree.Table(items, start, self.ends[self.at - 1])

    # What follows an expression: .name, [key], (arguments), :method(arguments), "string", {table}

    def _dot(self) -> tree.Index | tree.Call | None:
        self.at += 1
        return self.key()

    def _bracket(self) -> tree.Index | tree.Call | None:
        self.at += 1
        self.down(4)
        key = self.expression()
        self.depth -= 4
        self.need("]")
        return tree.Index(key, self.ends[self.at - 1])

    def _method(self) -> tree.Index | tree.Call | None:
        self.at += 1
        name = self.key().key
        self.generics()
        call = self.arguments()
        call.method = name.value if isinstance(name, tree.String) else ""
        return call

    def arguments(self) -> tree.Call:
        """`(a, b)`, `"string"` or `{table}`."""
        kind = self.types[self.at]
        if kind == "(":
            self.at += 1
            found: list[tree.Expr] = []
            if self.types[self.at] != ")":
                self.down(4)
                found = self.expressions()
                self.depth -= 4
            self.need(")")
        elif kind == "{":
            found = [self._table()]
        elif kind in ("string", "longstring", "tick"):
            found = [self._primary()]
        else:
            raise self.wrong("arguments")
        return tree.Call(found, "", self.ends[self.at - 1])

    def _arguments(self) -> tree.Index | tree.Call | None:
        return self.arguments()

    def choice(self, start: int) -> tree.Expr:
        """`if a then b elseif c then d else e` as an expression."""
        clauses = []
        self.down(4)
        while self.types[self.at] in ("if", "elseif"):
            self.at += 1
            condition = self.expression()
            self.need("then")
            clauses.append((condition, self.expression()))
        self.need("else")
        otherwise = self.expression()
        self.depth -= 4
        return tree.Choice(clauses, otherwise, start, self.ends[self.at - 1])


_SUFFIXES: dict[str, Callable[[Expressions], tree.Index | tree.Call | None]] = {
    ".": Expressions._dot, "?.": Expressions._dot, "[": Expressions._bracket, ":": Expressions._method, "(": Expressions._arguments,
    "{": Expressions._arguments, "string": Expressions._arguments, "longstring": Expressions._arguments,
}  # fmt: skip
