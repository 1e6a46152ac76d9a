"""A file's pieces are all of its rows, once, in order, and bounded."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from perilune.runners import rowgroups


@pytest.mark.parametrize("rows", [1, 5, 7, 100])
def test_pieces_are_the_whole_file(tmp_path: Path, rows: int) -> None:
    path = tmp_path / "events.parquet"
    names = [f"p{n % 4}.exe" for n in range(23)]
    pq.write_table(pa.table({"FileName": names, "ProcessId": range(23), "Stranger": range(23)}), path, row_group_size=5)
    found = list(rowgroups.pieces(path, rows))
    tables = [rowgroups.read(piece, "DeviceProcessEvents") for piece in found]
    assert [name for table in tables for name in table.values("FileName")] == names
    assert [piece.first for piece in found] == [sum(p.rows for p in found[:at]) for at in range(len(found))]
    assert [piece.rows for piece in found] == [len(table) for table in tables]
    assert max(piece.rows for piece in found) <= max(rows, 5)
    assert {name for table in tables for name in table.data.column_names} == {"FileName", "ProcessId"}


def test_an_empty_file_has_no_pieces(tmp_path: Path) -> None:
    path = tmp_path / "none.parquet"
    pq.write_table(pa.table({"FileName": pa.array([], pa.string())}), path)
    assert sum(piece.rows for piece in rowgroups.pieces(path)) == 0
