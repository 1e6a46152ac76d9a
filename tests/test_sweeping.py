"""What workers match where it lies is what one process finds in the same files."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from perilune import pipeline, reading, sweeping
from perilune.model.sources import Reading
from perilune.model.tables import COLUMNS, TABLES, Table
from perilune.readers import Limits
from perilune.store.parquet import MARK, ParquetFolder
from tests.build import at, process
from tests.conftest import CHECKOUT

SAMPLES = CHECKOUT / "src" / "perilune" / "content" / "samples"
ENCODED = "powershell.exe -enc SQBFAFgAKABOAGUAdwAtAE8AYgBqAGUAYwB0ACAATgBlAHQALgBXAGUAYgBDAGwAaQBlAG4AdAApAA=="


@pytest.fixture(scope="module")
def converted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The packaged samples as tables."""
    folder = tmp_path_factory.mktemp("tables")
    with ParquetFolder(folder) as written:
        for item in reading.read(sorted(SAMPLES.iterdir())):
            if isinstance(item, Table):
                written.add(item)
    return folder


def write(path: Path, rows: int, groups: int = 100) -> Path:
    """Process starts of some hosts, one in fifty of them Lua with something to find."""
    made = []
    for n in range(rows):
        odd = n % 50 == 7
        command = ENCODED if n % 100 == 57 else "lua5.4 -e os.execute('id')" if odd else f"/usr/bin/true {n}"
        name = command.split(" ", 1)[0]
        host = {"DeviceName": f"web-{n % 7}"} if n % 11 else {}
        made.append({**process(100 + n, 1, f"/usr/bin/{name}", n, command), **host, "ActionType": "ProcessCreated",
                     "XSourceFile": "a.log", "XSourceRecord": n + 1})  # fmt: skip
    schema = TABLES["DeviceProcessEvents"].arrow.with_metadata({MARK: b"DeviceProcessEvents"})
    whole = [{name: row.get(name) for name in schema.names} for row in made]
    pq.write_table(pa.Table.from_pylist(whole, schema=schema), path, row_group_size=groups)
    return path


def same(one: pipeline.Hunt, other: pipeline.Hunt) -> None:
    assert one.findings
    assert other.findings == one.findings
    assert other.cases == one.cases
    assert (other.cut, other.explained, other.undecoded) == (one.cut, one.explained, one.undecoded)
    assert {s.path: s.rows for s in other.sources} == {s.path: s.rows for s in one.sources}


@pytest.mark.parametrize("jobs", [1, 2])
def test_processes_find_what_one_process_finds(converted: Path, jobs: int) -> None:
    same(pipeline.hunt([converted]), pipeline.hunt([converted], runner=pipeline.PROCESSES, jobs=jobs))


def test_shares_of_one_file_are_its_rows_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweeping, "ROWS", 300)
    path = write(tmp_path / "a.parquet", 2000)
    assert [share.rows for share in sweeping.find([path], Limits()).all] == [300] * 6 + [200]
    found = pipeline.hunt([path], runner=pipeline.PROCESSES)
    same(pipeline.hunt([path]), found)
    assert any(f.event.table == "XScriptEvents" for f in found.findings), "nothing was decoded"


def test_what_is_no_table_of_ours_is_read_here(converted: Path, tmp_path: Path) -> None:
    strange = tmp_path / "strange.parquet"
    pq.write_table(pa.table({"a": [1]}), strange)
    mistyped = tmp_path / "mistyped.parquet"
    table = pa.table(
        {"ProcessId": ["7"]}, schema=pa.schema([("ProcessId", pa.string())], {MARK: b"DeviceProcessEvents"})
    )
    pq.write_table(table, mistyped)
    paths = [converted, SAMPLES / sorted(p.name for p in SAMPLES.iterdir())[0], strange, mistyped]
    found = sweeping.find(paths, Limits())
    assert set(found.rest) == {str(path) for path in paths[1:]}
    same(pipeline.hunt(paths), pipeline.hunt(paths, runner=pipeline.PROCESSES))


def test_a_damaged_row_group_is_said_and_the_rest_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweeping, "ROWS", 300)
    path = write(tmp_path / "a.parquet", 900)
    whole = pipeline.hunt([path])
    metadata = pq.read_metadata(path)
    column = metadata.row_group(4).column(metadata.schema.names.index("ProcessCommandLine"))
    with path.open("r+b") as file:
        file.seek(column.dictionary_page_offset or column.data_page_offset)
        file.write(b"\xff" * column.total_compressed_size)
    found = pipeline.hunt([path], runner=pipeline.PROCESSES)
    (report,) = found.sources
    assert report.reading is Reading.PARTIAL and report.rows == {"DeviceProcessEvents": 600}
    assert "broken Parquet" in report.problems[0].what and report.problems[0].count == 300
    places = {f.event.record for f in found.findings if f.event.table == "DeviceProcessEvents"}
    assert places == {f.event.record for f in whole.findings if not 300 < f.event.record <= 600} & places
    assert places and not any(300 < place <= 600 for place in places)


def test_the_rows_can_be_asked_for_after_the_hunt(converted: Path) -> None:
    here, there = (pipeline.hunt([converted], runner=runner).tables for runner in (None, pipeline.PROCESSES))
    assert here.keys() == there.keys()
    for name, data in here.items():
        rows = sorted(data.to_pylist(), key=str)
        assert rows == sorted(there[name].select(data.column_names).to_pylist(), key=str)


def test_nothing_is_read_twice(converted: Path) -> None:
    folder = converted / "DeviceProcessEvents"
    reports = sweeping.find([folder, converted], Limits()).reports
    assert reports and all("the same as" in reason for report in reports for reason in report.skipped)
    same(pipeline.hunt([folder, converted]), pipeline.hunt([folder, converted], runner=pipeline.PROCESSES, jobs=1))


def test_times_and_columns_are_of_the_schema(tmp_path: Path) -> None:
    """What the builder above writes is what `convert` would."""
    schema = pq.read_schema(write(tmp_path / "a.parquet", 1))
    assert all(field.type == COLUMNS[field.name] for field in schema)
    assert at(0).tzinfo is not None
