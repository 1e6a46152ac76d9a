import pytest

from perilune.store.spool import Spool
from tests.build import process, table


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
    assert spool._files["DeviceProcessEvents"]
    assert spool._held["DeviceProcessEvents"]
    assert spool.take("DeviceProcessEvents", [0, 7, 39]).values("ProcessId") == [0, 7, 39]
    assert len(spool.take("DeviceProcessEvents", [])) == 0
    spool.close()


def test_a_table_that_nothing_filled_is_empty() -> None:
    spool = Spool()
    assert len(spool.table("DeviceFileEvents")) == 0
    assert spool.of_host("DeviceFileEvents", "x", "", ["FolderPath"]).values("FolderPath") == []
