"""Queries that mean harm: each ends with a clear error inside its budget, and none gets out of the engine."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from perilune.detection.kql.catalog import standard
from perilune.detection.kql.compiler import compile_query
from perilune.detection.kql.errors import KqlError
from perilune.detection.kql.operators import OPERATORS
from perilune.detection.kql.running import Limits, Session, open_session
from tests.detection.kql.build import NOW, hostile_processes, session

HOSTILE = {
    "parentheses": "print " + "(" * 5_000 + "1" + ")" * 5_000,
    "minus signs": "print " + "-" * 5_000 + "1",
    "brackets": "print dynamic(" + "[" * 5_000 + "]" * 5_000 + ")",
    "calls": "print " + "not(" * 3_000 + "true" + ")" * 3_000,
    "pipelines": "(" * 2_000 + "DeviceEvents" + ")" * 2_000,
    "paths": "print x = dynamic({})" + ".a" * 20_000,
    "sums": "print " + "+".join(["1"] * 50_000),
    "text of 10 MB": "print '" + "x" * 10_000_000 + "'",
    "comment of 10 MB": "// " + "x" * 10_000_000 + "\nprint 1",
    "operators": "DeviceEvents" + " | where true" * 5_000,
    "names": "print " + ",".join(f"a{n}=1" for n in range(60_000)),
    "doubling definitions": "let a0 = strcat(tostring(rand()), 'x');"
    + "".join(f"let a{n} = strcat(a{n - 1}, a{n - 1});" for n in range(1, 60))
    + "print a59",
    "doubling functions": "let f0 = (x:long) { x + x };"
    + "".join(f"let f{n} = (x:long) {{ f{n - 1}(f{n - 1}(x)) }};" for n in range(1, 40))
    + "print f39(tolong(rand(5)))",
    "recursion": "let f = (x:long) { f(x) }; print f(1)",
    "counted repetition": "print 'a' matches regex '((((a{100}){100}){100}){100})'",
    "look-around": "print 'a' matches regex '(?<=a)b'",
    "series": "print x = 1 | make-series n = count() on x from 0 to 1000000000000 step 1",
    "range": "range x from 1 to 1000000000000 step 1 | count",
    "set of columns": "DeviceEvents | project " + ",".join(f"c{n} = 1" for n in range(50_000)),
}


@pytest.mark.parametrize("query", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_query_ends_with_an_error_in_its_budget(query: str) -> None:
    start = time.process_time()
    with session() as one, pytest.raises(KqlError):
        one.run(query, NOW)
    assert time.process_time() - start < 15


@pytest.mark.parametrize(
    "query",
    [
        "range a from 1 to 3000000 step 1 | extend k = 1 | join kind=inner (range b from 1 to 3000000 step 1 "
        "| extend k = 1) on k | summarize sum(a * b)",
        "let A = range a from 1 to 2000 step 1 | extend k = 1; A | join kind=inner A on k | join kind=inner A on k "
        "| join kind=inner A on k | count",
    ],
)
def test_a_cross_join_is_stopped(query: str) -> None:
    with open_session({}, Limits(seconds=1, memory_mb=256, threads=1)) as one, pytest.raises(KqlError) as caught:
        one.run(query, NOW)
    assert "was stopped" in str(caught.value)


def test_a_doubling_of_tables_stays_small() -> None:
    query = "let a0 = DeviceEvents | where Timestamp > ago(1d);"
    query += "".join(f"let a{n} = union a{n - 1}, a{n - 1};" for n in range(1, 30)) + "a29 | count"
    start = time.process_time()
    compile_query(query, standard(filled=True), NOW)
    assert time.process_time() - start < 10


def test_a_catastrophic_regular_expression_is_linear() -> None:
    data = pa.table({"ProcessCommandLine": pa.array(["a" * 20_000] * 200)})
    start = time.process_time()
    with session(DeviceProcessEvents=data) as one:
        one.run("DeviceProcessEvents | where ProcessCommandLine matches regex '^(a+)+$b'", NOW)
        one.run("DeviceProcessEvents | extend x = extract('(a*)*b', 0, ProcessCommandLine)", NOW)
    assert time.process_time() - start < 10


# ── nothing gets out ────────────────────────────────────────────────────────────────────────────────────────────────

ESCAPES = [
    "x'; COPY (SELECT 1) TO '/tmp/perilune-escape.csv'; --",
    "x' OR 1=1 --",
    'x"; DROP TABLE "DeviceProcessEvents"; --',
    "x\\'; ATTACH '/tmp/perilune-escape.db'; --",
    "read_text('/etc/passwd')",
    "$$; SELECT 1; $$",
    "\u2019; SELECT 1 --",
    "a\0'; SELECT 1 --",
    "]; --",
]


@pytest.mark.parametrize("text", ESCAPES)
@pytest.mark.parametrize(
    "query",
    [
        "print x = @'{0}'",
        "DeviceProcessEvents | where FileName has @'{0}' or FileName == @'{0}' or FileName startswith @'{0}'",
        "DeviceProcessEvents | extend ['{1}'] = 1 | project ['{1}'], FileName | sort by ['{1}'] asc",
        "DeviceProcessEvents | summarize ['{1}'] = count() by k = strcat(FileName, @'{0}')",
        "DeviceProcessEvents | project d = dynamic({{'{1}': 1}})['{1}']",
        "print parse_json('{{}}')['{1}']",
        "datatable(['{1}']:string)[@'{0}'] | where ['{1}'] == @'{0}'",
        "DeviceProcessEvents | parse FileName with * @'{0}' ['{1}'] @'{0}' *",
    ],
)
def test_a_text_stays_a_text(query: str, text: str) -> None:
    """The statement is one SELECT, parsed back it has the text as literal or name only, and it runs."""
    import sqlglot

    written = query.format(text.replace("'", "''"), text.replace("\\", "\\\\").replace("'", "\\'").replace("\0", "\\0"))
    data = pa.table({"FileName": pa.array(["a", "b"])})
    with session(DeviceProcessEvents=data) as one:
        plan = one.plan(written, NOW)
        statements = sqlglot.parse(plan.sql.replace("\\x{0}", ""), dialect="duckdb")
        assert len(statements) == 1
        assert isinstance(statements[0], sqlglot.exp.Select)
        result = one.run(written, NOW)
        assert result.data.num_columns >= 1
        if written.startswith("print x"):
            assert result.data.column(0).to_pylist() == [text]
        assert one.run("DeviceProcessEvents | count", NOW).data.column(0).to_pylist() == [2]


@pytest.fixture(scope="module")
def locked() -> Iterator[Session]:
    with session(DeviceProcessEvents=pa.table({"FileName": pa.array(["a"])})) as opened:
        yield opened


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM read_text('/etc/passwd')",
        "SELECT * FROM '/etc/passwd'",
        "SELECT * FROM glob('/*')",
        "COPY (SELECT 1) TO '/tmp/perilune-escape.csv'",
        "ATTACH '/tmp/perilune-escape.db'",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SET enable_external_access = true",
        "SET lock_configuration = false",
        "SET threads = 64",
        "SET memory_limit = '100GB'",
        "SELECT getenv('HOME')",
        "SELECT * FROM read_parquet('https://example.org/x')",
        "EXPORT DATABASE '/tmp/perilune-escape'",
        "CREATE SECRET s (TYPE s3)",
        "SELECT * FROM locked",
        "SELECT * FROM ESCAPES",
    ],
)
def test_the_connection_itself_is_locked(locked: Session, sql: str) -> None:
    """Even SQL of one's own could not leave; queries have no way to any."""
    import duckdb

    with pytest.raises(duckdb.Error):
        locked._connection.execute(sql).fetchall()


# ── anything at all ─────────────────────────────────────────────────────────────────────────────────────────────────

_WORDS = st.sampled_from([
    *OPERATORS, "DeviceProcessEvents", "FileName", "ProcessCommandLine", "Timestamp", "let", "x", "=", "|", "(", ")",
    "[", "]", ",", ";", ".", "..", "==", "has", "has_any", "in", "in~", "between", "and", "or", "by", "on", "with",
    "to",
    "'a'", '"b"', "1", "1.5", "1d", "dynamic([1,2])", "dynamic({'a':1})", "datetime(2026-01-01)", "count()", "ago(1d)",
    "typeof(long)", "strlen", "tostring", "make_set", "arg_max", "*", "-", "+", "/", "%", "$left", "$right", "kind",
    "inner", "true", "null", "asc", "desc", "print", "datatable", "range", "from", "step", "union", "search", "find",
    "where", "materialize", "toscalar", "!has", "matches regex", "limit", "{", "}", ":", "long", "//", "\n", "'",
])  # fmt: skip
ANY = st.one_of(st.text(max_size=80), st.lists(_WORDS, max_size=25).map(" ".join))


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(ANY)
def test_any_text_gives_a_plan_or_a_located_error(text: str) -> None:
    try:
        plan = compile_query(text, standard(filled=True), NOW, lambda _: [])
    except KqlError as error:
        assert error.what
        if error.at is not None:
            assert 0 <= error.at.offset <= len(text)
            assert error.at.line >= 1 and error.at.column >= 1
    else:
        assert plan.sql.startswith(("WITH", "SELECT"))


_CONDITION = st.sampled_from([
    "FileName has 'lua'", "ProcessCommandLine contains 'x'", "isnotempty(FileName)", "ProcessId > 5",
    "strlen(FileName) > 3",
    "Timestamp > ago(2d)", "FileName in~ ('lua', 'x')", "FileName matches regex 'l.a'", "AdditionalFields.x == 1",
])  # fmt: skip
_STEP = st.one_of(
    _CONDITION.map(lambda c: f"where {c}"),
    st.lists(_CONDITION, min_size=1, max_size=3).map(lambda c: "where " + " or ".join(c)),
    st.sampled_from([
        "extend y = strcat(FileName, 'z')", "extend FileName = tolower(FileName)", "project-away DeviceName",
        "top 5 by FileName asc", "take 7", "sort by FileName asc, DeviceName desc",
        "mv-expand p = split(FileName, '.')",
        "extend n = strlen(ProcessCommandLine), b = bin(Timestamp, 1h)",
        "distinct FileName, ProcessCommandLine, ProcessId, "
        "Timestamp, AdditionalFields, DeviceName", "serialize r = row_number()", "as Q", "project-reorder FileName, *",
        "join kind=leftouter (DeviceProcessEvents | summarize c = count() by FileName) on FileName",
        "union DeviceProcessEvents", "parse ProcessCommandLine with a ' ' b",
        "extend d = parse_json(ProcessCommandLine), e = base64_decode_tostring(FileName)",
    ]),
)  # fmt: skip


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(_STEP, min_size=1, max_size=6))
def test_any_pipeline_of_known_steps_runs_or_says_why_not(steps: list[str]) -> None:
    """Where the compiler says yes, DuckDB must say yes."""
    with session(DeviceProcessEvents=hostile_processes(200, seed=5)) as one:
        query = "DeviceProcessEvents | " + " | ".join(steps)
        try:
            one.run(query, NOW)
        except KqlError as error:
            assert error.at is not None, f"{query}\n{error}"
