"""Tokens to a tree, for all dialects at once, in linear time, whatever the text.

What is no Lua is skipped up to the next statement and told in `faults`; what comes after is read as usual.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from perilune.analysis.lua import tree
from perilune.analysis.lua.cursor import Deep, Wrong
from perilune.analysis.lua.expressions import Expressions
from perilune.analysis.lua.lexer import Tokens

MOST_FAULTS = 40

_ENDS = frozenset(("end", "else", "elseif", "until", "eof"))
_STARTS = frozenset(
    ("local", "function", "if", "for", "while", "repeat", "return", "do", "break", "goto", "::", ";")
) | _ENDS  # fmt: skip
_COMPOUND = frozenset(("+=", "-=", "*=", "/=", "%=", "^=", "..=", "//=", "&=", "|=", "<<=", ">>="))


@dataclass(slots=True)
class Parsed:
    """`whole` is false where nesting ended the reading early."""

    body: tree.Block
    faults: list[tuple[int, str]]
    whole: bool = True


def parse(tokens: Tokens) -> Parsed:
    """The tree of all statements that could be read."""
    return Parser(tokens).chunk()


class Parser(Expressions):
    def chunk(self) -> Parsed:
        body = tree.Block()
        try:
            while self.types[self.at] != "eof" and len(self.faults) < MOST_FAULTS:
                body.statements += self.block().statements
                if self.types[self.at] != "eof":
                    self.fault(f"unexpected {self.types[self.at]}")
                    self.at += 1
        except (Deep, RecursionError):
            self.fault("nested too deep to be read as a tree")
            return Parsed(body, self.faults, whole=False)
        return Parsed(body, self.faults, self.types[self.at] == "eof")

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
            except Wrong as wrong:
                self._recover(before, str(wrong))
        self.depth -= 3
        return found

    def _recover(self, before: int, what: str) -> None:
        self.fault(what)
        self.at = max(self.at, before + 1) if self.types[self.at] not in _STARTS or self.at == before else self.at
        if len(self.faults) >= MOST_FAULTS:
            self.at = len(self.types) - 4
        while self.types[self.at] not in _STARTS:
            self.at += 1

    def close(self, depth: int) -> None:
        """The `end` of a block; a missing one is told, and the block ends all the same."""
        self.depth = depth
        if not self.take("end"):
            self.fault(f"end wanted, {self.types[self.at]} found")

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


_STATEMENTS: dict[str, Callable[[Parser], tree.Stat]] = {
    "local": Parser._local, "function": Parser._function_statement, "if": Parser._if, "while": Parser._while,
    "do": Parser._do, "repeat": Parser._repeat, "for": Parser._for, "return": Parser._return, "break": Parser._jump,
    "goto": Parser._goto, "::": Parser._label,
}  # fmt: skip
