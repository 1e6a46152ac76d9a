"""The newest rows of a stream: asked like a run's, bounded however many come."""

from __future__ import annotations

import random

from perilune.store.window import Window
from tests.build import process, table

NAME = "DeviceProcessEvents"


def test_places_stay_and_the_oldest_rows_go() -> None:
    window = Window(kept_rows=100)
    chance, first, count = random.Random(3), {}, 0
    for _ in range(60):
        rows = [
            process(pid, 1, "/a", DeviceName=f"h{pid % 3}") for pid in range(count, count + chance.randrange(1, 20))
        ]
        assert window.add(table(NAME, *rows)) == count
        count += len(rows)
        first |= window.trim()
    begin = first[NAME]
    assert 0 < count - begin <= 100 + 20
    assert window.take(NAME, range(count)).values("ProcessId") == list(range(begin, count))
    assert window.take(NAME, [0, begin, count - 1]).values("ProcessId") == [begin, count - 1]
    assert window.since(NAME, count - 3).values("ProcessId") == [count - 3, count - 2, count - 1]
    ours = [pid for pid in range(begin, count) if pid % 3 == 1]
    assert window.of_host(NAME, "h1", "").values("ProcessId") == ours
    assert window.compact(NAME).column("ProcessId").to_pylist() == list(range(begin, count))
    assert window.take(NAME, [begin], ["FolderPath"]).data.column_names == ["FolderPath"]


def test_a_host_of_many_rows_is_its_newest_and_what_started_them() -> None:
    window = Window(host_rows=10)
    window.add(table(NAME, process(5, 1, "/sbin/init"), process(6, 5, "/bin/bash"), process(7, 1, "/bin/other")))
    window.add(table(NAME, *(process(1000 + n, 7, "/bin/ls") for n in range(40))))
    window.add(table(NAME, *(process(2000 + n, 6, "/bin/ls") for n in range(10))))
    found = window.of_host(NAME, None, "test.log").values("ProcessId")
    assert found == [5, 6, *range(2000, 2010)]


def test_rows_of_many_tables_go_where_there_are_most() -> None:
    window = Window(kept_rows=50)
    window.add(table("DeviceNetworkEvents", {"DeviceName": "h", "RemoteIP": "192.0.2.1"}))
    for number in range(30):
        window.add(table(NAME, *(process(n, 1, "/a") for n in range(10))))
        window.trim()
        assert window.rows[NAME] == 10 * (number + 1)
    assert len(window.table("DeviceNetworkEvents")) == 1
