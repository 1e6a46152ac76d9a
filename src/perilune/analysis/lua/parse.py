"""Tokens to a tree, for all dialects at once, in linear time, whatever the text.

What is no Lua is skipped up to the next statement and told in `faults`; what comes after is read as usual.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from perilune.analysis.lua import tree
from perilune.analysis.lua.lexer import KEYWORDS, Tokens, number_value, string_value
from perilune.analysis.lua.luau import Types

MOST_FAULTS = 40
MOST_DEPTH = 620  # Python frames, about; Lua itself refuses 200 nested levels

# Left and right binding power. Concatenation is associative on what it is used for, so it is a flat chain here.
_POWER: dict[str, tuple[int, int]] = {
    "or": (1, 1), "||": (1, 1), "and": (2, 2), "&&": (2, 2),
    "<": (3, 3), ">": (3, 3), "<=": (3, 3), ">=": (3, 3), "~=": (3, 3), "!=": (3, 3), "==": (3, 3),
    "|": (4, 4), "~": (5, 5), "&": (6, 6), "<<": (7, 7), ">>": (7, 7), "..": (9, 9),
    "+": (10, 10), "-": (10, 10), "*": (11, 11), "/": (11, 11), "//": (11, 11), "%": (11, 11), "^": (14, 13),
}  # fmt: skip
_PLAIN = {"&&": "and", "||": "or", "!=": "~="}
_UNARY = frozenset(("not", "-", "#", "~", "!"))
_ENDS = frozenset(("end", "else", "elseif", "until", "eof"))
_STARTS = frozenset(
    ("local", "function", "if", "for", "while", "repeat", "return", "do", "break", "goto", "::", ";")
) | _ENDS  # fmt: skip
_COMPOUND = frozenset(("+=", "-=", "*=", "/=", "%=", "^=", "..=", "//=", "&=", "|=", "<<=", ">>="))


class _Wrong(Exception):
    """The text stops being Lua here. Never leaves this module."""


class _Deep(Exception):
    """Nested deeper than is read. Never leaves this module."""


@dataclass(slots=True)
class Parsed:
    """`whole` is false where nesting ended the reading early."""

    body: tree.Block
    faults: list[tuple[int, str]]
    whole: bool = True


def parse(tokens: Tokens) -> Parsed:
    """The tree of all statements that could be read."""
    return Parser(tokens).chunk()


class Parser(Types):
    def __init__(self, tokens: Tokens) -> None:
        text = tokens.text
        self.text = text
        self.types: list[str] = []
        self.starts: list[int] = []
        self.ends: list[int] = []
        for kind, start, end in zip(tokens.kinds, tokens.starts, tokens.ends, strict=True):
            if kind == "comment":
                continue
            if kind == "op":
                kind = text[start:end]
            elif kind == "name" and end - start < 9 and (word := text[start:end]) in KEYWORDS:
                kind = word
            self.types.append(kind)
            self.starts.append(start)
            self.ends.append(end)
        self.types += ["eof"] * 4
        self.starts += [len(text)] * 4
        self.ends += [len(text)] * 4
        self.at = 0
        self.depth = 0
        self.faults: list[tuple[int, str]] = []

    def chunk(self) -> Parsed:
        body = tree.Block()
        try:
            while self.types[self.at] != "eof" and len(self.faults) < MOST_FAULTS:
                body.statements += self.block().statements
                if self.types[self.at] != "eof":
                    self._fault(f"unexpected {self.types[self.at]}")
                    self.at += 1
        except (_Deep, RecursionError):
            self._fault("nested too deep to be read as a tree")
            return Parsed(body, self.faults, whole=False)
        return Parsed(body, self.faults, self.types[self.at] == "eof")

    def _fault(self, what: str) -> None:
        self.faults.append((self.starts[self.at], what))

    def wrong(self, wanted: str) -> _Wrong:
        return _Wrong(f"{wanted} wanted, {self.types[self.at]} found")

    # Statements

    def block(self) -> tree.Block:
        found = tree.Block()
        statements = found.statements
        self.down(3)
        while (kind := self.types[self.at]) not in _ENDS:
            before = self.at
            if kind == ";":
                self.at += 1
                continue
            try:
                statements.append(_STATEMENTS.get(kind, Parser._expression_statement)(self))
            except _Wrong as wrong:
                self._recover(before, str(wrong))
        self.depth -= 3
        return found

    def _recover(self, before: int, what: str) -> None:
        self._fault(what)
        self.at = max(self.at, before + 1) if self.types[self.at] not in _STARTS or self.at == before else self.at
        if len(self.faults) >= MOST_FAULTS:
            self.at = len(self.types) - 4
        while self.types[self.at] not in _STARTS:
            self.at += 1

    def down(self, frames: int) -> None:
        self.depth += frames
        if self.depth > MOST_DEPTH:
            raise _Deep

    def need(self, kind: str) -> None:
        if self.types[self.at] != kind:
            raise self.wrong(kind)
        self.at += 1

    def take(self, kind: str) -> bool:
        if self.types[self.at] == kind:
            self.at += 1
            return True
        return False

    def name(self) -> str:
        at = self.at
        if self.types[at] != "name" and self.types[at] not in ("goto", "continue"):
            raise self.wrong("a name")
        self.at = at + 1
        return self.text[self.starts[at] : self.ends[at]]

    def close(self, depth: int) -> None:
        """The `end` of a block; a missing one is told, and the block ends all the same."""
        self.depth = depth
        if not self.take("end"):
            self._fault(f"end wanted, {self.types[self.at]} found")

    def _body(self) -> tree.Block:
        depth = self.depth
        found = self.block()
        self.close(depth)
        return found

    def _local(self) -> tree.Stat:
        start = self.starts[self.at]
        self.at += 1
        if self.take("function"):
            name = self.name()
            return tree.LocalFunction(name, self.function(start, name), start)
        self._attribute()
        names = [self._declared()]
        while self.take(","):
            names.append(self._declared())
        values = self.expressions() if self.take("=") else []
        return tree.LocalVariables(names, values, start)

    def _declared(self) -> str:
        name = self.name()
        self._attribute()
        self.annotation()
        return name

    def _attribute(self) -> None:
        if self.types[self.at] == "<":
            self.at += 1
            self.name()
            self.need(">")

    def _function_statement(self) -> tree.Stat:
        start = self.starts[self.at]
        self.at += 1
        first = self.starts[self.at]
        target: tree.Expr = tree.Name(self.name(), first, self.ends[self.at - 1])
        parts: list[tree.Index | tree.Call] = []
        method = False
        while self.types[self.at] in (".", ":"):
            method = self.types[self.at] == ":"
            self.at += 1
            parts.append(self.key())
        if parts:
            target = tree.Suffixed(target, parts, first, self.ends[self.at - 1])
        function = self.function(start, self.text[first : self.ends[self.at - 1]], method=method)
        return tree.Assignment([target], [function], start)

    def key(self) -> tree.Index:
        """The name after a dot, keywords allowed: obfuscated and foreign text has them."""
        at = self.at
        if self.types[at] != "name" and self.types[at] not in KEYWORDS:
            raise self.wrong("a name")
        self.at = at + 1
        start, end = self.starts[at], self.ends[at]
        return tree.Index(tree.String(self.text[start:end], start, end), end)

    def function(self, start: int, name: str = "", *, method: bool = False) -> tree.Function:
        """Parameters and body; the word `function` is behind us."""
        depth = self.depth
        self.down(5)
        self.generics()
        self.need("(")
        parameters = ["self"] if method else []
        vararg = False
        while self.types[self.at] != ")":
            if self.take("..."):
                vararg = True
                if self.types[self.at] == "name":
                    self.at += 1  # 5.5 may name it
                self.annotation()
            else:
                parameters.append(self._declared())
            if not self.take(","):
                break
        self.need(")")
        self.annotation()
        body = self.block()
        self.close(depth)
        return tree.Function(parameters, vararg, body, start, self.ends[self.at - 1], name)

    def _if(self) -> tree.Stat:
        start = self.starts[self.at]
        depth = self.depth
        clauses: list[tuple[tree.Expr, tree.Block]] = []
        otherwise = None
        while self.types[self.at] in ("if", "elseif"):
            self.at += 1
            condition = self.expression()
            self.need("then")
            clauses.append((condition, self.block()))
        if self.take("else"):
            otherwise = self.block()
        self.close(depth)
        return tree.If(clauses, otherwise, start)

    def _while(self) -> tree.Stat:
        start = self.starts[self.at]
        self.at += 1
        condition = self.expression()
        self.need("do")
        return tree.While(condition, self._body(), start)

    def _do(self) -> tree.Stat:
        start = self.starts[self.at]
        self.at += 1
        return tree.Do(self._body(), start)

    def _repeat(self) -> tree.Stat:
        start = self.starts[self.at]
        self.at += 1
        body = self.block()
        self.need("until")
        return tree.Repeat(body, self.expression(), start)

    def _for(self) -> tree.Stat:
        start = self.starts[self.at]
        self.at += 1
        names = [self._declared()]
        if self.take("="):
            bounds = self.expressions()
            self.need("do")
            return tree.NumericFor(names[0], bounds, self._body(), start)
        while self.take(","):
            names.append(self._declared())
        self.need("in")
        values = self.expressions()
        self.need("do")
        return tree.GenericFor(names, values, self._body(), start)

    def _return(self) -> tree.Stat:
        start = self.starts[self.at]
        self.at += 1
        values = [] if self.types[self.at] in _ENDS or self.types[self.at] == ";" else self.expressions()
        return tree.Return(values, start)

    def _jump(self) -> tree.Stat:
        at = self.at
        word = self.types[at]
        self.at += 1
        return tree.Jump(word, self.name() if word == "goto" else "", self.starts[at])

    def _goto(self) -> tree.Stat:
        return self._jump() if self.types[self.at + 1] == "name" else self._expression_statement()

    def _label(self) -> tree.Stat:
        start = self.starts[self.at]
        self.at += 1
        name = self.name()
        self.need("::")
        return tree.Label(name, start)

    def _expression_statement(self) -> tree.Stat:
        at = self.at
        start = self.starts[at]
        if self.types[at] == "name" and (special := self.soft_keyword()):
            return special
        value = self.suffixed()
        kind = self.types[self.at]
        if kind == "=" or kind == ",":
            targets = [value]
            while self.take(","):
                targets.append(self.suffixed())
            self.need("=")
            return tree.Assignment(targets, self.expressions(), start)
        if kind in _COMPOUND:
            self.at += 1
            return tree.Assignment([value], [self.expression()], start, kind[:-1])
        if self.types[self.at] in ("++", "--"):
            self.at += 1
        elif not (isinstance(value, tree.Suffixed) and isinstance(value.parts[-1], tree.Call)) and at + 1 >= self.at:
            raise self.wrong("a statement")
        return tree.Statement(value, start)

    # Expressions

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


_STATEMENTS: dict[str, Callable[[Parser], tree.Stat]] = {
    "local": Parser._local, "function": Parser._function_statement, "if": Parser._if, "while": Parser._while,
    "do": Parser._do, "repeat": Parser._repeat, "for": Parser._for, "return": Parser._return, "break": Parser._jump,
    "goto": Parser._goto, "::": Parser._label,
}  # fmt: skip
_SUFFIXES: dict[str, Callable[[Parser], tree.Index | tree.Call | None]] = {
    ".": Parser._dot, "?.": Parser._dot, "[": Parser._bracket, ":": Parser._method, "(": Parser._arguments,
    "{": Parser._arguments, "string": Parser._arguments, "longstring": Parser._arguments,
}  # fmt: skip
