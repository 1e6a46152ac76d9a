"""parse, parse-where and parse-kv: columns out of a text."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from sqlglot import exp

from perilune.detection.kql.convert import convert, to_string
from perilune.detection.kql.errors import KqlError
from perilune.detection.kql.kinds import Kind
from perilune.detection.kql.relations import Column, Names, Relation, Scope
from perilune.detection.kql.scalars import check_regex
from perilune.detection.kql.shaping import with_columns
from perilune.detection.kql.syntax import Parse, ParseKv, ParsePart
from perilune.detection.kql.terms import escape
from perilune.detection.kql.values import Value, coalesce, column, dumps, fn, text

if TYPE_CHECKING:
    from perilune.detection.kql.compiler import Compiler

_TYPED = {
    Kind.LONG: r"[+-]?\d+",
    Kind.INT: r"[+-]?\d+",
    Kind.REAL: r"[+-]?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?",
    Kind.BOOL: r"(?i:true|false|0|1)",
}
_GROUP = re.compile(r"((?:^|[^\\])(?:\\\\)*)\((?!\?)")
_KV_OPTIONS = {"pair_delimiter": " ", "kv_delimiter": "=", "quote": "", "escape": "", "greedy": False}


def parse(compiler: Compiler, relation: Relation, tree: Parse, names: Names) -> Relation:
    subject = to_string(compiler.scalars.value(tree.expr, Scope(names, relation)))
    pattern = pattern_of(tree)
    check_regex(pattern, tree.at)
    if tree.only_matching:
        relation = compiler.filtered(relation, fn("regexp_matches", subject.sql, text(pattern)))
    wanted = [part for part in tree.parts if part.name]
    if not wanted:
        return relation
    groups = exp.Array(expressions=[text(f"g{n}") for n in range(len(wanted))])
    found = exp.Alias(
        this=fn("regexp_extract", subject.sql, text(pattern), groups),
        alias=exp.to_identifier("parse_found", quoted=True),
    )
    hidden = Column("parse_found", Kind.STRING, hidden=True, sql="parse_found")
    select = exp.select("*", found).from_(relation.sql)
    step = replace(compiler.emit(select, (*relation.columns, hidden), relation), sorted=relation.sorted)
    values: list[tuple[str, Value]] = []
    for n, part in enumerate(wanted):
        group = coalesce(fn("struct_extract", column("parse_found"), text(f"g{n}")), text(""))
        values.append((str(part.name), convert(Value(group, Kind.STRING, False), part.kind)))
    done = with_columns(compiler, step, values)
    kept = [one for one in done.columns if one.name != "parse_found"]
    select = exp.select(*[column(one.physical) for one in kept]).from_(done.sql)
    return replace(compiler.emit(select, kept, done), sorted=relation.sorted)


def pattern_of(tree: Parse) -> str:
    """The parts as one pattern over the whole text.

    Columns take as little as they can; those of `kind=regex` as much, unless its flags have U.
    """
    if any(one.name and other.name and one.kind is other.kind is Kind.STRING
           for one, other in zip(tree.parts, tree.parts[1:], strict=False)):  # fmt: skip
        raise KqlError("two string columns need a text between them", tree.at)
    flags = "s"
    for flag in tree.flags:
        if flag not in "Uims":
            raise KqlError(f"unknown flag {flag!r}; known are U, i, m and s", tree.at)
        flags += flag if flag in "im" else ""
    greedy = tree.kind == "regex" and "U" not in tree.flags
    inner = "".join(_part(part, tree.kind, greedy) for part in tree.parts)
    return f"(?{flags})^{inner}$"


def _part(part: ParsePart, kind: str, greedy: bool) -> str:
    if part.text is not None:
        return f"(?:{_without_groups(part.text)})" if kind == "regex" else escape(part.text)
    if part.name is None:
        return ".*?"
    typed = _TYPED.get(part.kind) if kind != "relaxed" else None
    if typed:
        return rf"\s*({typed})\s*" if kind == "simple" else f"({typed})"
    return "(.*)" if greedy else "(.*?)"


def _without_groups(regex: str) -> str:
    """Groups of a delimiter of its own must not be counted with the columns'."""
    return _GROUP.sub(r"\1(?:", regex)


def parse_kv(compiler: Compiler, relation: Relation, tree: ParseKv, names: Names) -> Relation:
    subject = to_string(compiler.scalars.value(tree.expr, Scope(names, relation)))
    options: dict[str, object] = dict(_KV_OPTIONS)
    for name, value in tree.options:
        if name == "regex":
            raise KqlError(
                "parse-kv with a regex is not supported", tree.at, hint="use parse or extract()", refused=True
            )
        if name not in options:
            raise KqlError(f"unknown option {name!r} of parse-kv", tree.at, hint=", ".join(options))
        options[name] = value
    plan = text(dumps(options))  # type: ignore[arg-type]
    found = fn("kql_parse_kv", subject.sql, plan)
    values: list[tuple[str, Value]] = []
    for name, kind in tree.columns:
        path = '$."' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'
        held = coalesce(fn("json_extract_string", found, text(path)), text(""))
        values.append((name, convert(Value(held, Kind.STRING, False), kind)))
    return with_columns(compiler, relation, values)
