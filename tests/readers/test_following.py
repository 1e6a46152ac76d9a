"""A log read piece by piece gives the rows that it gives when it is read at once."""

from __future__ import annotations

import random
from importlib.resources import files
from pathlib import Path

import pyarrow as pa
import pytest

from perilune import readers
from perilune.model.tables import Table, concat
from perilune.ports import Limits
from perilune.readers.detect import packaged
from perilune.readers.following import Follower, Joining, closed_events, follow

SAMPLES = Path(str(files("perilune") / "content" / "samples"))
Row = dict[str, object]


def whole(path: Path) -> dict[str, list[Row]]:
    return _rows(item for item in readers.read([path], Limits()) if isinstance(item, Table))


def _rows(tables: object) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {}
    for table in tables:  # type: ignore[attr-defined]
        rows = [{k: v for k, v in row.items() if v is not None} for row in table.data.to_pylist()]
        found.setdefault(table.name, []).extend(rows)
    return {name: sorted(rows, key=lambda row: (row["XSourceRecord"], str(row))) for name, rows in found.items()}


def follower(path: Path) -> Follower:
    found = follow(str(path), path.read_bytes()[:65_536], packaged(), None, Limits())
    assert found is not None
    return found


def in_pieces(path: Path, seed: int) -> dict[str, list[Row]]:
    """Some lines at a time; what waits for the rest of an event is asked for again with what comes next."""
    chance, data = random.Random(seed), path.read_bytes()
    one, tables, first, start, end = follower(path), [], 1, 0, 0
    while start < len(data):
        for _ in range(chance.randrange(1, 40)):
            end = data.find(b"\n", end) + 1 or len(data)
        piece = one.read(data[start:end], first, whole=end >= len(data))
        tables += piece.tables
        start, first = start + piece.size, first + piece.lines
    return _rows(readers.join(iter(tables), Limits()))


def growing() -> list[Path]:
    """The sample logs that are lines."""
    return [
        path
        for path in sorted(SAMPLES.iterdir())
        if path.suffix in (".log", ".jsonl", ".csv")
        and follow(str(path), path.read_bytes()[:65_536], packaged(), None, Limits())
    ]


@pytest.mark.parametrize("path", growing(), ids=lambda path: path.name)
@pytest.mark.parametrize("seed", [1, 2])
def test_pieces_are_the_whole(path: Path, seed: int) -> None:
    assert in_pieces(path, seed) == whole(path)


def test_some_samples_grow() -> None:
    assert len(growing()) >= 2


def test_an_audit_log_in_pieces_of_any_size(data_dir: Path) -> None:
    for path in sorted((data_dir / "auditd").glob("*.log")):
        assert in_pieces(path, 5) == whole(path), path.name


SYSCALL = b"type=SYSCALL msg=audit(1795280378.572:1): arch=c000003e syscall=59 success=yes ppid=1 pid=2 exe=/bin/sh\n"
EXECVE = b'type=EXECVE msg=audit(1795280378.572:1): argc=1 a0="sh"\n'
EOE = b"type=EOE msg=audit(1795280378.572:1): \n"
OTHER = b"type=USER_CMD msg=audit(1795280378.573:2): pid=3 msg='cmd=id'\n"


@pytest.mark.parametrize(
    ("data", "safe"),
    [
        (SYSCALL + EXECVE, b""),
        (SYSCALL + EXECVE + EOE, SYSCALL + EXECVE + EOE),
        (OTHER + SYSCALL, OTHER),
        (SYSCALL + OTHER + EOE + OTHER, SYSCALL + OTHER + EOE + OTHER),
        (EOE + SYSCALL.replace(b":1)", b":3)"), EOE),
        (b"noise\n", b"noise\n"),
    ],
)
def test_where_no_event_is_open(data: bytes, safe: bytes) -> None:
    assert data[: closed_events(data)] == safe


def test_what_was_read_before_is_learned_from() -> None:
    parent = (SYSCALL + EXECVE + EOE).replace(b"pid=2 exe=/bin/sh", b"pid=77 exe=/usr/bin/lua5.4")
    child = (SYSCALL + EXECVE + EOE).replace(b":1)", b":9)").replace(b"ppid=1 ", b"ppid=77 ")
    reader = follow("a", parent, packaged(), None, Limits(), host="web-01")
    assert reader is not None
    reader.warm(parent)
    piece = reader.read(child, 4, whole=False)
    started = next(table for table in piece.tables if table.name == "DeviceProcessEvents")
    assert started.values("InitiatingProcessFolderPath") == ["/usr/bin/lua5.4"]
    assert (started.values("DeviceName"), started.values("XSourceRecord")) == (["web-01"], [4])


@pytest.mark.parametrize("head", [b"PAR1....", b"[\n  {", b"\x00\x01\x02" * 50, b"print('hello')\n"])
def test_what_does_not_grow_in_lines(head: bytes) -> None:
    assert follow("a", head, packaged(), None, Limits()) is None


def test_scripts_whole_over_batches_and_as_they_are_when_the_rest_never_comes() -> None:
    parts = [_part(number, 2) for number in (1, 2)]
    joining = Joining(Limits())
    assert joining.add([parts[0]]) == []
    (joined,) = joining.add([parts[1]])
    assert [len(str(text)) for text in joined.values("XScriptText")] == [2 * len("part 1")]
    impatient = Joining(Limits(), patience=0)
    (rest,) = impatient.add([parts[0]])
    assert len(rest) == 1


def _part(number: int, total: int) -> Table:
    row = {
        "DeviceName": "web-01", "XScriptId": "s", "XScriptText": f"part {number}", "XPartsTotal": total,
        "XParts": [f"{number}:{len('part 1')}"], "XSourceFile": "a", "XSourceRecord": number,
    }  # fmt: skip
    return concat([Table("XScriptEvents", pa.Table.from_pylist([row]))])
