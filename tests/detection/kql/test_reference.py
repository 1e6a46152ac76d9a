"""`docs/reference/kql.md` is generated: `python -m tests.detection.kql.test_reference` writes it, the test compares."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from perilune.detection.kql import refused
from perilune.detection.kql.aggregates import AGGREGATE_SIGNATURES
from perilune.detection.kql.catalog import standard
from perilune.detection.kql.compiler import MAX_CALLS, MAX_NODES, MAX_TABLES, compile_query
from perilune.detection.kql.elsewhere import NAMES
from perilune.detection.kql.errors import KqlError
from perilune.detection.kql.functions import SIGNATURES, Signature
from perilune.detection.kql.functions.base import count_words
from perilune.detection.kql.operators import JOIN_KINDS, OPERATORS
from perilune.detection.kql.parser import MAX_CELLS, MAX_LETS, MAX_OPERATORS
from perilune.detection.kql.plugins import PLUGINS
from perilune.detection.kql.reading import MAX_DEPTH
from perilune.detection.kql.running import Limits
from perilune.detection.kql.tokens import MAX_CHARACTERS, MAX_TOKENS
from perilune.model.tables import TABLES
from tests.conftest import CHECKOUT
from tests.detection.kql.build import NOW

PAGE = CHECKOUT / "docs" / "reference" / "kql.md"

INTRODUCTION = """# KQL

Generated from the engine's own tables.

`perilune kql QUERY PATHS…` runs a query of the Kusto Query Language over any log that Perilune reads. What a query
means is Microsoft's documentation; this page says which parts of the language there are, which are refused, and
where an answer may differ. A feature that is not listed is refused by name, with its line and column: no query is
answered by guessing.

## Where answers differ from Kusto

- Times are kept in microseconds; Kusto keeps ticks of 100 nanoseconds. The seventh digit is 0, and the last moment of
  a day is `23:59:59.999999`.
- `dcount()`, `percentile()` and their kin are exact; Kusto estimates.
- The items of `make_set()` come in order; Kusto promises none.
- `join` of the default kind `innerunique` keeps the first of the left rows with one key; Kusto keeps any.
- A JSON `null` within a dynamic is null for `isnull()`.
- Arithmetic of longs that overflows ends the query with an error; Kusto wraps around.
- `ingestion_time()` is the record's own time, since a file has no time of ingestion.
- `now()` stands still: it is `--now`, or the newest event's time where the data are older than a day.
- A text that `order by` or `<` compares is ordered by code points, without regard to any language.
- Two strings are alike for `=~` where their small letters are; German `ß` is not `ss`.
- Letters and digits that end a term (`has`) are Unicode's, of any script.
- `hint.…`, `set notruncation` and `render` change nothing.
"""


def page() -> str:
    return "\n".join([INTRODUCTION, *_tables(), *_operators(), *_functions(), *_refused(), *_limits()]) + "\n"


def _tables() -> Iterator[str]:
    yield from ("## Tables", "", "Filled by Perilune's readers:", "")
    for name, schema in TABLES.items():
        yield f"- `{name}`: {schema.row}"
    yield from ("", "Sentinel's `TimeGenerated` is Defender's `Timestamp`, and `Type` is the table's name.", "")
    yield from ("Known by their published columns, and always empty: " + ", ".join(f"`{n}`" for n in NAMES) + ".", "")


def _operators() -> Iterator[str]:
    yield from ("## Operators", "", ", ".join(f"`{name}`" for name in OPERATORS) + ".", "")
    yield from ("Sources: a table, `datatable`, `range`, `print`, `union`, `search`, `find`, a call, parentheses.", "")
    yield from ("Kinds of `join`: " + ", ".join(f"`{name}`" for name in JOIN_KINDS) + ".", "")
    yield from ("Plugins of `evaluate`: " + ", ".join(f"`{name}`" for name in PLUGINS) + ".", "")
    yield from (
        "Statements: `let` (scalars, dynamics, tables, functions), `declare query_parameters` with defaults.",
        "",
    )


def _functions() -> Iterator[str]:
    yield from ("## Scalar functions", "", *_signatures(SIGNATURES), "")
    yield from ("## Aggregates", "", *_signatures(AGGREGATE_SIGNATURES), "")


def _signatures(signatures: dict[str, Signature]) -> Iterator[str]:
    yield from ("| name | takes | gives |", "| --- | --- | --- |")
    for name in sorted(signatures):
        one = signatures[name]
        yield f"| `{name}` | {count_words(one.least, one.most)} | {one.about.strip()} |"


def _refused() -> Iterator[str]:
    yield from ("## Refused by name", "")
    for title, names in (
        ("Operators", refused.REFUSED_OPERATORS),
        ("Statements", refused.REFUSED_STATEMENTS),
        ("Plugins", refused.REFUSED_PLUGINS),
        ("Functions", refused.REFUSED_FUNCTIONS),
        ("Functions whose name begins with", refused.REFUSED_PREFIXES),
    ):
        yield from (f"### {title}", "", "| name | why, or what to use |", "| --- | --- |")
        yield from (f"| `{name}` | {why} |" for name, why in sorted(names.items()))
        yield ""


def _limits() -> Iterator[str]:
    limits = Limits()
    yield from ("## Budgets", "")
    yield from (
        f"- a query has at most {MAX_CHARACTERS:,} characters, {MAX_TOKENS:,} words and marks, {MAX_OPERATORS} "
        f"operators, {MAX_LETS} definitions, {MAX_CALLS} calls of its own functions and {MAX_TABLES:,} steps",
        f"- it is nested at most {MAX_DEPTH} levels deep; a definition comes to at most {MAX_NODES:,} nodes of SQL; a "
        f"datatable has at most {MAX_CELLS:,} cells",
        f"- it runs at most {limits.seconds:g} seconds in {limits.memory_mb:,} MB (`--timeout`, `--memory`)",
        f"- it gives at most {limits.rows:,} rows, and says so where there are more",
        "- it can open no file, load no extension, reach no network and see no variable of the process",
    )


def test_the_reference_is_current() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run: python -m tests.detection.kql.test_reference"


def refusals() -> Iterator[object]:
    for name in refused.REFUSED_OPERATORS:
        source = "externaldata(a:string)['x']" if name == "externaldata" else f"DeviceEvents | {name} x"
        yield pytest.param(source, name, id=f"operator {name}")
    for name in refused.REFUSED_STATEMENTS:
        yield pytest.param(f"{name} x y; DeviceEvents", name, id=f"statement {name}")
    for name in refused.REFUSED_PLUGINS:
        yield pytest.param(f"DeviceEvents | evaluate {name}(FileName)", name, id=f"plugin {name}")
    for name in refused.REFUSED_FUNCTIONS:
        if name != "externaldata":
            yield pytest.param(f"print x = {name}('a')", name, id=f"function {name}")
    for prefix in refused.REFUSED_PREFIXES:
        yield pytest.param(f"print x = {prefix}x('a')", prefix, id=f"functions {prefix}")
    for query, name in (
        ("DeviceEvents | where FileName like 'a'", "like"),
        ("DeviceEvents | invoke FileProfile()", "FileProfile"),
        ("DeviceEvents | make-series count() on Timestamp in range(ago(1d), now(), 1h)", "in range"),
        ("DeviceEvents | top-nested 2 of FileName with others='x' by count()", "with others"),
        ("set query_datascope='hotcache'; DeviceEvents", "query_datascope"),
        ("DeviceEvents | mv-apply d = pack_array(1) on (join DeviceEvents on FileName)", "join"),
        ("database('x').T | count", "database"),
        ("DeviceEvents | parse-kv FileName as (a:string) with (regex=@'(.)')", "regex"),
    ):
        yield pytest.param(query, name, id=query[:60])


@pytest.mark.parametrize("query, name", list(refusals()))
def test_what_is_refused_is_refused_by_name(query: str, name: str) -> None:
    with pytest.raises(KqlError) as caught:
        compile_query(query, standard(filled=True), NOW)
    assert caught.value.refused, str(caught.value)
    assert name in caught.value.what
    assert caught.value.at is not None


def test_nothing_is_both_there_and_refused() -> None:
    assert not set(SIGNATURES) & set(refused.REFUSED_FUNCTIONS)
    assert not set(OPERATORS) & set(refused.REFUSED_OPERATORS)
    assert not set(PLUGINS) & set(refused.REFUSED_PLUGINS)


def test_every_function_says_what_it_gives() -> None:
    assert not [one.name for one in (*SIGNATURES.values(), *AGGREGATE_SIGNATURES.values()) if not one.about.strip()]


@pytest.mark.parametrize("query, says", yaml.safe_load((Path(__file__).parent / "errors.yml").read_text("utf-8")))
def test_an_error_says_where_and_what_to_try(query: str, says: str) -> None:
    with pytest.raises(KqlError) as caught:
        compile_query(query, standard(filled=True), NOW)
    assert says in str(caught.value)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
