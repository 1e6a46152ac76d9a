"""The tree of a parsed query. Every node knows where it stands; nothing here knows a table or a type's meaning.

Nodes are compared by identity: nothing needs more, and forty generated comparisons cost 30 ms at every start.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from perilune.detection.kql.errors import Span
from perilune.detection.kql.kinds import Json, Kind


@dataclass(frozen=True, slots=True, eq=False)
class Literal:
    """`value` is None for a typed null. Datetimes are `datetime`, timespans ticks, dynamics JSON."""

    kind: Kind
    value: object
    at: Span


@dataclass(frozen=True, slots=True, eq=False)
class Name:
    name: str
    at: Span


@dataclass(frozen=True, slots=True, eq=False)
class Member:
    """`of.name`"""

    of: Expr
    name: str
    at: Span


@dataclass(frozen=True, slots=True, eq=False)
class Index:
    """`of[index]`"""

    of: Expr
    index: Expr
    at: Span


@dataclass(frozen=True, slots=True, eq=False)
class Call:
    """`name(args)`; `named` are the arguments given as `name=value`."""

    name: str
    args: tuple[Expr, ...]
    at: Span
    named: tuple[tuple[str, Expr], ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Unary:
    """`-x` or `+x`"""

    op: str
    of: Expr
    at: Span


@dataclass(frozen=True, slots=True, eq=False)
class Binary:
    op: str
    left: Expr
    right: Expr
    at: Span


@dataclass(frozen=True, slots=True, eq=False)
class Logic:
    """`and` / `or` over two or more operands; kept flat so that a long chain is no deep tree."""

    op: str
    of: tuple[Expr, ...]
    at: Span


@dataclass(frozen=True, slots=True, eq=False)
class Listed:
    """`left op (items)`: in, !in, in~, has_any, has_all …"""

    op: str
    left: Expr
    items: tuple[Expr, ...]
    at: Span


@dataclass(frozen=True, slots=True, eq=False)
class Between:
    of: Expr
    low: Expr
    high: Expr
    negated: bool
    at: Span


@dataclass(frozen=True, slots=True, eq=False)
class Star:
    at: Span


@dataclass(frozen=True, slots=True, eq=False)
class TypeOf:
    """`typeof(long)`"""

    kind: Kind
    at: Span


@dataclass(frozen=True, slots=True, eq=False)
class Sub:
    """A pipeline used as a value or a source: `(T | take 1)`, `toscalar(T | count)`."""

    query: Pipeline
    at: Span


Expr = Literal | Name | Member | Index | Call | Unary | Binary | Logic | Listed | Between | Star | TypeOf | Sub


@dataclass(frozen=True, slots=True, eq=False)
class Item:
    """One of `extend`/`project`/`by`: an expression under the names it is given, or under its own."""

    names: tuple[str, ...]
    expr: Expr
    at: Span


@dataclass(frozen=True, slots=True, eq=False)
class Pattern:
    """A column name in which `*` stands for anything."""

    text: str
    at: Span


@dataclass(frozen=True, slots=True, eq=False)
class Sort:
    expr: Expr
    descending: bool
    nulls_first: bool
    at: Span


# ── sources ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True, eq=False)
class DataTable:
    columns: tuple[tuple[str, Kind], ...]
    values: tuple[Expr, ...]
    at: Span


@dataclass(frozen=True, slots=True, eq=False)
class Range:
    name: str
    start: Expr
    stop: Expr
    step: Expr
    at: Span


@dataclass(frozen=True, slots=True, eq=False)
class Print:
    items: tuple[Item, ...]
    at: Span


# ── operators ───────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True, eq=False)
class Where:
    predicate: Expr
    at: Span


@dataclass(frozen=True, slots=True, eq=False)
class Extend:
    items: tuple[Item, ...]
    at: Span


@dataclass(frozen=True, slots=True, eq=False)
class Project:
    items: tuple[Item, ...]
    at: Span


@dataclass(frozen=True, slots=True, eq=False)
class ProjectNames:
    """project-away, project-keep and project-reorder; `directions` beside each pattern for the last."""

    how: str
    patterns: tuple[Pattern, ...]
    at: Span
    directions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Rename:
    pairs: tuple[tuple[str, str, Span], ...]
    at: Span


@dataclass(frozen=True, slots=True, eq=False)
class Summarize:
    aggregates: tuple[Item, ...]
    by: tuple[Item, ...]
    at: Span


@dataclass(frozen=True, slots=True, eq=False)
class Distinct:
    columns: tuple[Expr, ...]
    at: Span


@dataclass(frozen=True, slots=True, eq=False)
class SortBy:
    keys: tuple[Sort, ...]
    at: Span


@dataclass(frozen=True, slots=True, eq=False)
class Top:
    count: Expr
    keys: tuple[Sort, ...]
    at: Span


@dataclass(frozen=True, slots=True, eq=False)
class NestedLevel:
    """One level of top-nested: the `count` biggest of `by` by `measure`, the rest under `others` if given."""

    count: Expr | None
    by: Item
    others: Expr | None
    measure: Item
    descending: bool


@dataclass(frozen=True, slots=True, eq=False)
class TopNested:
    levels: tuple[NestedLevel, ...]
    at: Span


@dataclass(frozen=True, slots=True, eq=False)
class Take:
    count: Expr
    at: Span
    random: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Count:
    at: Span
    name: str = "Count"


@dataclass(frozen=True, slots=True, eq=False)
class Join:
    """`on` are column names of both sides, or conditions over `$left` and `$right`."""

    kind: str
    right: Expr
    on: tuple[Expr, ...]
    at: Span
    lookup: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Union:
    """As an operator the piped table is the first of `tables`, written None."""

    tables: tuple[Expr | None, ...]
    at: Span
    kind: str = "outer"
    source: str | None = None
    fuzzy: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Expanded:
    names: tuple[str, ...]
    expr: Expr
    kind: Kind | None
    at: Span


@dataclass(frozen=True, slots=True, eq=False)
class MvExpand:
    items: tuple[Expanded, ...]
    at: Span
    index: str | None = None
    limit: Expr | None = None
    array: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class MvApply:
    items: tuple[Expanded, ...]
    on: tuple[Operator, ...]
    at: Span
    index: str | None = None
    limit: Expr | None = None


@dataclass(frozen=True, slots=True, eq=False)
class ParsePart:
    """A literal text, or a column with its type; `*` is a part with neither."""

    text: str | None
    name: str | None
    kind: Kind
    at: Span


@dataclass(frozen=True, slots=True, eq=False)
class Parse:
    expr: Expr
    parts: tuple[ParsePart, ...]
    at: Span
    kind: str = "simple"
    flags: str = ""
    only_matching: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class ParseKv:
    expr: Expr
    columns: tuple[tuple[str, Kind], ...]
    options: tuple[tuple[str, Json], ...]
    at: Span


@dataclass(frozen=True, slots=True, eq=False)
class Serialize:
    items: tuple[Item, ...]
    at: Span


@dataclass(frozen=True, slots=True, eq=False)
class MakeSeries:
    aggregates: tuple[tuple[Item, Expr | None], ...]
    on: Expr
    start: Expr | None
    stop: Expr | None
    step: Expr
    by: tuple[Item, ...]
    at: Span


@dataclass(frozen=True, slots=True, eq=False)
class Invoke:
    call: Call
    at: Span


@dataclass(frozen=True, slots=True, eq=False)
class Evaluate:
    call: Call
    columns: tuple[tuple[str, Kind], ...]
    at: Span


@dataclass(frozen=True, slots=True, eq=False)
class As:
    name: str
    at: Span


@dataclass(frozen=True, slots=True, eq=False)
class GetSchema:
    at: Span


@dataclass(frozen=True, slots=True, eq=False)
class Search:
    """As a source, over `tables` (all where none is named); as an operator, over the piped table."""

    predicate: Expr
    tables: tuple[Expr, ...]
    cased: bool
    at: Span


@dataclass(frozen=True, slots=True, eq=False)
class Find:
    predicate: Expr
    tables: tuple[Expr, ...]
    columns: tuple[Item, ...]
    source: str
    at: Span


@dataclass(frozen=True, slots=True, eq=False)
class Render:
    chart: str
    at: Span


Operator = (
    Where | Extend | Project | ProjectNames | Rename | Summarize | Distinct | SortBy | Top | TopNested | Take | Count
    | Join | Union | MvExpand | MvApply | Parse | ParseKv | Serialize | MakeSeries | Invoke | Evaluate | As | GetSchema
    | Search | Render
)  # fmt: skip
Source = Expr | DataTable | Range | Print | Union | Search | Find


@dataclass(frozen=True, slots=True, eq=False)
class Pipeline:
    source: Source
    operators: tuple[Operator, ...]
    at: Span


# ── statements ──────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True, eq=False)
class Parameter:
    """`kind` is None for a tabular one; `columns` are those that it must have."""

    name: str
    kind: Kind | None
    default: Expr | None
    columns: tuple[tuple[str, Kind], ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Function:
    parameters: tuple[Parameter, ...]
    body: Query
    at: Span


@dataclass(frozen=True, slots=True, eq=False)
class Let:
    name: str
    value: Expr | Pipeline | Function
    at: Span


@dataclass(frozen=True, slots=True, eq=False)
class Query:
    """Statements, of which the last is the result: a pipeline, or in a function's body perhaps a scalar."""

    lets: tuple[Let, ...]
    result: Expr | Pipeline
    at: Span = field(default=Span(0, 1, 1))
