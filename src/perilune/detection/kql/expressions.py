"""Expressions, by the strength of their operators: or, and, equality and text, order, + and -, * / and %."""

from __future__ import annotations

from typing import TYPE_CHECKING

from perilune.detection.kql import literals
from perilune.detection.kql.errors import KqlError, Span, unsupported
from perilune.detection.kql.kinds import Kind
from perilune.detection.kql.reading import MAX_DEPTH, Reading
from perilune.detection.kql.syntax import (
    Between,
    Binary,
    Call,
    Expr,
    Index,
    Listed,
    Literal,
    Logic,
    Member,
    Name,
    Pipeline,
    Star,
    Sub,
    TypeOf,
    Unary,
)
from perilune.detection.kql.tokens import Type

if TYPE_CHECKING:
    from perilune.detection.kql.parser import Parser

MAX_CHAIN = 2_000  # operands of one chain of `and`, `or`
MAX_ARITHMETIC = 64  # of + - * / % in one chain: each is a level of the tree

_POSITIVE = (
    "has has_cs hasprefix hasprefix_cs hassuffix hassuffix_cs contains contains_cs startswith startswith_cs "
    "endswith endswith_cs"
).split()
TEXT_OPERATORS = frozenset(_POSITIVE) | {f"!{op}" for op in _POSITIVE} | {"=~", "!~"}
LIST_OPERATORS = frozenset(("in", "!in", "in~", "!in~", "has_any", "!has_any", "has_all", "!has_all"))
_NOT_EXPRESSIONS = frozenset(("by", "on", "asc", "desc", "to", "step", "with", "of"))


class Expressions:
    """Reads expressions; the pipelines within them are read by the parser that it belongs to."""

    def __init__(self, reading: Reading, parser: Parser) -> None:
        self._r = reading
        self._parser = parser

    def expression(self) -> Expr:
        self._r.enter()
        found = self._chain("or")
        self._r.leave()
        return found

    def _chain(self, word: str) -> Expr:
        at = self._r.at
        of = [self._chain("and") if word == "or" else self._equality()]
        while self._r.skip_word(word):
            of.append(self._chain("and") if word == "or" else self._equality())
            if len(of) > MAX_CHAIN:
                raise KqlError(f"more than {MAX_CHAIN:,} conditions joined by `{word}`", self._r.at)
        return of[0] if len(of) == 1 else Logic(word, tuple(of), at)

    def _equality(self) -> Expr:
        left = self._order()
        while True:
            token = self._r.now
            op = token.text
            if token.type not in (Type.NAME, Type.MARK):
                return left
            if op in LIST_OPERATORS:
                left = self._listed(left)
            elif op in ("between", "!between"):
                left = self._between(left, negated=op[0] == "!")
            elif op == "matches" and self._r.ahead().text == "regex":
                self._r.next()
                self._r.next()
                left = Binary("matches regex", left, self._order(), token.at)
            elif op in TEXT_OPERATORS or (op in ("==", "!=", "<>") and token.type is Type.MARK):
                self._r.next()
                right = Star(self._r.next().at) if self._r.is_mark("*") else self._order()
                left = Binary("!=" if op == "<>" else op, left, right, token.at)
            elif op == "like" or op == "!like":
                raise unsupported("the operator `like`", token.at, "use `contains`, `startswith` or `matches regex`")
            elif op == "=" and token.type is Type.MARK:
                return left
            else:
                return left

    def _listed(self, left: Expr) -> Expr:
        token = self._r.next()
        self._r.enter()
        items: list[Expr] = []
        if self._r.skip_mark("("):
            while not self._r.is_mark(")"):
                items.append(self.value())
                if not self._r.skip_mark(","):
                    break
            self._r.expect_mark(")", f"to end the list of `{token.text}`")
        else:  # Kusto also takes a bare dynamic: `x has_any dynamic([…])`
            items.append(self._order())
        self._r.leave()
        return Listed(token.text, left, tuple(items), token.at)

    def _between(self, of: Expr, *, negated: bool) -> Expr:
        at = self._r.next().at
        self._r.expect_mark("(", "after `between`")
        low = self._order()
        self._r.expect_mark("..", "between the two ends")
        high = self._order()
        self._r.expect_mark(")")
        return Between(of, low, high, negated, at)

    def _order(self) -> Expr:
        left = self._sum()
        while self._r.is_mark("<", ">", "<=", ">="):
            token = self._r.next()
            left = Binary(token.text, left, self._sum(), token.at)
        return left

    def _sum(self) -> Expr:
        return self._binary(("+", "-"), self._product)

    def _product(self) -> Expr:
        return self._binary(("*", "/", "%"), self._unary)

    def _binary(self, marks: tuple[str, ...], operand: object) -> Expr:
        assert callable(operand)
        left: Expr = operand()
        count = 0
        while self._r.is_mark(*marks):
            token = self._r.next()
            count += 1
            if count > MAX_ARITHMETIC:
                raise KqlError(f"more than {MAX_ARITHMETIC} operators in one sum or product", token.at)
            left = Binary(token.text, left, operand(), token.at)
        return left

    def _unary(self) -> Expr:
        if not self._r.is_mark("-", "+"):
            return self.operand()
        token = self._r.next()
        self._r.enter()
        of = self._unary()
        self._r.leave()
        if isinstance(of, Literal) and isinstance(of.value, int | float) and not isinstance(of.value, bool):
            return Literal(of.kind, -of.value if token.text == "-" else of.value, token.at)
        return Unary(token.text, of, token.at)

    def operand(self) -> Expr:
        """A name, a literal, a call or something in parentheses, with the path behind it."""
        return self._postfix(self._primary())

    def _postfix(self, found: Expr) -> Expr:
        steps = 0
        while self._r.is_mark(".", "["):
            steps += 1
            if steps > MAX_DEPTH:
                raise KqlError(f"a path of more than {MAX_DEPTH} steps", self._r.at)
            at = self._r.next().at
            if self._r.ahead(-1).text == ".":
                name = self._r.name("a property's name")
                if self._r.is_mark("("):
                    raise unsupported(f"calling {name}() of another database or cluster", at)
                found = Member(found, name, at)
            else:
                index = self.expression()
                self._r.expect_mark("]")
                found = Index(found, index, at)
        return found

    def _primary(self) -> Expr:
        token = self._r.now
        match token.type:
            case Type.STRING:
                return self._string()
            case Type.LONG:
                return Literal(Kind.LONG, self._r.next().value, token.at)
            case Type.REAL:
                return Literal(Kind.REAL, self._r.next().value, token.at)
            case Type.TIMESPAN:
                return Literal(Kind.TIMESPAN, self._r.next().value, token.at)
            case Type.TYPED:
                return literals.typed(self._r.next())
            case Type.NAME:
                return self._named()
        if self._r.is_mark("("):
            return self._parenthesised()
        if self._r.is_mark("["):
            return Name(self._r.name(), token.at)
        if self._r.is_mark("*"):
            return Star(self._r.next().at)
        raise self._r.expected("an expression")

    def _string(self) -> Expr:
        """A string; strings that follow each other are one, as in C."""
        at = self._r.at
        text = str(self._r.next().value)
        while self._r.now.type is Type.STRING:
            text += str(self._r.next().value)
        return Literal(Kind.STRING, text, at)

    def _named(self) -> Expr:
        token = self._r.next()
        name = token.text
        if name in ("true", "false"):
            return Literal(Kind.BOOL, name == "true", token.at)
        if not self._r.is_mark("("):
            if name in _NOT_EXPRESSIONS and not self._r.is_mark(".", "["):
                self._r.back_to(self._r.place() - 1)
                raise self._r.expected("an expression")
            return Name(name, token.at)
        if name == "dynamic":
            return literals.dynamic(self._r, token.at)
        if name == "typeof":
            return self._typeof(token.at)
        return self._call(name, token.at)

    def _typeof(self, at: Span) -> Expr:
        self._r.expect_mark("(")
        kind = self._r.kind()
        self._r.expect_mark(")")
        return TypeOf(kind, at)

    def _call(self, name: str, at: Span) -> Expr:
        self._r.expect_mark("(")
        self._r.enter()
        args: list[Expr] = []
        named: list[tuple[str, Expr]] = []
        while not self._r.is_mark(")"):
            if self._r.now.type is Type.NAME and self._r.ahead().text == "=" and self._r.ahead().type is Type.MARK:
                word = self._r.next().text
                self._r.next()
                named.append((word, self.value()))
            else:
                args.append(self.value())
            if not self._r.skip_mark(","):
                break
        self._r.expect_mark(")", f"to end the call of {name}")
        self._r.leave()
        return Call(name, tuple(args), at, tuple(named))

    def _parenthesised(self) -> Expr:
        self._r.next()
        self._r.enter()
        found = self.value()
        self._r.leave()
        self._r.expect_mark(")")
        return found

    def value(self) -> Expr:
        """An expression, or a pipeline where one may stand for it: in parentheses and as an argument."""
        found = self._parser.pipeline_or_expression()
        return Sub(found, found.at) if isinstance(found, Pipeline) else found
