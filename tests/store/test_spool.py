from contextlib import closing

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perilune.model.tables import COLUMNS, Table
from perilune.store import pieces
from perilune.store.spool import Spool
from tests.build import process, table

NAME = "DeviceProcessEvents"
SCHEMA = pa.schema([(column, COLUMNS[column]) for column in ("DeviceName", "XSourceFile", "ProcessId")])


@pytest.mark.parametrize("memory", [0, 1 << 30])
def test_rows_come_back_by_host_from_memory_and_from_disk(memory: int) -> None:
    spool = Spool(memory)
    one = process(1, 0, "/a", DeviceName="one", ProcessCommandLine="a")
    two = process(2, 0, "/b", DeviceName="two")
    none = process(3, 0, "/c")
    spool.add(table("DeviceProcessEvents", one, two))
    spool.add(table("DeviceProcessEvents", one, source="second.log"))
    spool.add(table("DeviceProcessEvents", none, source="third.log"))
    assert spool.table("DeviceProcessEvents").values("ProcessId") == [1, 2, 1, 3]
    assert spool.of_host("DeviceProcessEvents", "one", "").values("ProcessId") == [1, 1]
    assert spool.of_host("DeviceProcessEvents", None, "third.log").values("ProcessId") == [3]
    assert len(spool.of_host("DeviceProcessEvents", None, "other.log")) == 0
    chosen = spool.of_host("DeviceProcessEvents", "two", "", ["ProcessId", "FolderPath"])
    assert chosen.data.to_pylist() == [{"ProcessId": 2, "FolderPath": "/b"}]
    assert spool.take("DeviceProcessEvents", [0, 2, 3]).values("ProcessId") == [1, 1, 3]
    assert spool.compact("DeviceProcessEvents").column("FolderPath").to_pylist() == ["/a", "/b", "/a", "/c"]
    spool.close()


def test_places_span_what_is_on_disk_and_what_is_held() -> None:
    spool = Spool(3_000)
    places = [spool.add(table("DeviceProcessEvents", process(n, 0, "/a" * 50))) for n in range(40)]
    assert places == list(range(40))
    assert spool._written["DeviceProcessEvents"]
    assert spool._held["DeviceProcessEvents"]
    assert spool.take("DeviceProcessEvents", [0, 7, 39]).values("ProcessId") == [0, 7, 39]
    assert len(spool.take("DeviceProcessEvents", [])) == 0
    spool.close()


def test_a_table_that_nothing_filled_is_empty() -> None:
    spool = Spool()
    assert len(spool.table("DeviceFileEvents")) == 0
    assert spool.of_host("DeviceFileEvents", "x", "", ["FolderPath"]).values("FolderPath") == []


_NAMED = st.tuples(st.sampled_from([None, "one", "two", "three"]), st.sampled_from(["a.log", "b.log"]))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.lists(_NAMED, min_size=1, max_size=12), min_size=1, max_size=6),
    st.sampled_from([0, 2_000, 1 << 30]),
    st.integers(1, 3),
    st.data(),
)
def test_no_row_is_lost_or_moved(
    batches: list[list[tuple[str | None, str]]], memory: int, group: int, data: st.DataObject
) -> None:
    """What a list of rows says, the spool says, however much of it is on disk."""
    rows: list[dict[str, object]] = []
    with pytest.MonkeyPatch.context() as patch, closing(Spool(memory)) as spool:
        patch.setattr(pieces, "GROUP", group)
        for batch in batches:
            new = [{"DeviceName": h, "XSourceFile": f, "ProcessId": len(rows) + n} for n, (h, f) in enumerate(batch)]
            spool.add(Table(NAME, pa.Table.from_pylist(new, SCHEMA)))
            rows += new
        assert spool.table(NAME).values("ProcessId") == [row["ProcessId"] for row in rows]
        assert spool.compact(NAME).column("ProcessId").to_pylist() == [row["ProcessId"] for row in rows]
        assert [n for part in spool.parts(NAME, ["ProcessId"]) for n in part.values("ProcessId")] == list(
            range(len(rows))
        )
        places = sorted(data.draw(st.sets(st.integers(0, len(rows) - 1))))
        assert spool.take(NAME, places).values("ProcessId") == places
        for host, file in {(row["DeviceName"], row["XSourceFile"]) for row in rows}:
            mine = [r["ProcessId"] for r in rows if r["DeviceName"] == host and (host or r["XSourceFile"] == file)]
            assert spool.of_host(NAME, host, file, ["ProcessId"]).values("ProcessId") == mine
