"""A query's tree -> one SELECT over common table expressions: statements, sources, and what operators share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from fnmatch import fnmatchcase
from itertools import islice

from sqlglot import exp

from perilune.detection.kql.catalog import ALIASES, LINEAGE, ROW, SENTINEL_CONSTANTS, TABLE, Catalog, Source
from perilune.detection.kql.comparing import alike
from perilune.detection.kql.convert import coerce
from perilune.detection.kql.errors import KqlError, Span, nearest, unsupported
from perilune.detection.kql.kinds import Kind
from perilune.detection.kql.parser import parse
from perilune.detection.kql.plans import Plan, mentioned, only
from perilune.detection.kql.relations import Bound, Column, Lambda, Names, Relation, Scope, physical, unknown
from perilune.detection.kql.scalars import Scalars
from perilune.detection.kql.syntax import (
    Call,
    DataTable,
    Expr,
    Find,
    Function,
    Index,
    Let,
    Literal,
    Member,
    Name,
    Operator,
    Pipeline,
    Print,
    Query,
    Range,
    Search,
    Sub,
    Union,
)
from perilune.detection.kql.values import (
    Sql,
    Value,
    binary,
    bool_value,
    cast,
    coalesce,
    column,
    false,
    fn,
    not_,
    null,
    text,
)

MAX_NODES = 20_000  # of SQL in one bound name or function result; doubling definitions end here
MAX_CALLS = 500  # of the query's own functions, those within functions included
MAX_WEIGHT = 64  # how often a source may be read by inlining before its rows are kept instead
MAX_TABLES = 2_000


Probe = Callable[[exp.Select], list[tuple[object, ...]]]


def compile_query(
    query: str, catalog: Catalog, now: datetime, probe: Probe | None = None, *, trace: bool = False
) -> Plan:
    """Parses and binds a query.

    Args:
        query: KQL.
        catalog: the tables that it may name.
        now: what `now()` is, naive and in UTC.
        probe: runs a SELECT, for the few operators whose columns depend on the rows.
        trace: let the statement end with two more columns, the table and the place of each row's event.
    """
    tree = parse(query)
    try:
        return Compiler(catalog, now, probe, trace=trace).plan(tree)
    except RecursionError:
        raise KqlError("the query is nested too deeply") from None


class Compiler:
    """Holds what one query's compilation builds up: the common table expressions, and the budgets."""

    def __init__(self, catalog: Catalog, now: datetime, probe: Probe | None = None, *, trace: bool = False) -> None:
        self.trace = trace
        self._probe = probe
        self.catalog = catalog
        self.now = now
        self.scalars = Scalars(self)
        self.volatile = False
        self.chart: str | None = None
        self._tables: list[tuple[str, exp.Select, bool]] = []
        self._weights: dict[str, int] = {}
        self._sources: dict[str, Relation] = {}
        self._calls = 0

    def plan(self, tree: Query) -> Plan:
        result = self._result(tree, Names())
        if isinstance(result, Value):
            result = self.single({"print_0": result})
        columns = result.shown
        traced = [result.find(name) for name in (TABLE, ROW)] if self.trace else []
        if None in traced:
            raise KqlError("the rows of this query lead back to no event", tree.at,
                           hint="summarize with arg_max(Timestamp, *) or by the event's own columns")  # fmt: skip
        chosen = [column(one.physical) for one in (*columns, *traced) if one is not None]
        select = exp.select(*chosen).from_(exp.to_identifier(result.sql))
        self._attach(select)
        used = tuple(self._sources)
        return Plan(select, tuple((one.name, one.kind) for one in columns), used, self.chart)

    def _attach(self, select: exp.Select) -> None:
        """Gives a statement every table expression that was made so far."""
        stored = {relation.sql for relation in self._sources.values()}
        wanted = mentioned([select, *(cte for name, cte, _ in self._tables if name not in stored)])
        for name, cte, kept in self._tables:
            cte = only(cte, wanted) if name in stored else cte.copy()
            select.with_(name, as_=cte, materialized=kept, copy=False)

    def probe(self, select: exp.Select, what: str, at: Span) -> list[tuple[object, ...]]:
        """Runs a SELECT over the tables so far, where columns depend on what the rows hold."""
        if self._probe is None:
            raise unsupported(what, at, "it needs data to know its columns; give files, or a schema behind a colon")
        self._attach(select)
        return self._probe(select)

    # ── tables ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def emit(self, select: exp.Select, columns: Sequence[Column], *sources: Relation, keep: bool = False) -> Relation:
        """A SELECT as a new table; `columns` say what it gives. It takes over the first source's partition."""
        if len(self._tables) >= MAX_TABLES:
            raise KqlError(f"the query needs more than {MAX_TABLES:,} steps")
        name = f"q{len(self._tables)}"
        weight = sum(self._weights.get(source.sql, 1) for source in sources) or 1
        kept = keep or self.volatile or weight > MAX_WEIGHT
        self.volatile = False
        self._weights[name] = 1 if kept else weight
        self._tables.append((name, select, kept))
        return Relation(name, tuple(columns), partition=sources[0].partition if sources else None)

    def keep(self, relation: Relation) -> Relation:
        """materialize(): the rows are computed once however often they are read."""
        return replace(self.emit(exp.select("*").from_(relation.sql), relation.columns, relation, keep=True),
                       sorted=relation.sorted)  # fmt: skip

    def select(self, relation: Relation, items: Sequence[tuple[Column, Sql]]) -> Relation:
        """The table of just these columns. Hidden ones follow where nothing took their name."""
        names = {one.name for one, _ in items}
        carried = [one for one in relation.columns if one.hidden and one.name not in names]
        columns = physical([one for one, _ in items] + carried)
        values = [sql for _, sql in items] + [column(one.physical) for one in carried]
        select = exp.select(*[aliased(sql, one.physical) for sql, one in zip(values, columns, strict=True)])
        found = self.emit(select.from_(relation.sql), columns, relation)
        return replace(found, sorted=relation.sorted)

    def lineage(self, relation: Relation) -> list[Column]:
        """The hidden columns that lead to the event, where they are asked for and still there."""
        found = [relation.find(name) for name in LINEAGE] if self.trace else []
        return [one for one in found if one is not None] if None not in found else []

    def filtered(self, relation: Relation, condition: Sql) -> Relation:
        found = self.emit(exp.select("*").from_(relation.sql).where(condition), relation.columns, relation)
        return replace(found, sorted=relation.sorted)

    def single(self, values: dict[str, Value]) -> Relation:
        """A table of one row."""
        columns = physical([Column(name, value.kind, value.nullable) for name, value in values.items()])
        items = [aliased(value.sql, one.physical) for value, one in zip(values.values(), columns, strict=True)]
        return self.emit(exp.select(*items), columns)

    # ── statements ──────────────────────────────────────────────────────────────────────────────────────────────────

    def _result(self, query: Query, names: Names) -> Relation | Value:
        for let in query.lets:
            names = names.having(let.name, self._bound(let, names))
        if isinstance(query.result, Pipeline):
            return self.pipeline(query.result, names)
        scope = Scope(names)
        return self.table_like(query.result, scope) or self.scalars.value(query.result, scope)

    def _bound(self, let: Let, names: Names) -> Bound:
        match let.value:
            case Function():
                return Lambda(let.value, names)
            case Pipeline():
                return self.pipeline(let.value, names)
        table = self.table_like(let.value, Scope(names))
        if table is not None:
            return table
        value = self.scalars.value(let.value, Scope(names))
        self._check_size(value, let.at)
        return replace(value, name=None)

    def _check_size(self, value: Value, at: Span) -> None:
        if len(list(islice(value.sql.walk(), MAX_NODES))) == MAX_NODES:
            raise KqlError("this definition grows too large", at, hint="keep parts of it in columns with extend")

    # ── pipelines ───────────────────────────────────────────────────────────────────────────────────────────────────

    def pipeline(self, tree: Pipeline, names: Names) -> Relation:
        relation, left = self._source(tree, names)
        return self.apply(relation, left, names)

    def apply(self, relation: Relation, operators: Sequence[Operator], names: Names) -> Relation:
        from perilune.detection.kql.lowering import LOWERINGS

        for operator in operators:
            lowered = LOWERINGS[type(operator)](self, relation, operator, names)
            relation, names = lowered if isinstance(lowered, tuple) else (lowered, names)
        return relation

    def _source(self, tree: Pipeline, names: Names) -> tuple[Relation, Sequence[Operator]]:
        from perilune.detection.kql import searching, sources

        match tree.source:
            case DataTable():
                return sources.datatable(self, tree.source, names), tree.operators
            case Range():
                return sources.range_(self, tree.source, names), tree.operators
            case Print():
                return sources.print_(self, tree.source, names), tree.operators
            case Union():
                from perilune.detection.kql.joining import union

                return union(self, None, tree.source, names), tree.operators
            case Search():
                return searching.search_tables(self, tree.source, names), tree.operators
            case Find():
                return searching.find(self, tree.source, names), tree.operators
        return self.table(tree.source, Scope(names)), tree.operators

    def table(self, expr: Expr, scope: Scope) -> Relation:
        """What must be a table."""
        found = self.table_like(expr, scope)
        if found is not None:
            return found
        if isinstance(expr, Name):
            known = [*self.catalog.sources, *(n for n, b in scope.names.bound.items() if isinstance(b, Relation))]
            raise KqlError(f"there is no table {expr.name!r}", expr.at, hint=nearest(expr.name, known))
        if isinstance(expr, Member | Index):
            return self.table(expr.of, scope)  # `cluster(…).database(…).T`, whose first part says that it is refused
        if isinstance(expr, Call):
            self.scalars.call(expr, scope)  # its own error, if it is none, says more
        raise KqlError("expected a table", expr.at)

    def table_like(self, expr: Expr, scope: Scope) -> Relation | None:
        """The table that an expression names, or None where it is a scalar."""
        if isinstance(expr, Sub):
            return self.pipeline(expr.query, scope.names)
        if isinstance(expr, Name):
            if scope.relation is not None and scope.relation.find(expr.name):
                return None
            bound = scope.names.get(expr.name)
            if bound is not None:
                return self._bound_table(bound, expr)
            source = self.catalog.get(expr.name)
            return self._source_table(source) if source else None
        return self._called_table(expr, scope) if isinstance(expr, Call) else None

    def _bound_table(self, bound: Bound, expr: Name) -> Relation | None:
        if isinstance(bound, Lambda):
            found = self._applied(bound, Call(expr.name, (), expr.at), Scope(Names()), None)
            return found if isinstance(found, Relation) else None
        return bound if isinstance(bound, Relation) else None

    def _called_table(self, expr: Call, scope: Scope) -> Relation | None:
        bound = scope.names.get(expr.name)
        if isinstance(bound, Lambda):
            found = self._applied(bound, expr, scope, None)
            return found if isinstance(found, Relation) else None
        if expr.name == "materialize" and len(expr.args) == 1:
            return self.keep(self.table(expr.args[0], scope))
        if expr.name == "table" and expr.args:
            name = self.scalars.value(expr.args[0], scope)
            if not isinstance(name.const, str):
                raise KqlError("table() takes a constant name", expr.at)
            return self.table(Name(name.const, expr.at), scope)
        return None

    def _source_table(self, source: Source) -> Relation:
        if source.name not in self._sources:
            self._sources[source.name] = self._read(source)
        return self._sources[source.name]

    def _read(self, source: Source) -> Relation:
        """Every declared column; one that the data lack is a constant null, which costs nothing."""
        items: list[tuple[Column, Sql]] = []
        for name, kind in source.columns:
            one = Column(name, kind, nullable=name not in source.whole)
            items.append((one, _stored(source, name, kind)))
        names = {name for name, _ in source.columns}
        for alias, original in ALIASES.items():
            if original in names and alias not in names:
                kind = dict(source.columns)[original]
                items.append((Column(alias, kind, original not in source.whole, hidden=True),
                              _stored(source, original, kind)))  # fmt: skip
        items += [
            (Column(name, Kind.STRING, False, hidden=True), text(source.name if name in ("Type", TABLE) else ""))
            for name in (*SENTINEL_CONSTANTS, "Type", TABLE)
            if name not in names
        ]
        if self.trace:
            place = column(ROW) if source.filled else null(Kind.LONG)
            items.append((Column(ROW, Kind.LONG, False, hidden=True), place))
        columns = physical([one for one, _ in items])
        select = exp.select(*[aliased(sql, one.physical) for (_, sql), one in zip(items, columns, strict=True)])
        if not source.filled:  # nothing was read for it, so nothing is registered under its name
            return self.emit(select.where(false()), columns)
        return self.emit(select.from_(exp.to_identifier(source.name, quoted=True)), columns)

    # ── functions of the query ──────────────────────────────────────────────────────────────────────────────────────

    def applied_scalar(self, bound: Lambda, call: Call, scope: Scope) -> Value:
        found = self._applied(bound, call, scope, None)
        value = found if isinstance(found, Value) else self.first_of(found)
        self._check_size(value, call.at)
        return value

    def invoked(self, bound: Lambda, call: Call, piped: Relation, names: Names) -> Relation:
        """`T | invoke f(…)`: the piped table is the first argument."""
        found = self._applied(bound, call, Scope(names), piped)
        if isinstance(found, Value):
            raise KqlError(f"{call.name}() gives a {found.kind}, not a table", call.at)
        return found

    def _applied(self, bound: Lambda, call: Call, scope: Scope, piped: Relation | None) -> Relation | Value:
        self._calls += 1
        if self._calls > MAX_CALLS:
            raise KqlError(f"more than {MAX_CALLS} calls of the query's own functions", call.at)
        names = bound.scope
        parameters = list(bound.function.parameters)
        if piped is not None:
            if not parameters or parameters[0].kind is not None:
                raise KqlError(f"the first parameter of {call.name}() is no table", call.at)
            names = names.having(parameters.pop(0).name, piped)
        given = dict(call.named)
        if len(call.args) > len(parameters) or set(given) - {one.name for one in parameters}:
            raise KqlError(f"{call.name}() takes {len(parameters)} arguments", call.at)
        for number, parameter in enumerate(parameters):
            argument = call.args[number] if number < len(call.args) else given.get(parameter.name, parameter.default)
            if argument is None:
                raise KqlError(f"{call.name}() needs its argument {parameter.name}", call.at)
            if parameter.kind is None:
                names = names.having(parameter.name, self.table(argument, scope))
            else:
                value = self.scalars.value(argument, scope)
                what = f"{parameter.name} of {call.name}()"
                names = names.having(parameter.name, replace(coerce(value, parameter.kind, call.at, what), name=None))
        return self._result(bound.function.body, names)

    # ── tables as values ────────────────────────────────────────────────────────────────────────────────────────────

    def scalar(self, expr: Expr, scope: Scope) -> Value:
        """toscalar(): the first column of the first row."""
        table = self.table_like(expr, replace(scope, relation=None))
        return self.first_of(table) if table is not None else self.scalars.value(expr, scope)

    def scalar_of(self, query: Pipeline, scope: Scope) -> Value:
        return self.first_of(self.pipeline(query, scope.names))

    def first_of(self, relation: Relation) -> Value:
        one = relation.shown[0]
        sql: Sql = exp.Subquery(this=exp.select(column(one.physical)).from_(relation.sql).limit(1))
        if one.kind is Kind.STRING:
            sql = coalesce(sql, text(""))
        return Value(sql, one.kind, one.kind is not Kind.STRING)

    def gathered(self, relation: Relation) -> Sql:
        """The distinct values of a table's first column as one JSON array."""
        one = relation.shown[0]
        values = exp.Anonymous(this="list", expressions=[exp.Distinct(expressions=[column(one.physical)])])
        found = exp.select(fn("to_json", values)).from_(relation.sql)
        return coalesce(exp.Subquery(this=found), cast(text("[]"), "JSON"))

    def is_in(self, of: Value, table: Relation, at: Span, *, negated: bool) -> Value:
        """`x in (T)`: the first column of a table is the list."""
        one = table.shown[0]
        left, right, _ = alike(of, one.value(), at, "in")
        inner = exp.select(right.sql).from_(table.sql).where(not_(exp.Is(this=right.sql.copy(), expression=exp.Null())))
        found = coalesce(exp.In(this=left.sql, query=exp.Subquery(this=inner)), false())
        return bool_value(not_(found) if negated else found)

    def matching(self, pattern: str, at: Span, names: Names) -> list[tuple[str, Relation]]:
        """The tables whose name a pattern with * covers."""
        views = [(n, b) for n, b in names.bound.items() if isinstance(b, Relation) and fnmatchcase(n, pattern)]
        stored = [(n, s) for n, s in self.catalog.sources.items() if s.filled and fnmatchcase(n, pattern)]
        found = [*views, *((name, self._source_table(source)) for name, source in stored)]
        if not found:
            raise unknown("table", pattern, at, self.catalog.sources)
        return found


def aliased(sql: Sql, name: str) -> Sql:
    return exp.Alias(this=sql.copy(), alias=exp.to_identifier(name, quoted=True))


def _stored(source: Source, name: str, kind: Kind) -> Sql:
    if name not in source.filled:
        return null(kind)
    sql: Sql = column(name)
    if name in source.lists:
        return cast(fn("to_json", sql), "JSON")
    if kind is Kind.STRING and name not in source.whole:
        return coalesce(sql, text(""))
    return sql


__all__ = ["Compiler", "Literal", "Plan", "aliased", "binary", "compile_query", "unsupported"]
