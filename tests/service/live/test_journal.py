"""Journals: what was appended is read once, over kills of the writer and of the reader."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from perilune.service.live import journal
from perilune.service.live.journal import Journal, JournalFull, JournalSource, segments
from perilune.store.lake_manifest import Position


def drain(source: JournalSource, positions: dict[str, Position]) -> list[bytes]:
    found: list[bytes] = []
    for chunk in source.poll(positions, 1 << 30):
        lines = chunk.data.splitlines()
        assert chunk.first == len(found) + 1 + int(str(positions.get("x:", {}).get("lines", 0))) or found
        found += lines
        positions[chunk.stream] = chunk.after(len(chunk.data), len(lines))
    return found


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "SEGMENT_BYTES", 100)


def test_lines_over_segments_readers_and_writers(tmp_path: Path, small: None) -> None:
    positions: dict[str, Position] = {}
    written: list[bytes] = []
    read: list[bytes] = []
    for round_ in range(6):
        writer = Journal(tmp_path / "main")  # the one before was killed
        for number in range(7):
            line = b"line %d %d %s" % (round_, number, b"x" * 20)
            writer.append(line + b"\n", durable=number == 0)
            written.append(line)
        read += drain(JournalSource("x:", tmp_path, {"main": "syslog"}), positions)
    assert read == written
    assert positions["x:"]["lines"] == len(written)
    drain(JournalSource("x:", tmp_path, {"main": "syslog"}), positions)
    assert len(segments(tmp_path / "main")) == 2, "what is in the lake is deleted, but for the last"


def test_a_position_that_was_not_kept_gives_the_same_again(tmp_path: Path, small: None) -> None:
    writer = Journal(tmp_path / "main")
    for number in range(20):
        writer.append(b"line %d\n" % number)
    source = JournalSource("x:", tmp_path, {"main": "syslog"})
    first = drain(source, {})
    assert drain(source, {}) == first == [b"line %d" % number for number in range(20)]


def test_half_a_line_of_a_writer_that_was_killed(tmp_path: Path) -> None:
    writer = Journal(tmp_path / "main")
    writer.append(b"whole\n")
    with next(iter(segments(tmp_path / "main").values())).open("ab") as stream:
        stream.write(b"hal")
    Journal(tmp_path / "main").append(b"next\n")
    source = JournalSource("x:", tmp_path, {"main": "syslog"})
    assert drain(source, {}) == [b"whole", b"next"]
    assert sum(source.state.lost.values()) == 1


def test_a_journal_that_nobody_reads_is_full_at_last(tmp_path: Path) -> None:
    writer = Journal(tmp_path / "main", most_bytes=1000)
    with pytest.raises(JournalFull, match="wait to be read"):
        for _ in range(500):
            writer.append(b"x" * 99 + b"\n")


def test_many_threads_write_whole_lines(tmp_path: Path) -> None:
    writer = Journal(tmp_path / "main")

    def work(name: int) -> None:
        for number in range(200):
            writer.append(b"%d:%d\n" % (name, number))

    threads = [threading.Thread(target=work, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = drain(JournalSource("x:", tmp_path, {"main": "syslog"}), {})
    assert sorted(found) == sorted(b"%d:%d" % (name, number) for name in range(4) for number in range(200))
