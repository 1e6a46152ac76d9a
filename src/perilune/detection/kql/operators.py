"""The operators' own grammars: what may stand behind each `| name`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from perilune.detection.kql.errors import KqlError, Span, unsupported
from perilune.detection.kql.kinds import Json
from perilune.detection.kql.pieces import Pieces
from perilune.detection.kql.syntax import (
    As,
    Call,
    Count,
    Distinct,
    Evaluate,
    Expr,
    Extend,
    Find,
    GetSchema,
    Invoke,
    Item,
    Join,
    Listed,
    Literal,
    MakeSeries,
    MvApply,
    MvExpand,
    NestedLevel,
    Operator,
    Parse,
    ParseKv,
    ParsePart,
    Pattern,
    Project,
    ProjectNames,
    Rename,
    Render,
    Search,
    Serialize,
    SortBy,
    Star,
    Sub,
    Summarize,
    Take,
    Top,
    TopNested,
    Union,
    Where,
)
from perilune.detection.kql.tokens import Type

if TYPE_CHECKING:
    pass

JOIN_KINDS = (
    "innerunique inner leftouter rightouter fullouter leftanti rightanti leftsemi rightsemi anti leftantisemi "
    "rightantisemi"
).split()
_HINTS = ("hint.strategy", "hint.shufflekey", "hint.num_partitions", "hint.remote", "hint.materialized")


class Operators(Pieces):
    """Reads one operator at a time; each method is one grammar."""

    def read(self, name: str, at: Span) -> Operator:
        self._skip_hints()
        return OPERATORS[name](self, at)

    def source(self, word: str, at: Span) -> Union | Search | Find:
        """`union`, `search` and `find` at the start of a pipeline."""
        if word == "union":
            return self.union(at, piped=False)
        return self.search(at) if word == "search" else self.find(at)

    # ── filters and columns ─────────────────────────────────────────────────────────────────────────────────────────

    def where(self, at: Span) -> Operator:
        return Where(self._expression(), at)

    def extend(self, at: Span) -> Operator:
        return Extend(self.items(), at)

    def project(self, at: Span) -> Operator:
        if self._r.is_mark("|", ";", ")") or self._r.now.type is Type.END:
            return Project((), at)
        return Project(self.items(), at)

    def project_away(self, at: Span) -> Operator:
        return ProjectNames("away", self._patterns(), at)

    def project_keep(self, at: Span) -> Operator:
        return ProjectNames("keep", self._patterns(), at)

    def project_reorder(self, at: Span) -> Operator:
        patterns: list[Pattern] = []
        directions: list[str] = []
        while True:
            patterns.append(self._pattern())
            word = self._r.is_word("asc", "desc", "granny")
            directions.append(self._r.hyphenated() if word else "")
            if not self._r.skip_mark(","):
                return ProjectNames("reorder", tuple(patterns), at, tuple(directions))

    def project_rename(self, at: Span) -> Operator:
        pairs: list[tuple[str, str, Span]] = []
        while True:
            place = self._r.at
            new = self._r.name("the new name")
            self._r.expect_mark("=", "and the present name")
            pairs.append((new, self._r.name("the present name"), place))
            if not self._r.skip_mark(","):
                return Rename(tuple(pairs), at)

    def distinct(self, at: Span) -> Operator:
        if self._r.is_mark("*"):
            return Distinct((Star(self._r.next().at),), at)
        found = [self._expression()]
        while self._r.skip_mark(","):
            found.append(self._expression())
        return Distinct(tuple(found), at)

    # ── order and number of rows ────────────────────────────────────────────────────────────────────────────────────

    def sort(self, at: Span) -> Operator:
        self._r.expect_word("by")
        return SortBy(self._sorts(), at)

    def top(self, at: Span) -> Operator:
        count = self._expression()
        self._r.expect_word("by")
        return Top(count, self._sorts(), at)

    def take(self, at: Span) -> Operator:
        return Take(self._expression(), at)

    def sample(self, at: Span) -> Operator:
        return Take(self._expression(), at, random=True)

    def count(self, at: Span) -> Operator:
        name = "Count"
        if self._r.skip_word("as"):
            name = self._r.name()
        return Count(at, name)

    def top_nested(self, at: Span) -> Operator:
        levels = [self._nested_level()]
        while self._r.skip_mark(","):
            if self._r.hyphenated() != "top-nested":
                raise self._r.expected("`top-nested`")
            levels.append(self._nested_level())
        return TopNested(tuple(levels), at)

    def _nested_level(self) -> NestedLevel:
        count = None if self._r.is_word("of") else self._expression()
        self._r.expect_word("of")
        by = self.item()
        others = None
        if self._r.skip_word("with"):
            self._r.expect_word("others")
            self._r.expect_mark("=")
            others = self._expression()
        self._r.expect_word("by")
        measure = self.item()
        descending = not self._r.skip_word("asc")
        if descending:
            self._r.skip_word("desc")
        return NestedLevel(count, by, others, measure, descending)

    # ── groups ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def summarize(self, at: Span) -> Operator:
        aggregates: tuple[Item, ...] = ()
        if not self._r.is_word("by"):
            aggregates = self.items()
        by: tuple[Item, ...] = ()
        if self._r.skip_word("by"):
            self._skip_hints()
            by = self.items()
        return Summarize(aggregates, by, at)

    def make_series(self, at: Span) -> Operator:
        if self._r.option(("kind",)):
            self._r.next()
        aggregates = [self._series_item()]
        while self._r.skip_mark(","):
            aggregates.append(self._series_item())
        self._r.expect_word("on")
        on = self._expression()
        if isinstance(on, Listed):
            raise unsupported("make-series `in range(…)`", on.at, "write `from … to … step …`")
        start = self._expression() if self._r.skip_word("from") else None
        stop = self._expression() if self._r.skip_word("to") else None
        self._r.expect_word("step")
        step = self._expression()
        by = self.items() if self._r.skip_word("by") else ()
        return MakeSeries(tuple(aggregates), on, start, stop, step, by, at)

    def _series_item(self) -> tuple[Item, Expr | None]:
        item = self.item()
        default = self._expression() if self._r.option(("default",)) else None
        return item, default

    # ── several tables ──────────────────────────────────────────────────────────────────────────────────────────────

    def join(self, at: Span, *, lookup: bool = False) -> Operator:
        kind = "leftouter" if lookup else "innerunique"
        self._skip_hints()
        if self._r.option(("kind",)):
            kind = self._r.name("a kind of join")
            if kind not in (("leftouter", "inner") if lookup else JOIN_KINDS):
                self._r.back_to(self._r.place() - 1)
                raise self._r.expected("a kind of join", hint=", ".join(JOIN_KINDS))
        self._skip_hints()
        right = self._table()
        self._r.expect_word("on")
        on = [self._expression()]
        while self._r.skip_mark(","):
            on.append(self._expression())
        return Join(kind, right, tuple(on), at, lookup)

    def lookup(self, at: Span) -> Operator:
        return self.join(at, lookup=True)

    def union(self, at: Span, *, piped: bool = True) -> Union:
        kind, source, fuzzy = "outer", None, False
        while option := self._r.option(("kind", "withsource", "with_source", "isfuzzy")):
            if option == "kind":
                kind = self._r.expect_word("inner", "outer").text
            elif option == "isfuzzy":
                fuzzy = self._r.expect_word("true", "false").text == "true"
            else:
                source = self._r.name()
            self._skip_hints()
        tables: list[Expr | None] = [None] if piped else []
        tables.append(self._table())
        while self._r.skip_mark(","):
            tables.append(self._table())
        return Union(tuple(tables), at, kind, source, fuzzy)

    def search(self, at: Span, *, piped: bool = False) -> Search:
        cased = False
        if self._r.option(("kind",)):
            cased = self._r.expect_word("case_sensitive", "case_insensitive", "default").text == "case_sensitive"
        tables: list[Expr] = []
        if not piped and self._r.is_word("in") and self._r.ahead().text == "(":
            self._r.next()
            tables = self._table_list()
        return Search(self._expression(), tuple(tables), cased, at)

    def search_piped(self, at: Span) -> Operator:
        return self.search(at, piped=True)

    def find(self, at: Span) -> Find:
        source = "source_"
        while option := self._r.option(("withsource", "with_source", "datascope")):
            word = self._r.name()
            source = source if option == "datascope" else word
        tables: list[Expr] = []
        if self._r.is_word("in") and self._r.ahead().text == "(":
            self._r.next()
            tables = self._table_list()
        self._r.expect_word("where")
        predicate = self._expression()
        columns: tuple[Item, ...] = ()
        if self._r.skip_word("project"):
            columns = self.items()
        elif self._r.is_word("project") or self._r.is_mark("-"):
            raise self._r.expected("`project`")
        return Find(predicate, tuple(tables), columns, source, at)

    # ── values into rows and columns ────────────────────────────────────────────────────────────────────────────────

    def mv_expand(self, at: Span) -> Operator:
        index, array = None, False
        while option := self._r.option(("with_itemindex", "bagexpansion", "kind")):
            word = self._r.name()
            index = word if option == "with_itemindex" else index
            array = array or (option != "with_itemindex" and word == "array")
        items = self._expanded()
        limit = self._expression() if self._r.skip_word("limit") else None
        return MvExpand(items, at, index, limit, array)

    def mv_apply(self, at: Span) -> Operator:
        index = self._r.name() if self._r.option(("with_itemindex",)) else None
        items = self._expanded()
        limit = self._expression() if self._r.skip_word("limit") else None
        self._r.expect_word("on")
        self._r.expect_mark("(", "and the operators to apply")
        on = [self._parser.operator()]
        on += self._parser.operators()
        self._r.expect_mark(")", "to end mv-apply")
        return MvApply(items, tuple(on), at, index, limit)

    def parse(self, at: Span, *, only_matching: bool = False) -> Operator:
        kind, flags = "simple", ""
        while option := self._r.option(("kind", "flags")):
            if option == "kind":
                kind = self._r.expect_word("simple", "regex", "relaxed").text
            else:
                flags = self._r.name()
        expr = self._expression()
        self._r.expect_word("with")
        parts: list[ParsePart] = []
        while not self._r.is_mark("|", ";", ")", "}") and self._r.now.type is not Type.END:
            parts.append(self._parse_part())
        return Parse(expr, tuple(parts), at, kind, flags, only_matching)

    def parse_where(self, at: Span) -> Operator:
        return self.parse(at, only_matching=True)

    def parse_kv(self, at: Span) -> Operator:
        expr = self._expression()
        self._r.expect_word("as")
        columns = self._r.columns()
        options: list[tuple[str, Json]] = []
        if self._r.skip_word("with"):
            self._r.expect_mark("(")
            while not self._r.is_mark(")"):
                name = self._r.name("an option")
                self._r.expect_mark("=")
                token = self._r.next()
                options.append((name, token.value if token.type is Type.STRING else token.text == "true"))
                if not self._r.skip_mark(","):
                    break
            self._r.expect_mark(")")
        return ParseKv(expr, columns, tuple(options), at)

    def serialize(self, at: Span) -> Operator:
        if self._r.now.type is Type.NAME or self._r.is_mark("["):
            return Serialize(self.items(), at)
        return Serialize((), at)

    # ── the rest ────────────────────────────────────────────────────────────────────────────────────────────────────

    def invoke(self, at: Span) -> Operator:
        return Invoke(self._called(), at)

    def evaluate(self, at: Span) -> Operator:
        self._skip_hints()
        call = self._called()
        columns = self._r.columns() if self._r.skip_mark(":") else ()
        return Evaluate(call, columns, at)

    def _called(self) -> Call:
        at = self._r.at
        found = self._parser.expressions.operand()
        if not isinstance(found, Call):
            raise KqlError("expected a call, such as name(…)", at)
        return found

    def as_(self, at: Span) -> Operator:
        self._r.option(("hint",))
        return As(self._r.name(), at)

    def getschema(self, at: Span) -> Operator:
        return GetSchema(at)

    def render(self, at: Span) -> Operator:
        chart = self._r.name("a kind of chart")
        while not self._r.is_mark("|", ";", "}") and self._r.now.type is not Type.END:
            self._r.next()
        return Render(chart, at)

    def union_piped(self, at: Span) -> Operator:
        return self.union(at)


OPERATORS: dict[str, Callable[[Operators, Span], Operator]] = {
    "as": Operators.as_, "count": Operators.count, "distinct": Operators.distinct, "evaluate": Operators.evaluate,
    "extend": Operators.extend, "filter": Operators.where, "getschema": Operators.getschema,
    "invoke": Operators.invoke, "join": Operators.join, "limit": Operators.take, "lookup": Operators.lookup,
    "make-series": Operators.make_series, "mv-apply": Operators.mv_apply, "mv-expand": Operators.mv_expand,
    "mvexpand": Operators.mv_expand, "order": Operators.sort, "parse": Operators.parse,
    "parse-kv": Operators.parse_kv, "parse-where": Operators.parse_where, "project": Operators.project,
    "project-away": Operators.project_away, "project-keep": Operators.project_keep,
    "project-rename": Operators.project_rename, "project-reorder": Operators.project_reorder,
    "render": Operators.render, "sample": Operators.sample, "search": Operators.search_piped,
    "serialize": Operators.serialize, "sort": Operators.sort, "summarize": Operators.summarize,
    "take": Operators.take, "top": Operators.top, "top-nested": Operators.top_nested,
    "union": Operators.union_piped, "where": Operators.where,
}  # fmt: skip

__all__ = ["JOIN_KINDS", "OPERATORS", "Literal", "Operators", "Sub"]
