"""invoke, and the plugins of evaluate: bag_unpack, pivot, narrow."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sqlglot import exp

from perilune.detection.kql.convert import convert, to_string
from perilune.detection.kql.errors import KqlError, nearest, unsupported
from perilune.detection.kql.grouping import Output, grouped
from perilune.detection.kql.kinds import Kind
from perilune.detection.kql.naming import own_name
from perilune.detection.kql.refused import REFUSED_PLUGINS
from perilune.detection.kql.relations import Column, Lambda, Names, Relation, Scope, physical, unknown
from perilune.detection.kql.shaping import refuse_in_apply
from perilune.detection.kql.syntax import Call, Evaluate, Expr, Invoke, Literal, Name
from perilune.detection.kql.values import Sql, Value, binary, cast, column, fn, text

if TYPE_CHECKING:
    from perilune.detection.kql.compiler import Compiler

PLUGINS = ("bag_unpack", "narrow", "pivot")
MAX_NEW_COLUMNS = 300
_JSON_KINDS = {"BIGINT": Kind.LONG, "UBIGINT": Kind.LONG, "DOUBLE": Kind.REAL, "BOOLEAN": Kind.BOOL,
               "VARCHAR": Kind.STRING}  # fmt: skip


def invoke(compiler: Compiler, relation: Relation, tree: Invoke, names: Names) -> Relation:
    bound = names.get(tree.call.name)
    if not isinstance(bound, Lambda):
        if tree.call.name == "FileProfile":
            raise unsupported("FileProfile()", tree.at, "it asks Microsoft for a file's prevalence")
        known = [name for name, one in names.bound.items() if isinstance(one, Lambda)]
        raise unknown("function", tree.call.name, tree.at, known)
    return compiler.invoked(bound, tree.call, relation, names)


def evaluate(compiler: Compiler, relation: Relation, tree: Evaluate, names: Names) -> Relation:
    refuse_in_apply(relation, "evaluate", tree.at)
    name = tree.call.name
    if name in REFUSED_PLUGINS:
        raise unsupported(f"the plugin {name}()", tree.at, REFUSED_PLUGINS[name])
    match name:
        case "bag_unpack":
            return _bag_unpack(compiler, relation, tree)
        case "narrow":
            return _narrow(compiler, relation)
        case "pivot":
            return _pivot(compiler, relation, tree, names)
    raise KqlError(f"there is no plugin {name}()", tree.at, hint=nearest(name, PLUGINS))


def _column(relation: Relation, expr: Expr) -> Column:
    if not isinstance(expr, Name):
        raise KqlError("expected a column", expr.at)
    return relation.get(expr.name, expr.at)


def _bag_unpack(compiler: Compiler, relation: Relation, tree: Evaluate) -> Relation:
    """Each name in a property bag becomes a column; which ones there are is found in the data first."""
    args = tree.call.args
    if not args:
        raise KqlError("bag_unpack() takes a column", tree.at)
    bag = _column(relation, args[0])
    if bag.kind is not Kind.DYNAMIC:
        raise KqlError(f"{bag.name} is a {bag.kind}, not a dynamic", tree.at, hint="extend it with parse_json() first")
    prefix = ""
    if len(args) > 1:
        if not isinstance(args[1], Literal) or not isinstance(args[1].value, str):
            raise KqlError("the prefix must be a constant text", args[1].at)
        prefix = args[1].value
    if len(args) > 2 or tree.call.named:
        raise unsupported("bag_unpack() with a rule for conflicts", tree.at)
    kept = [one for one in relation.shown if one.name != bag.name]
    if tree.columns:
        own = {one.name for one in kept}
        found = [(name, kind) for name, kind in tree.columns if name not in own]
    else:
        found = [(prefix + name, kind) for name, kind in _names_in(compiler, relation, bag, tree)]
    items: list[tuple[Column, Sql]] = [(one, column(one.physical)) for one in kept]
    taken = {one.name for one in kept}
    for name, kind in found:
        if name in taken:
            raise KqlError(f"bag_unpack() would make a second column {name!r}", tree.at, hint="give a prefix")
        path = '$."' + name.removeprefix(prefix).replace("\\", "\\\\").replace('"', '\\"') + '"'
        held = fn("nullif", fn("json_extract", bag.value().sql, text(path)), cast(text("null"), "JSON"))
        value = convert(Value(held, Kind.DYNAMIC), kind)
        items.append((Column(name, kind), value.sql))
    return compiler.select(replace(relation, columns=tuple(relation.shown)), items)


def _names_in(compiler: Compiler, relation: Relation, bag: Column, tree: Evaluate) -> list[tuple[str, Kind]]:
    keys = fn("unnest", fn("json_keys", bag.value().sql))
    step = exp.select(exp.Alias(this=keys, alias=exp.to_identifier("k")),
                      exp.Alias(this=bag.value().sql, alias=exp.to_identifier("b"))).from_(relation.sql)  # fmt: skip
    path = fn("concat", text('$."'), fn("replace", column("k"), text('"'), text('\\"')), text('"'))
    kind = fn("json_type", fn("json_extract", column("b"), path))
    select = exp.select(column("k"), exp.Alias(this=kind, alias=exp.to_identifier("t"))).distinct()
    select = select.from_(exp.Subquery(this=step, alias=exp.TableAlias(this=exp.to_identifier("s"))))
    kinds: dict[str, set[Kind]] = {}
    for row in compiler.probe(select, "evaluate bag_unpack() without a schema", tree.at):
        held = kinds.setdefault(str(row[0]), set())
        if row[1] not in (None, "NULL"):
            held.add(_JSON_KINDS.get(str(row[1]), Kind.DYNAMIC))
    _check_count(len(kinds), tree)
    return [(name, _one_kind(kinds[name])) for name in sorted(kinds)]


def _one_kind(kinds: set[Kind]) -> Kind:
    if len(kinds) == 1:
        return next(iter(kinds))
    return Kind.REAL if kinds == {Kind.LONG, Kind.REAL} else Kind.DYNAMIC if kinds else Kind.STRING


def _check_count(count: int, tree: Evaluate) -> None:
    if count > MAX_NEW_COLUMNS:
        raise KqlError(f"{tree.call.name}() would make {count:,} columns; the most is {MAX_NEW_COLUMNS}", tree.at)


def _narrow(compiler: Compiler, relation: Relation) -> Relation:
    """Every cell a row: the row's number, the column's name, the value as text."""
    parts = [exp.Tuple(expressions=[text(one.name), to_string(one.value()).sql]) for one in relation.shown]
    place = exp.Sub(this=exp.Window(this=fn("row_number")), expression=exp.Literal.number(1))
    numbered = exp.select("*", exp.Alias(this=place, alias=exp.to_identifier("narrow_row"))).from_(relation.sql)
    step = compiler.emit(numbered, relation.columns, relation)
    rows = exp.Array(expressions=[fn("row", *part.expressions) for part in parts])
    opened = exp.select(column("narrow_row"), exp.Alias(this=fn("unnest", rows), alias=exp.to_identifier("cell")))
    inner = exp.Subquery(this=opened.from_(step.sql), alias=exp.TableAlias(this=exp.to_identifier("s")))
    columns = (Column("Row", Kind.LONG), Column("Column", Kind.STRING), Column("Value", Kind.STRING))
    values = [cast(column("narrow_row"), "BIGINT"), fn("struct_extract", column("cell"), exp.Literal.number(1)),
              fn("struct_extract", column("cell"), exp.Literal.number(2))]  # fmt: skip
    items = [exp.Alias(this=sql, alias=exp.to_identifier(one.name, quoted=True))
             for sql, one in zip(values, columns, strict=True)]  # fmt: skip
    return compiler.emit(exp.select(*items).from_(inner), columns, relation)


def _pivot(compiler: Compiler, relation: Relation, tree: Evaluate, names: Names) -> Relation:
    """The values of one column become columns, each holding an aggregate of its rows."""
    args = tree.call.args
    if not args:
        raise KqlError("pivot() takes a column", tree.at)
    by = _column(relation, args[0])
    aggregate: Expr = args[1] if len(args) > 1 else Call("count", (), tree.at)
    used = {own_name(one) for one in aggregate.args} if isinstance(aggregate, Call) else set()
    kept = [_column(relation, one) for one in args[2:]] or [
        one for one in relation.shown if one.name != by.name and one.name not in used
    ]
    label = to_string(by.value()).sql
    select = exp.select(exp.Alias(this=label, alias=exp.to_identifier("v"))).distinct().from_(relation.sql)
    values = sorted(str(row[0]) for row in compiler.probe(select, "evaluate pivot() without a schema", tree.at))
    _check_count(len(values), tree)
    keys = [Output(one.name, one.value()) for one in kept]
    scope = replace(Scope(names, relation), aggregating=True)
    outputs = []
    for value in values:
        found = compiler.scalars.value(aggregate, scope)
        met = binary(exp.EQ, label, text(value))
        sql = found.sql.transform(lambda node, met=met: _only(node, met))
        outputs.append(Output(value, Value(sql, found.kind)))
    result = grouped(compiler, relation, keys, outputs)
    return replace(result, columns=physical(result.columns))


def _only(node: exp.Expression, met: Sql) -> exp.Expression:
    """Aggregates within the expression, each over the rows of one value."""
    from perilune.detection.kql.grouping import SQL_AGGREGATES

    is_aggregate = isinstance(node, exp.Count) or (
        isinstance(node, exp.Anonymous) and node.name.lower() in SQL_AGGREGATES
    )
    if not is_aggregate or isinstance(node.parent, exp.Filter):
        return node
    return exp.Filter(this=node.copy(), expression=exp.Where(this=met.copy()))
