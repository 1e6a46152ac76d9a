"""A query's text -> its tree: statements, sources, and the chain of operators behind them."""

from __future__ import annotations

from perilune.detection.kql.errors import KqlError, Span, nearest, unsupported
from perilune.detection.kql.expressions import Expressions
from perilune.detection.kql.kinds import Kind
from perilune.detection.kql.operators import OPERATORS, Operators
from perilune.detection.kql.reading import Reading
from perilune.detection.kql.refused import HARMLESS_SETTINGS, REFUSED_OPERATORS, REFUSED_STATEMENTS
from perilune.detection.kql.syntax import (
    DataTable,
    Expr,
    Function,
    Let,
    Literal,
    Name,
    Operator,
    Parameter,
    Pipeline,
    Print,
    Query,
    Range,
    Source,
    Sub,
)
from perilune.detection.kql.tokens import Type

MAX_OPERATORS = 300
MAX_LETS = 300
MAX_CELLS = 100_000  # of one datatable

_SOURCES = frozenset(("union", "print", "datatable", "search", "find", "range", "externaldata", "evaluate"))
_AFTER_A_COLUMN = frozenset("= . ) ] == != =~ !~ <> < > <= >= + / % | ; : ,".split())


def parse(text: str) -> Query:
    """The tree of a whole query; raises `KqlError` with its place."""
    try:
        return Parser(text).query()
    except RecursionError:
        raise KqlError("the query is nested too deeply") from None


class Parser:
    """Recursive descent over one query."""

    def __init__(self, text: str) -> None:
        self.reading = self._r = Reading(text)
        self.expressions = Expressions(self._r, self)
        self._operators = Operators(self._r, self)
        self._count = 0

    # ── statements ──────────────────────────────────────────────────────────────────────────────────────────────────

    def query(self) -> Query:
        found = self._statements(until=None)
        if self._r.now.type is not Type.END:
            raise self._r.expected("`|`, `;` or the end of the query")
        return found

    def _statements(self, until: str | None) -> Query:
        lets: list[Let] = []
        result: Expr | Pipeline | None = None
        at = self._r.at
        while not self._is_over(until):
            if self._r.skip_mark(";"):
                continue
            if result is not None:
                raise KqlError("a query ends with its one result; this is a second one", self._r.at)
            if self._r.is_word("let"):
                lets.append(self._let())
            elif self._r.is_word("declare") and self._r.ahead().text == "query_parameters":
                lets += self._declared()
            elif not self._skip_setting():
                at = self._r.at
                result = self.pipeline_or_expression() if until else self.pipeline()
            if len(lets) > MAX_LETS:
                raise KqlError(f"more than {MAX_LETS} let statements", self._r.at)
            if not self._is_over(until) and not self._r.is_mark(";"):
                raise self._after_statement()
        if result is None:
            raise KqlError("there is no query" if not lets else "after its let statements the query says nothing",
                           self._r.at, hint="end it with a table or an expression")  # fmt: skip
        return Query(tuple(lets), result, at)

    def _is_over(self, until: str | None) -> bool:
        return self._r.now.type is Type.END or (until is not None and self._r.is_mark(until))

    def _after_statement(self) -> KqlError:
        hint = nearest(self._r.now.text, OPERATORS) if self._r.now.type is Type.NAME else None
        return self._r.expected("`|` or `;`", hint=hint)

    def _skip_setting(self) -> bool:
        token = self._r.now
        if token.type is not Type.NAME or self._r.ahead().type not in (Type.NAME, Type.STRING):
            return False
        if token.text in REFUSED_STATEMENTS:
            raise unsupported(f"the statement `{token.text}`", token.at, REFUSED_STATEMENTS[token.text])
        if token.text != "set":
            return False
        self._r.next()
        name = self._r.name("a setting")
        if name not in HARMLESS_SETTINGS:
            raise unsupported(f"the setting `{name}`", token.at)
        if self._r.skip_mark("="):
            self._r.next()
        return True

    def _let(self) -> Let:
        at = self._r.next().at
        name = self._r.name("the name to define")
        self._r.expect_mark("=", f"after `let {name}`")
        function = self._function()
        return Let(name, function if function is not None else self.pipeline_or_expression(), at)

    def _declared(self) -> list[Let]:
        """`declare query_parameters (a:long = 1)`: each parameter is its default."""
        at = self._r.next().at
        self._r.next()
        found = []
        for parameter in self._parameters():
            if parameter.default is None:
                raise unsupported(f"the query parameter {parameter.name} without a default", at)
            found.append(Let(parameter.name, parameter.default, at))
        return found

    def _function(self) -> Function | None:
        """`(a:string, T:(x:long)) { … }`, or None and nothing read when this is none."""
        start, at = self._r.place(), self._r.at
        self._r.skip_word("view")
        if not self._r.is_mark("(") or not self._looks_like_parameters():
            self._r.back_to(start)
            return None
        parameters = self._parameters()
        if not self._r.is_mark("{"):
            self._r.back_to(start)
            return None
        self._r.next()
        self._r.enter()
        body = self._statements(until="}")
        self._r.leave()
        self._r.expect_mark("}", "to end the function")
        return Function(parameters, body, at)

    def _looks_like_parameters(self) -> bool:
        first, second = self._r.ahead(), self._r.ahead(2)
        return first.text == ")" or (first.type is Type.NAME and second.text == ":" and second.type is Type.MARK)

    def _parameters(self) -> tuple[Parameter, ...]:
        self._r.expect_mark("(")
        found: list[Parameter] = []
        while not self._r.is_mark(")"):
            name = self._r.name("a parameter's name")
            self._r.expect_mark(":", "and a type")
            if self._r.is_mark("("):
                found.append(Parameter(name, None, None, self._tabular()))
            else:
                kind = self._r.kind()
                default = self.expressions.expression() if self._r.skip_mark("=") else None
                found.append(Parameter(name, kind, default))
            if not self._r.skip_mark(","):
                break
        self._r.expect_mark(")")
        return tuple(found)

    def _tabular(self) -> tuple[tuple[str, Kind], ...]:
        if self._r.ahead().text == "*":
            for _ in range(2):
                self._r.next()
            self._r.expect_mark(")")
            return ()
        return self._r.columns()

    # ── pipelines ───────────────────────────────────────────────────────────────────────────────────────────────────

    def pipeline(self) -> Pipeline:
        """A source and its operators."""
        found = self.pipeline_or_expression()
        if isinstance(found, Pipeline):
            return found
        return Pipeline(found, (), found.at)

    def pipeline_or_expression(self) -> Pipeline | Expr:
        """Decided by what is there: a tabular word first, or a `|` behind the first expression."""
        at = self._r.at
        source = self._source()
        if not isinstance(source, DataTable | Range | Print) and not self._r.is_mark("|"):
            if not _is_expression(source):
                return Pipeline(source, (), at)
            return source  # type: ignore[return-value]
        return Pipeline(source, self.operators(), at)

    def operators(self) -> tuple[Operator, ...]:
        found: list[Operator] = []
        while self._r.skip_mark("|"):
            found.append(self.operator())
        return tuple(found)

    def operator(self) -> Operator:
        at = self._r.at
        self._count += 1
        if self._count > MAX_OPERATORS:
            raise KqlError(f"the query has more than {MAX_OPERATORS} operators", at)
        name = self._r.hyphenated()
        if name in REFUSED_OPERATORS:
            raise unsupported(f"the operator `{name}`", at, REFUSED_OPERATORS[name])
        if name not in OPERATORS:
            raise KqlError(f"there is no operator `{name}`", at, hint=nearest(name, OPERATORS))
        self._r.enter()
        found = self._operators.read(name, at)
        self._r.leave()
        return found

    def _source(self) -> Source:
        token, follows = self._r.now, self._r.ahead()
        is_word = token.type is Type.NAME and token.text in _SOURCES
        if not is_word or (follows.type is Type.MARK and follows.text in _AFTER_A_COLUMN):
            return self.expressions.expression()
        if follows.type is Type.END:
            return self.expressions.expression()
        return self._tabular_source(token.text, token.at)

    def _tabular_source(self, word: str, at: Span) -> Source:
        match word:
            case "datatable":
                self._r.next()
                return self._datatable(at)
            case "range" if self._r.ahead().text != "(":
                self._r.next()
                return self._range(at)
            case "print":
                self._r.next()
                return Print(self._operators.items(), at)
            case "union" | "search" | "find":
                self._r.next()
                return self._operators.source(word, at)
            case "externaldata":
                raise unsupported("externaldata", at, "a query reads no file and no address; give the file as a PATH")
            case "evaluate":
                raise unsupported("`evaluate` without a table before it", at)
        return self.expressions.expression()

    def _datatable(self, at: Span) -> Source:
        columns = self._r.columns()
        self._r.expect_mark("[", "and the table's values")
        values: list[Expr] = []
        while not self._r.is_mark("]"):
            values.append(self.expressions.expression())
            if len(values) > MAX_CELLS:
                raise KqlError(f"a datatable of more than {MAX_CELLS:,} values", self._r.at)
            if not self._r.skip_mark(","):
                break
        self._r.expect_mark("]", "to end the datatable")
        if not columns or len(values) % len(columns):
            raise KqlError(f"{len(values)} values do not fill rows of {len(columns)} columns", at)
        return DataTable(columns, tuple(values), at)

    def _range(self, at: Span) -> Source:
        name = self._r.name("the column's name")
        self._r.expect_word("from")
        start = self.expressions.expression()
        self._r.expect_word("to")
        stop = self.expressions.expression()
        step: Expr = Literal(Kind.LONG, 1, at)
        if self._r.skip_word("step"):
            step = self.expressions.expression()
        return Range(name, start, stop, step, at)


def _is_expression(source: Source) -> bool:
    return not isinstance(source, DataTable | Range | Print) and type(source).__name__ not in (
        "Union",
        "Search",
        "Find",
    )


__all__ = ["Name", "Parser", "Sub", "parse"]
