"""Expressions -> values: names are resolved, types checked, operators lowered."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlglot import exp

from perilune.detection.kql import comparing, terms
from perilune.detection.kql.aggregates import AGGREGATES
from perilune.detection.kql.convert import JSON_COLUMNS, coerce, convert, to_string
from perilune.detection.kql.errors import KqlError, Span, nearest, unsupported
from perilune.detection.kql.functions import FUNCTIONS, Args
from perilune.detection.kql.grouping import aggregate_value
from perilune.detection.kql.kinds import Kind
from perilune.detection.kql.refused import REFUSED_FUNCTIONS, REFUSED_PREFIXES
from perilune.detection.kql.relations import Lambda, Relation, Scope, unknown
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
    Star,
    Sub,
    TypeOf,
    Unary,
)
from perilune.detection.kql.values import (
    Search,
    Sql,
    Value,
    bool_value,
    case,
    cast,
    coalesce,
    constant,
    false,
    fn,
    joined,
    text,
    tried,
    true,
)

if TYPE_CHECKING:
    from perilune.detection.kql.compiler import Compiler

MAX_STEPS = 200_000  # expressions bound for one query, those in functions once for each call


class Scalars:
    """Binds the expressions of one query."""

    def __init__(self, compiler: Compiler) -> None:
        self._compiler = compiler
        self._steps = 0

    def value(self, expr: Expr, scope: Scope) -> Value:
        self._steps += 1
        if self._steps > MAX_STEPS:
            raise KqlError(f"the query needs more than {MAX_STEPS:,} expressions", expr.at)
        match expr:
            case Literal(kind, value):
                return constant(value, kind)
            case Name():
                return self._name(expr, scope)
            case Member() | Index():
                return self._path(expr, scope)
            case Call():
                return self.call(expr, scope)
            case Unary(op, of, at):
                found = self.value(of, scope)
                return comparing.negative(found, at) if op == "-" else found
            case Binary():
                return self._binary(expr, scope)
            case Logic():
                return self._logic(expr, scope)
            case Listed():
                return self._listed(expr, scope)
            case Between(of, low, high, negated, at):
                first, least, most = (self.value(each, scope) for each in (of, low, high))
                return comparing.within(first, least, most, at, negated=negated)
            case Sub():
                return self._compiler.scalar_of(expr.query, scope)
            case TypeOf(kind):
                return constant(kind.value, Kind.STRING)
            case Star(at):
                raise KqlError("`*` cannot stand here", at)

    def predicate(self, expr: Expr, scope: Scope) -> Value:
        """A condition: a bool, or a number that is one when it is not zero."""
        found = self.value(expr, scope)
        if found.kind is Kind.BOOL:
            return found
        if found.kind in (Kind.DYNAMIC, Kind.LONG, Kind.INT):
            return convert(found, Kind.BOOL)
        raise KqlError(f"a condition is a bool, not a {found.kind}", expr.at)

    def _name(self, expr: Name, scope: Scope) -> Value:
        found = scope.find(expr.name)
        if found is not None:
            return found
        bound = scope.names.get(expr.name)
        if isinstance(bound, Relation):
            return self._compiler.first_of(bound)
        if isinstance(bound, Lambda):
            raise KqlError(f"{expr.name} is a function", expr.at, hint=f"call it: {expr.name}()")
        if expr.name in ("$left", "$right"):
            raise KqlError(f"{expr.name} is followed by a column: {expr.name}.Name", expr.at)
        raise unknown("column", expr.name, expr.at, scope.known())

    # ── paths ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def _path(self, expr: Member | Index, scope: Scope) -> Value:
        if isinstance(expr, Member) and isinstance(expr.of, Name) and expr.of.name in ("$left", "$right"):
            return self._side(expr, expr.of.name, scope)
        base: Expr = expr
        steps: list[str | int | Value] = []
        while isinstance(base, Member | Index):
            steps.insert(0, base.name if isinstance(base, Member) else self._step(base, scope))
            base = base.of
        found = self.value(base, scope)
        if found.kind is Kind.STRING and found.name in JSON_COLUMNS:
            found = Value(found.sql, Kind.DYNAMIC, source=found.sql)
        if found.kind is not Kind.DYNAMIC:
            raise KqlError(f"a {found.kind} has no properties", expr.at, hint="parse_json() makes a dynamic of a text")
        return self._walk(found, steps)

    def _step(self, base: Index, scope: Scope) -> str | int | Value:
        index = self.value(base.index, scope)
        if isinstance(index.const, str):
            return index.const
        if isinstance(index.const, int) and not isinstance(index.const, bool):
            return index.const
        if index.kind not in (Kind.STRING, Kind.LONG, Kind.INT, Kind.DYNAMIC):
            raise KqlError(f"an index is a long or a string, not a {index.kind}", base.at)
        return index

    def _side(self, expr: Member, side: str, scope: Scope) -> Value:
        relation = scope.left if side == "$left" else scope.right
        if relation is None:
            raise KqlError(f"{side} belongs into the `on` of a join", expr.at)
        return relation.get(expr.name, expr.at).value("l" if side == "$left" else "r")

    def _walk(self, found: Value, steps: list[str | int | Value]) -> Value:
        """Constant steps become one JSON path; a text is then not parsed into a dynamic first."""
        sql, source, path = found.sql, found.source, "$"
        for step in steps:
            if isinstance(step, str):
                path += '."' + step.replace("\\", "\\\\").replace('"', '\\"') + '"'
            elif isinstance(step, int):
                path += f"[{step}]" if step >= 0 else f"[#{step}]"
            else:
                sql, source, path = self._extract(sql, source, path), None, "$"
                index = step.sql if step.kind is not Kind.DYNAMIC else fn("json_extract_string", step.sql, text("$"))
                sql = cast(fn("kql_step", sql, cast(index, "VARCHAR")), "JSON")
        if path != "$":
            sql = self._extract(sql, source, path)
        return Value(sql, Kind.DYNAMIC)

    def _extract(self, sql: Sql, source: Sql | None, path: str) -> Sql:
        if path == "$":
            return sql
        if source is not None:
            found = case((fn("json_valid", source), fn("json_extract", source, text(path))))
        else:
            found = fn("json_extract", sql, text(path))
        return fn("nullif", found, cast(text("null"), "JSON"))

    # ── operators ───────────────────────────────────────────────────────────────────────────────────────────────────

    def _binary(self, expr: Binary, scope: Scope) -> Value:
        if isinstance(expr.left, Star):
            return self._any_column(expr, scope)
        left, right = self.value(expr.left, scope), self.value(expr.right, scope)
        op, at = expr.op, expr.at
        match op:
            case "==" | "!=":
                return comparing.equal(left, right, at, negated=op == "!=")
            case "<" | "<=" | ">" | ">=":
                return comparing.ordered(op, left, right, at)
            case "+" | "-" | "*" | "/" | "%":
                return comparing.arithmetic(op, left, right, at)
            case "=~" | "!~":
                sides = coerce(left, Kind.STRING, at, f"`{op}`"), coerce(right, Kind.STRING, at, f"`{op}`")
                return comparing.same_text(*sides, negated=op == "!~")
            case "matches regex":
                return self._regex(left, right, at)
        return self._text(op, left, right, at)

    def _text(self, op: str, left: Value, right: Value, at: Span) -> Value:
        how = terms.PREDICATES[op.removeprefix("!")]
        left, right = self._as_text(left), coerce(right, Kind.STRING, at, f"`{op}`")
        if isinstance(right.const, str):
            found = terms.any_of(left, [right.const], how)
        else:
            found = terms.varying(left, right, how)
        return terms.negated(found) if op.startswith("!") else found

    def _as_text(self, value: Value) -> Value:
        """Text operators take any value; a dynamic is searched as its JSON, as Kusto does."""
        return value if value.kind is Kind.STRING else to_string(value)

    def _regex(self, left: Value, right: Value, at: Span) -> Value:
        left = self._as_text(left)
        if isinstance(right.const, str):
            check_regex(right.const, at)
            search = Search(left.sql, right.const, cased=True)
            return Value(terms.matches(left.sql, right.const, cased=True), Kind.BOOL, False, search=search)
        right = coerce(right, Kind.STRING, at, "`matches regex`")
        return bool_value(coalesce(tried(fn("regexp_matches", left.sql, right.sql)),
                                   false()))  # fmt: skip

    def _any_column(self, expr: Binary, scope: Scope) -> Value:
        """`* has "x"`: any column of text."""
        if scope.relation is None:
            raise KqlError("`*` cannot stand here", expr.at)
        columns = [one for one in scope.relation.shown if one.kind in (Kind.STRING, Kind.DYNAMIC, Kind.GUID)]
        found = [self._binary(Binary(expr.op, Name(one.name, expr.at), expr.right, expr.at), scope) for one in columns]
        return bool_value(joined(exp.Or, [coalesce(one.sql, false()) for one in found]) if found else false())

    def _logic(self, expr: Logic, scope: Scope) -> Value:
        parts = [self.predicate(each, scope) for each in expr.of]
        if expr.op == "or":
            parts = terms.join_searches(parts)
        node = exp.Or if expr.op == "or" else exp.And
        search = parts[0].search if len(parts) == 1 else None
        nullable = any(part.nullable for part in parts)
        return Value(joined(node, [part.sql for part in parts]), Kind.BOOL, nullable, search=search)

    def _listed(self, expr: Listed, scope: Scope) -> Value:
        op = expr.op.removeprefix("!")
        negated = expr.op.startswith("!")
        left = self.value(expr.left, scope) if not isinstance(expr.left, Star) else None
        if left is None:
            raise unsupported(f"`* {expr.op}`", expr.at, "name the columns, or use `search`")
        if len(expr.items) == 1 and (table := self._compiler.table_like(expr.items[0], scope)):
            if op == "in":
                return self._compiler.is_in(left, table, expr.at, negated=negated)
            return self._in_array(op, left, self._compiler.gathered(table), negated)
        items = self._items(expr, scope)
        if isinstance(items, Value):
            return self._in_array(op, left, items.sql, negated)
        if op in ("in", "in~"):
            return comparing.one_of(left, items, expr.at, cased=op == "in", negated=negated)
        needles = [coerce(item, Kind.STRING, expr.at, f"`{expr.op}`") for item in items]
        found = self._terms(op, self._as_text(left), needles)
        return terms.negated(found) if negated else found

    def _terms(self, op: str, left: Value, needles: list[Value]) -> Value:
        how = terms.PREDICATES["has"]
        fixed = [needle.const for needle in needles if isinstance(needle.const, str)]
        varying = [terms.varying(left, needle, how) for needle in needles if not isinstance(needle.const, str)]
        if op == "has_any":
            parts = ([terms.any_of(left, fixed, how)] if fixed else []) + varying
            node: type[exp.Connector] = exp.Or
        else:
            parts = [terms.any_of(left, [needle], how) for needle in dict.fromkeys(fixed)] + varying
            node = exp.And
        if not parts:
            return bool_value(true() if op == "has_all" else false())
        return parts[0] if len(parts) == 1 else bool_value(joined(node, [part.sql for part in parts]))

    def _items(self, expr: Listed, scope: Scope) -> list[Value] | Value:
        """The items, constant arrays among them taken apart; or the one computed array that is the list."""
        found: list[Value] = []
        for item in expr.items:
            value = self.value(item, scope)
            if value.kind is Kind.DYNAMIC and isinstance(value.const, list):
                found += [constant(each, _kind_of(each)) for each in value.const]
            elif value.kind is Kind.DYNAMIC and not value.is_const:
                if len(expr.items) > 1:
                    raise unsupported(f"`{expr.op}` over a computed array and other items", expr.at)
                return value
            else:
                found.append(value)
        return found

    def _in_array(self, op: str, left: Value, array: Sql, negated: bool) -> Value:
        """The list is known only while the query runs: a JSON array, mostly the same one for every row."""
        if op in ("in", "in~"):
            subject = to_string(left).sql
            if op == "in~":
                subject, array = fn("lower", subject), fn("lower", cast(array, "VARCHAR"))
            items = fn("from_json", array, text('["VARCHAR"]'))
            found = bool_value(coalesce(fn("list_contains", items, subject), false()))
        else:
            found = bool_value(fn("kql_has_terms", self._as_text(left).sql, cast(array, "VARCHAR"), text(op)))
        return terms.negated(found) if negated else found

    # ── calls ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def call(self, expr: Call, scope: Scope) -> Value:
        bound = scope.names.get(expr.name)
        if isinstance(bound, Lambda):
            return self._compiler.applied_scalar(bound, expr, scope)
        if expr.name == "toscalar":
            if len(expr.args) != 1:
                raise KqlError("toscalar() takes one query", expr.at)
            return self._compiler.scalar(expr.args[0], scope)
        if scope.aggregating and expr.name in AGGREGATES:
            return aggregate_value(self._compiler, expr, scope)
        function = FUNCTIONS.get(expr.name)
        if function is None:
            raise self._unknown_function(expr, scope)
        if expr.named:
            raise KqlError(f"{expr.name}() takes no argument by name", expr.at)
        return function(Args(expr.name, expr.args, expr.at, scope, self._compiler))

    def _unknown_function(self, expr: Call, scope: Scope) -> KqlError:
        name = expr.name
        if name in REFUSED_FUNCTIONS:
            return unsupported(f"the function {name}()", expr.at, REFUSED_FUNCTIONS[name])
        for prefix, why in REFUSED_PREFIXES.items():
            if name.startswith(prefix):
                return unsupported(f"the function {name}()", expr.at, why)
        if name in AGGREGATES:
            return KqlError(f"{name}() is an aggregate: it belongs into summarize", expr.at)
        known = [*FUNCTIONS, *(n for n, b in scope.names.bound.items() if isinstance(b, Lambda))]
        return KqlError(f"there is no function {name}()", expr.at, hint=nearest(name, known))


def check_regex(pattern: str, at: Span) -> None:
    """Says at compile time what RE2 would say of a pattern while the query runs."""
    import re2  # type: ignore[import-untyped]

    options = re2.Options()
    options.log_errors = False
    options.max_mem = 8 << 20
    try:
        re2.compile(pattern, options)
    except re2.error as error:
        reason = error.args[0].decode(errors="replace") if isinstance(error.args[0], bytes) else str(error.args[0])
        hint = "look-around and back-references do not exist in RE2, which Kusto uses" if "(?" in pattern else None
        raise KqlError(f"the regular expression is wrong: {reason}", at, hint=hint) from None


def _kind_of(value: object) -> Kind:
    match value:
        case bool():
            return Kind.BOOL
        case int():
            return Kind.LONG
        case float():
            return Kind.REAL
        case str():
            return Kind.STRING
    return Kind.DYNAMIC


__all__ = ["Scalars", "check_regex"]
