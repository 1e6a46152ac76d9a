"""Hunts: their headers, the packaged ones against their events, and that their rows become findings."""

from __future__ import annotations

from datetime import datetime
from importlib.resources import files
from pathlib import Path

import pyarrow as pa
import pytest
import yaml

from perilune import pipeline
from perilune.detection.kql import hunting, hunts
from perilune.errors import RuleError
from perilune.model.rules import Level
from perilune.model.tables import TABLES
from tests.build import process, table
from tests.conftest import CHECKOUT

FOLDER = Path(str(files("perilune") / "content" / "hunts"))
PACKAGED = sorted(FOLDER.glob("*.kql"))

HEADER = """// ---
// title: Shells
// id: h-1
// severity: low
// attack: [T1059.004]
// evidence: [ProcessCommandLine]
// ---
"""
QUERY = """DeviceProcessEvents
| where FileName == "sh"
| project FileName, ProcessCommandLine, IsShort = strlen(FileName) < 3"""


def tables_of(case: dict) -> dict[str, pa.Table]:
    found = {}
    for name, rows in case.items():
        schema = TABLES[name].arrow
        columns = sorted({column for row in rows for column in row})
        found[name] = pa.Table.from_pylist(rows, schema=pa.schema([schema.field(column) for column in columns]))
    return found


def cases(kind: str) -> list[object]:
    return [
        pytest.param(path, case, id=f"{path.stem}-{number}")
        for path in PACKAGED
        for number, case in enumerate(yaml.safe_load(path.with_suffix(".events.yml").read_text("utf-8"))[kind], 1)
    ]


@pytest.mark.parametrize("path", PACKAGED, ids=lambda path: path.stem)
def test_a_packaged_hunt_is_sound(path: Path) -> None:
    rule = hunts.parse(path.read_text(encoding="utf-8"), path.name)
    hunting.check(rule)
    assert rule.techniques and rule.description and rule.falsepositives and rule.license
    assert all(tag.islower() for tag in rule.tags)


@pytest.mark.parametrize("path, case", cases("hit"))
def test_a_packaged_hunt_hits(path: Path, case: dict) -> None:
    rule = hunts.parse(path.read_text(encoding="utf-8"), path.name)
    found, refused = hunting.run([rule], tables_of(case))
    assert not refused
    assert len(found) == 1
    assert found[0].evidence
    tables = tables_of(case)
    asked = {name: hunts.columns_of([rule], name) for name in tables}
    assert all(asked.values()), "a packaged hunt loads no column that it does not name"
    few = {name: data.select([c for c in asked[name] or () if c in data.column_names]) for name, data in tables.items()}
    assert hunting.run([rule], few) == (found, [])


@pytest.mark.parametrize(
    ("query", "columns"),
    [
        ("DeviceProcessEvents | where FileName == 'x' | project Timestamp, FileName", ("Timestamp", "FileName")),
        ("DeviceProcessEvents | where FileName == 'x'", None),
        ("DeviceProcessEvents | where * has 'x' | project FileName", None),
        ("search in (DeviceProcessEvents) 'x' | project FileName", None),
        ("DeviceProcessEvents | extend All = pack_all() | project All", None),
    ],
)
def test_the_columns_that_a_hunt_needs(query: str, columns: tuple[str, ...] | None) -> None:
    header = HEADER.replace("// evidence: [ProcessCommandLine]\n", "")
    assert hunts.columns_of([hunts.parse(header + query, "x.kql")], "DeviceProcessEvents") == columns


@pytest.mark.parametrize("path, case", cases("miss"))
def test_a_packaged_hunt_misses(path: Path, case: dict) -> None:
    rule = hunts.parse(path.read_text(encoding="utf-8"), path.name)
    assert hunting.run([rule], tables_of(case)) == ([], [])


def test_one_of_ours_has_the_classic_eleven_columns_and_more() -> None:
    rule = hunts.parse((FOLDER / "lua_interpreter_and_behaviour.kql").read_text("utf-8"), "x")
    from perilune.detection.kql.catalog import standard
    from perilune.detection.kql.compiler import compile_query

    plan = compile_query(rule.extra["kql"], standard(filled=True), datetime(2026, 1, 1), trace=True)
    names = [name for name, _ in plan.columns]
    assert (
        names[:11]
        == (
            "Timestamp DeviceName AccountName FileName ProcessCommandLine InitiatingProcessFileName "
            "InitiatingProcessCommandLine OsExec NetworkActivity DynamicLoad ScriptFromTemp"
        ).split()
    )
    assert len(names) > 11


@pytest.mark.parametrize(
    "text, says",
    [
        (QUERY, "does not begin with a header"),
        ("// ---\n// title: x\n" + QUERY, "not closed"),
        ("// ---\n// [\n// ---\n" + QUERY, "no YAML"),
        ("// ---\n// - a\n// ---\n" + QUERY, "no mapping"),
        (HEADER.replace("severity: low", "severity: urgent") + QUERY, "none of informational"),
        (HEADER.replace("// title: Shells\n", "") + QUERY, "has no title"),
        (HEADER.replace("evidence", "evidense") + QUERY, "did you mean evidence"),
    ],
)
def test_a_wrong_header_is_refused_with_a_reason(text: str, says: str) -> None:
    with pytest.raises(RuleError) as caught:
        hunts.parse(text, "x.kql")
    assert says in str(caught.value)


@pytest.mark.parametrize(
    "text, says",
    [
        (HEADER + "DeviceProcessEvents | where Nope == 1", "no column 'Nope'"),
        (HEADER + "DeviceProcessEvents | project FileName", "no column 'ProcessCommandLine'"),
        (HEADER + "print ProcessCommandLine = 'x'", "lead back to no event"),
        (HEADER + "DeviceProcessEvents | reduce by FileName", "is not supported"),
    ],
)
def test_a_wrong_query_is_refused_with_a_reason(text: str, says: str) -> None:
    with pytest.raises(RuleError) as caught:
        hunting.check(hunts.parse(text, "x.kql"))
    assert says in str(caught.value)


@pytest.mark.parametrize(
    "query, places",
    [
        ("DeviceProcessEvents | where FileName == 'sh'", [0, 2]),
        ("DeviceProcessEvents | where FileName == 'sh' | project ProcessId | sort by ProcessId asc", [0, 2]),
        ("DeviceProcessEvents | summarize n = count() by FileName | where n > 1", [0]),
        ("DeviceProcessEvents | summarize arg_max(ProcessId, *) by FileName | where FileName == 'sh'", [0]),
        ("DeviceProcessEvents | where FileName == 'sh' | distinct FileName", [0]),
        ("DeviceProcessEvents | join (DeviceProcessEvents | project FileName) on FileName | top 1 by ProcessId", [1]),
        ("union DeviceProcessEvents, DeviceFileEvents | where FileName == 'ls'", [1]),
        ("DeviceProcessEvents | mv-expand p = split(ProcessCommandLine, ' ') | where p == 'two'", [2]),
    ],
)  # fmt: skip
def test_rows_lead_back_to_their_events(query: str, places: list[int]) -> None:
    data = table(
        "DeviceProcessEvents",
        process(1, 0, "/bin/sh", 0, "sh one"),
        process(2, 0, "/bin/ls", 1, "ls"),
        process(3, 0, "/bin/sh", 2, "sh two"),
    ).data
    rule = hunts.parse(HEADER.replace("// evidence: [ProcessCommandLine]\n", "") + query, "x.kql")
    found, refused = hunting.run([rule], {"DeviceProcessEvents": data})
    assert not refused
    assert sorted(one.place for one in found) == places
    assert {one.table for one in found} == {"DeviceProcessEvents"}


def test_a_hunt_that_fails_leaves_the_others(tmp_path: Path) -> None:
    (tmp_path / "good.kql").write_text(HEADER + QUERY, "utf-8")
    (tmp_path / "bad.kql").write_text(HEADER.replace("h-1", "h-2") + "DeviceProcessEvents | where Nope == 1", "utf-8")
    (tmp_path / "worse.kql").write_bytes(b"\xff\xfe\x00")
    loaded = hunts.load([tmp_path])
    assert [refusal.title for refusal in loaded.refused] == ["worse"]
    data = table("DeviceProcessEvents", process(1, 0, "/bin/sh", 0, "sh one")).data
    found, refused = hunting.run(loaded.rules, {"DeviceProcessEvents": data})
    assert [one.rule.id for one in found] == ["h-1"]
    assert "no column 'Nope'" in refused[0].reason
    assert [(piece.field, piece.value) for piece in found[0].evidence] == [
        ("ProcessCommandLine", "sh one"), ("IsShort", "true"),
    ]  # fmt: skip


def test_rows_become_findings_in_a_hunt(tmp_path: Path) -> None:
    path = tmp_path / "own.kql"
    path.write_text(
        HEADER.replace("severity: low", "severity: high") + "DeviceProcessEvents\n| where FileName has 'lua'", "utf-8"
    )
    samples = CHECKOUT / "src" / "perilune" / "content" / "samples"
    found = pipeline.hunt([samples], rules=[path], pack=False)
    try:
        assert found.findings
        one = found.findings[0]
        assert (one.rule_id, one.level, one.techniques) == ("h-1", Level.HIGH, ("T1059.004",))
        assert one.evidence[0].field == "ProcessCommandLine"
        assert found.cases
        again = pipeline.hunt([samples], rules=[path], pack=False)
        assert {finding.id for finding in again.findings} == {finding.id for finding in found.findings}
        again.spool.close()
    finally:
        found.spool.close()
