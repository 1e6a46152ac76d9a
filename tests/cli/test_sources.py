"""`perilune sources` and `perilune convert`."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from perilune import readers
from perilune.cli.convert import convert
from perilune.cli.sources import sources
from perilune.errors import UsageError
from perilune.model.sources import SourceReport
from tests.conftest import CHECKOUT

GOLDEN = CHECKOUT / "tests" / "readers" / "golden"


def test_list_names_every_format() -> None:
    found = json.loads(CliRunner().invoke(sources, ["list", "--json"]).stdout)
    assert {"evtx", "json", "nginx", "zeek", "parquet"} <= {one["format"] for one in found["formats"]}
    assert "nginx" in CliRunner().invoke(sources, ["list"]).stdout


@pytest.mark.parametrize("command", [["list"], ["explain", str(GOLDEN / "panos.log")]])
def test_fits_a_terminal_of_80_columns(command: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    lines = CliRunner().invoke(sources, command).stdout.splitlines()
    assert len(lines) > 20
    assert [line for line in lines if len(line) > 80 and " " in line.strip()] in ([], [lines[0]])  # a file's name


def test_the_users_own_content_is_listed_and_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PERILUNE_HOME", str(tmp_path))
    folder = tmp_path / "content" / "applogs"
    folder.mkdir(parents=True)
    (folder / "own.yml").write_text(
        "about: Mine.\nformat: own\n"
        "entries:\n  - {line: 'OWN (?P<message>.*)', kind: 'log:line', set: {program: own}}\n"
    )
    (tmp_path / "x.log").write_text("OWN a\nOWN b\n")
    assert "Mine" in CliRunner().invoke(sources, ["list"]).stdout
    found = json.loads(CliRunner().invoke(sources, ["explain", "--json", str(tmp_path / "x.log")]).stdout)
    assert (found["reader"], found["rows"]) == ("own", {"XLogEvents": 2})
    out = tmp_path / "out"
    assert (
        CliRunner().invoke(convert, [str(tmp_path / "x.log"), "-o", str(out), "-q"], standalone_mode=False).exit_code
        == 0
    )
    assert len(list(out.rglob("*.parquet"))) == 1


def test_explain_says_reader_map_rows_and_what_was_dropped() -> None:
    found = json.loads(CliRunner().invoke(sources, ["explain", "--json", str(GOLDEN / "defender.jsonl")]).stdout)
    assert found["reader"] == "json"
    assert {one["kind"] for one in found["maps"]} >= {"defender:DeviceProcessEvents"}
    assert len(found["first_rows"]["DeviceProcessEvents"]) == 2
    assert found["skipped"]
    text = CliRunner().invoke(sources, ["explain", str(GOLDEN / "prosody.log")]).stdout
    assert "applog:entry" in text
    assert "time without a year" in text


def test_an_own_mapping(tmp_path: Path) -> None:
    mapping, log = tmp_path / "own.yml", tmp_path / "own.csv"
    mapping.write_text(
        "maps:\n  - kind: own:flow\n    table: DeviceNetworkEvents\n    flat: true\n"
        "    recognise: {has: [From IP, To IP]}\n    columns: {Timestamp: When, LocalIP: From IP, RemoteIP: To IP}\n"
    )
    log.write_text("When,From IP,To IP\n2026-03-02T08:15:30Z,10.0.0.5,203.0.113.9\n")
    ran = CliRunner().invoke(sources, ["explain", "--json", "--mapping", str(mapping), str(log)])
    found = json.loads(ran.stdout)
    assert found["rows"] == {"DeviceNetworkEvents": 1}
    assert found["first_rows"]["DeviceNetworkEvents"][0]["RemoteIP"] == "203.0.113.9"


def test_converted_tables_are_read_in_place_of_the_logs(tmp_path: Path) -> None:
    logs, out = GOLDEN / "sysmon.jsonl", tmp_path / "out"
    assert CliRunner().invoke(convert, [str(logs), "-o", str(out), "-q"], standalone_mode=False).return_value == 0
    assert _rows(out) == _rows(logs)
    with pytest.raises(UsageError, match="not empty"):
        convert.main([str(logs), "-o", str(out)], standalone_mode=False)


def _rows(path: Path) -> dict[str, list[dict[str, object]]]:
    found: dict[str, list[dict[str, object]]] = {}
    for item in readers.read([path]):
        if isinstance(item, SourceReport):
            assert item.reading == "complete"
        else:
            found.setdefault(item.name, []).extend(item.row(index) for index in range(len(item)))
    return found


@pytest.mark.parametrize("damage", ["foreign", "cut", "types", "more columns"])
def test_parquet_that_is_not_ours_or_broken(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "a.parquet"
    data = (
        pa.table({"ProcessId": ["many"], "Odd": [1]})
        if damage == "types"
        else pa.table({"FileName": ["a"], "Odd": [1]})
    )
    pq.write_table(
        data.replace_schema_metadata({} if damage == "foreign" else {b"perilune.table": b"DeviceProcessEvents"}), path
    )
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:-20])
    items = list(readers.read([path]))
    report = items[-1]
    assert isinstance(report, SourceReport)
    if damage == "more columns":
        assert report.rows == {"DeviceProcessEvents": 1}
        assert any("Odd" in reason for reason in report.skipped)
    else:
        assert report.reading in ("unreadable", "partial")
        assert not any("reader failed" in problem.what for problem in report.problems)
