"""The Lua hunt that this project began with: equal to a slow reading of the documentation, and to duckdb-kql."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from perilune.detection.kql.running import newest
from perilune.querying import read
from tests.conftest import CHECKOUT
from tests.detection.kql.build import NOW, SEED_QUERY, as_set, hostile_processes, rows_of, session

PATTERNS = (
    "lua.exe lua5 luajit luac .lua dofile( loadfile( loadstring( require( os.execute( io.popen( os.remove( os.rename( "
    "io.open( socket.tcp socket.connect http.request ltn12.pump"
).split()
COLUMNS = (
    "Timestamp DeviceName AccountName FileName ProcessCommandLine InitiatingProcessFileName "
    "InitiatingProcessCommandLine"
).split()


def has(text: str, needle: str) -> bool:
    """Kusto's rule, character by character: an end of the needle that could go on must not go on in the text."""
    text, needle = text.lower(), needle.lower()
    place = text.find(needle)
    while place >= 0:
        before = text[place - 1] if place else ""
        behind = text[place + len(needle) : place + len(needle) + 1]
        if not (_in_term(needle[0]) and _in_term(before)) and not (_in_term(needle[-1]) and _in_term(behind)):
            return True
        place = text.find(needle, place + 1)
    return False


def _in_term(character: str) -> bool:
    return bool(character) and (character.isalpha() or character.isnumeric())


def has_any(text: str, needles: list[str] | tuple[str, ...]) -> bool:
    return any(has(text, needle) for needle in needles)


def slowly(data: pa.Table) -> list[list[object]]:
    """The query, read aloud."""
    found = []
    for row in data.to_pylist():
        if not row["Timestamp"].replace(tzinfo=None) > NOW - timedelta(hours=24):
            continue
        text = {name: row[name] or "" for name in COLUMNS[1:]}
        command = text["ProcessCommandLine"]
        if not (has_any(text["FileName"], ("lua", "luajit", "luac")) or has_any(command, PATTERNS)):
            continue
        flags = [
            has_any(command, ("os.execute(", "io.popen(")),
            has_any(command, ("socket.tcp", "socket.connect", "http.request")),
            has_any(command, ("loadstring(", "loadfile(", "dofile(")),
            has_any(command, ("\\Temp\\", "/tmp/", "AppData")),
        ]
        when = f"{row['Timestamp']:%Y-%m-%dT%H:%M:%S.%f}0Z"
        found.append([when, *text.values(), *flags])
    return found


@pytest.fixture(scope="module")
def processes() -> pa.Table:
    return hostile_processes()


def test_it_equals_the_slow_reference(processes: pa.Table) -> None:
    wanted = slowly(processes)
    with session(DeviceProcessEvents=processes) as one:
        found = rows_of(one.run(SEED_QUERY, NOW))
    assert len(processes) >= 10_000 and len(wanted) > 1_000
    assert as_set(found) == as_set(wanted)
    times = [row[0] for row in found]
    assert times == sorted(times, reverse=True)


def test_it_equals_duckdb_kql(processes: pa.Table) -> None:
    oracle = pytest.importorskip("duckdb_kql", reason="duckdb-kql, a second opinion for developers, is not installed")
    import duckdb

    query = SEED_QUERY.replace("ago(24h)", "datetime(2026-01-04 12:00)")
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    plain = [pa.field(f.name, pa.timestamp("us")) if f.name == "Timestamp" else f for f in processes.schema]
    texts = processes.cast(pa.schema(plain)).to_pylist()
    data = pa.Table.from_pylist(
        [{k: "" if v is None else v for k, v in row.items()} for row in texts], schema=pa.schema(plain)
    )
    connection.register("DeviceProcessEvents", data)
    sql = oracle.to_sql(query, schema={"DeviceProcessEvents": list(data.column_names)})
    theirs = [[f"{row[0]:%Y-%m-%dT%H:%M:%S.%f}0Z", *row[1:]] for row in connection.execute(sql).fetchall()]
    with session(DeviceProcessEvents=processes) as one:
        assert as_set(rows_of(one.run(query, NOW))) == as_set(theirs)


def test_it_is_the_text_of_the_document(data_dir: Path) -> None:
    """Cut out of the document where it stands there, between its first `let` and what follows the sorting."""
    documents = [
        text for path in (data_dir.parent / "seeds").glob("*.txt") if "LuaPatterns" in (text := path.read_text())
    ]
    if not documents:
        pytest.skip("the document is not beside the development data")
    written = documents[0]
    query = written[written.index("let LuaPatterns") :]
    query = query[: query.index("Timestamp desc") + len("Timestamp desc")]
    _, ours = SEED_QUERY.split("\n", 1)
    assert query.split() == ours.split()
    with session(DeviceProcessEvents=hostile_processes(500)) as one:
        assert as_set(rows_of(one.run(query, NOW))) == as_set(rows_of(one.run(SEED_QUERY, NOW)))


def test_it_runs_over_the_packaged_samples() -> None:
    _, tables = read([CHECKOUT / "src" / "perilune" / "content" / "samples"])
    with session(**tables) as one:
        result = one.run(SEED_QUERY, newest(tables) or NOW)
    assert [name for name, _ in result.columns] == [
        *COLUMNS, "OsExec", "NetworkActivity", "DynamicLoad", "ScriptFromTemp",
    ]  # fmt: skip
    assert result.data.num_rows > 0


def test_it_runs_over_every_process_source(data_dir: Path) -> None:
    """EVTX, Defender JSON and CSV, auditd: whatever the readers make a process start of."""
    for folder in ("evtx", "auditd"):
        if not (data_dir / folder).exists():
            continue
        _, tables = read([data_dir / folder])
        if "DeviceProcessEvents" not in tables:
            continue
        with session(**tables) as one:
            assert len(one.run(SEED_QUERY, newest(tables) or NOW).columns) == 11


def test_needles_of_a_list_are_one_scan() -> None:
    with session() as one:
        sql = one.plan(SEED_QUERY, NOW).sql
    where = sql.split("q2 AS")[1].split("q3 AS")[0]
    assert where.count("REGEXP_MATCHES") == 2  # one for FileName, one for ProcessCommandLine
