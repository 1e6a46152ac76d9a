"""Which function lowers which operator."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from perilune.detection.kql import grouping, joining, parsing_texts, plugins, searching, series, shaping, unfolding
from perilune.detection.kql import syntax as s
from perilune.detection.kql.relations import Names, Relation

if TYPE_CHECKING:
    from perilune.detection.kql.compiler import Compiler

Lowered = Relation | tuple[Relation, Names]

LOWERINGS: dict[type, Callable[[Compiler, Relation, Any, Names], Lowered]] = {
    s.As: shaping.as_, s.Count: grouping.count, s.Distinct: grouping.distinct, s.Evaluate: plugins.evaluate,
    s.Extend: shaping.extend, s.GetSchema: shaping.getschema, s.Invoke: plugins.invoke, s.Join: joining.join,
    s.MakeSeries: series.make_series, s.MvApply: unfolding.mv_apply, s.MvExpand: unfolding.mv_expand,
    s.Parse: parsing_texts.parse, s.ParseKv: parsing_texts.parse_kv, s.Project: shaping.project,
    s.ProjectNames: shaping.project_names, s.Rename: shaping.rename, s.Render: shaping.render,
    s.Search: searching.search, s.Serialize: shaping.serialize, s.SortBy: shaping.sort,
    s.Summarize: grouping.summarize, s.Take: shaping.take, s.Top: shaping.top, s.TopNested: series.top_nested,
    s.Union: joining.union, s.Where: shaping.where,
}  # fmt: skip
