"""A file that grows, is rotated, packed, cut short or replaced: each line once, in order."""

from __future__ import annotations

import gzip
import os
import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from perilune.service.live import tail as tails
from perilune.service.live.sources import State
from perilune.service.live.tail import Tail
from perilune.store.lake_manifest import Position


class Log:
    """A log with lines 1, 2, 3 …, and what was read of it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.number = 0
        self.state = State()
        self.position: Position | None = None
        self.read: list[int] = []
        self.numbers: list[int] = []
        self.tail = Tail(path, self.state, patient=False)

    def write(self, count: int = 1, *, torn: bool = False) -> None:
        with self.path.open("ab") as stream:
            for _ in range(count):
                self.number += 1
                stream.write(f"line {self.number} {'x' * (self.number % 50)}\n".encode()[: -1 if torn else None])

    def restart(self) -> None:
        """The reader is killed; only the position is left."""
        self.tail.close()
        self.tail = Tail(self.path, self.state, patient=False)

    def poll(self, *, forget: bool = False) -> None:
        """Reads until there is nothing more. `forget`: the reader dies before the position is kept."""
        for _ in range(50):
            chunks = list(self.tail.poll(self.position, 1 << 30))
            if forget:
                self.restart()
                return
            for chunk in chunks:
                lines = chunk.data.splitlines()
                self.read += [int(line.split()[1]) for line in lines]
                self.numbers += range(chunk.first, chunk.first + len(lines))
                self.position = chunk.after(len(chunk.data), len(lines))
            if not chunks:
                return

    def check(self) -> None:
        self.poll()
        assert self.read == list(range(1, self.number + 1))
        assert self.numbers == self.read, "the numbers of lines go on over all files"
        assert not self.state.lost


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Log]:
    made = Log(tmp_path / "app.log")
    yield made
    made.tail.close()


def test_lines_come_when_they_are_whole(log: Log) -> None:
    log.poll()
    assert log.state.doing == "gone"
    log.write(3)
    log.write(torn=True)
    log.poll()
    assert log.read == [1, 2, 3]
    with log.path.open("ab") as stream:
        stream.write(b"\n")
    log.check()


@pytest.mark.parametrize("restart", [False, True])
def test_a_renamed_file_is_read_to_its_end_and_then_the_new_one(log: Log, restart: bool) -> None:
    log.write(5)
    log.poll()
    log.write(2)
    log.path.rename(log.path.with_name("app.log.1"))
    log.write(3)
    if restart:
        log.restart()
    log.check()


def test_two_rotations_between_two_looks(log: Log) -> None:
    log.write(5)
    log.poll()
    log.restart()
    log.write(2)
    log.path.rename(log.path.with_name("app.log.1"))
    _later(log.path.with_name("app.log.1"), 1)
    log.write(4)
    log.path.with_name("app.log.1").rename(log.path.with_name("app.log.2"))
    log.path.rename(log.path.with_name("app.log.1"))
    _later(log.path.with_name("app.log.1"), 2)
    log.write(3)
    _later(log.path, 3)
    log.check()


@pytest.mark.parametrize("restart", [False, True])
def test_a_file_that_is_copied_and_cut_short(log: Log, restart: bool) -> None:
    log.write(20)
    log.poll()
    log.write(2)
    shutil.copy(log.path, log.path.with_name("app.log.1"))
    os.truncate(log.path, 0)
    log.write(3)
    if restart:
        log.restart()
    log.check()


def test_a_file_that_was_cut_short_and_has_grown_beyond_where_it_was(log: Log) -> None:
    log.write(5)
    log.poll()
    shutil.copy(log.path, log.path.with_name("app.log.1"))
    os.truncate(log.path, 0)
    log.write(200)
    log.check()


def test_a_rotated_file_that_was_packed_meanwhile(log: Log) -> None:
    log.write(50)
    log.poll()
    log.write(30)
    log.restart()
    with gzip.open(log.path.with_name("app.log.1.gz"), "wb") as packed:
        packed.write(log.path.read_bytes())
    log.path.unlink()
    log.write(4)
    log.check()


def test_a_file_that_was_deleted_is_read_to_its_end(log: Log) -> None:
    log.write(5)
    log.poll()
    log.write(5)
    log.path.unlink()
    log.poll()
    assert log.state.doing == "gone"
    log.write(5)
    log.check()


def test_an_inode_that_is_used_again_is_another_file(log: Log) -> None:
    log.write(9)
    log.poll()
    inode = log.path.stat().st_ino
    log.restart()
    log.path.rename(log.path.with_name("app.log.1"))
    shutil.copy(log.path.with_name("app.log.1"), log.path.with_name("app.log.2"))
    log.path.with_name("app.log.1").unlink()  # its inode is free
    for _ in range(50):  # the file system gives it out again, soon or late
        log.path.unlink(missing_ok=True)
        log.path.touch()
        if log.path.stat().st_ino == inode:
            break
    log.write(100)
    log.check()


def test_what_was_lost_is_said(log: Log) -> None:
    log.write(9)
    log.poll()
    log.restart()
    log.write(9)
    log.path.unlink()  # nobody has its last nine lines
    log.number = 100
    log.write(3)
    log.poll()
    assert log.read == [*range(1, 10), 101, 102, 103]
    assert sum(log.state.lost.values()) == 1


def test_a_line_longer_than_allowed_is_left_out_and_said(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tails, "CHUNK_BYTES", 64)
    monkeypatch.setattr(tails, "Limits", lambda: type("Small", (), {"max_line_bytes": 256})())
    log.write(2)
    with log.path.open("ab") as stream:
        stream.write(b"y" * 2000)
    log.poll()
    assert log.read == [1, 2]
    assert log.state.lost


def test_a_position_at_the_end(log: Log) -> None:
    log.write(9)
    log.tail = Tail(log.path, log.state, patient=False, at_end=True)
    log.write(1, torn=True)
    log.poll()
    with log.path.open("ab") as stream:
        stream.write(b"\n")
    log.write(1)
    log.poll()
    assert log.read == [10, 11]


@pytest.mark.parametrize("seed", range(12))
def test_any_order_of_writing_rotating_and_dying(log: Log, seed: int) -> None:
    """Rotation by rename, by copy and with packing, restarts and lost positions, in any order: every line once."""
    chance = random.Random(seed)
    stamp = 1_000
    for _ in range(60):
        match chance.randrange(6):
            case 0 | 1:
                log.write(chance.randrange(1, 6))
            case 2:
                log.poll()
            case 3:
                log.restart()
            case 4:
                log.poll(forget=True)
            case 5 if log.path.exists() and log.path.stat().st_size > 300:
                log.poll()  # more than one rotation between two looks is a test of its own
                log.write(2)
                stamp += 1
                old = log.path.with_name(f"app.log.{stamp}")
                how = chance.choice(("rename", "copy", "pack"))
                if how == "copy":
                    shutil.copy(log.path, old)
                    os.truncate(log.path, 0)
                elif how == "rename":
                    log.path.rename(old)
                else:
                    with gzip.open(f"{old}.gz", "wb") as packed:
                        packed.write(log.path.read_bytes())
                    log.path.unlink()
                log.write(1)
    log.check()


def _later(path: Path, seconds: int) -> None:
    info = path.stat()
    os.utime(path, ns=(info.st_atime_ns, info.st_mtime_ns + seconds * 1_000_000_000))
