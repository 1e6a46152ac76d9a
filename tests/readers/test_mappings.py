"""Mapping files: the packaged ones are right, and a wrong one is refused with its line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perilune.errors import ContentError
from perilune.readers.mappings import load_all, packaged, parse
from tests.readers.reading import read

GOOD = """\
maps:
  - kind: osquery:process_events
    table: DeviceProcessEvents
    recognise: {has: [columns.path, unixTime], equals: {name: process_events}}
    constants: {ActionType: ProcessCreated}
    columns:
      Timestamp: unixTime
      DeviceName: hostIdentifier
      FolderPath: columns.path
      FileName: {from: columns.path, as: basename}
      ProcessCommandLine: columns.cmdline
      ProcessId: columns.pid
      ProcessIntegrityLevel: {from: columns.level, values: {"0": Low}, otherwise: Medium}
      InitiatingProcessId: [columns.nothing, columns.parent]
    extra: {of: columns, drop: [""]}
"""


def test_the_packaged_mappings_load() -> None:
    assert packaged().find("windows:Microsoft-Windows-Sysmon/1").table == "DeviceProcessEvents"  # type: ignore[union-attr]
    assert packaged().find("windows:Anything/7").table == "XLogEvents"  # type: ignore[union-attr]
    assert packaged().find("nothing:of this") is None


def test_a_new_json_product_needs_only_a_mapping_file(tmp_path: Path) -> None:
    mapping = tmp_path / "osquery.yml"
    mapping.write_text(GOOD)
    record = {
        "name": "process_events",
        "hostIdentifier": "h1",
        "unixTime": 1667930592,
        "columns": {
            "path": "/usr/bin/lua5.4",
            "cmdline": "lua5.4 -e x",
            "pid": "12",
            "parent": "7",
            "uid": "0",
            "e": "",
        },
    }
    log = tmp_path / "results.log"
    log.write_text("\n".join([json.dumps(record), json.dumps({**record, "name": "other"})]))
    done = read(log, mappings=load_all([mapping]))
    (row,) = done.rows["DeviceProcessEvents"]
    assert row["FileName"] == "lua5.4"
    assert row["ProcessId"] == 12
    assert row["InitiatingProcessId"] == 7
    assert row["ProcessIntegrityLevel"] == "Medium"
    assert json.loads(row["AdditionalFields"]) == {"uid": "0"}
    assert list(done.report.skipped.values()) == [1]


@pytest.mark.parametrize(
    ("old", "new", "line", "says"),
    [
        ("table: DeviceProcessEvents", "table: DeviceProcesEvents", 3, "did you mean 'DeviceProcessEvents'?"),
        ("FolderPath: columns.path", "FolderPaht: columns.path", 9, "did you mean 'FolderPath'?"),
        ("as: basename", "as: basenam", 10, "did you mean 'basename'?"),
        ("ProcessId: columns.pid", "ProcessId: {from: columns.pid, as: lower}", 12, "does not give int64"),
        ("kind: osquery:process_events", "kind: osquery", 2, "a kind is `family:name`"),
        ("constants: {Act", "constant: {Act", 2, "did you mean 'constants'?"),
        ("columns.cmdline", "[1, 2]", 11, "a text is needed, not int"),
        ("columns.cmdline", "{as: text}", 11, "the key 'from' is missing"),
        ("maps:", "map:", 1, "did you mean 'maps'?"),
        ("maps:", "maps: [", 2, "not YAML"),
    ],
)
def test_a_wrong_mapping_says_where_and_what_instead(old: str, new: str, line: int, says: str) -> None:
    with pytest.raises(ContentError) as caught:
        parse(GOOD.replace(old, new, 1), "own.yml")
    assert str(caught.value).startswith(f"own.yml:{line}: "), caught.value
    assert says in str(caught.value)


@given(
    st.text(max_size=200)
    | st.sampled_from([GOOD]).flatmap(lambda g: st.integers(0, len(g)).map(lambda n: g[:n] + "x" + g[n + 1 :]))
)
def test_any_text_is_a_mapping_or_a_content_error(text: str) -> None:
    try:
        parse(text, "own.yml")
    except ContentError as error:
        assert error.where
