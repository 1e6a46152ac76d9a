"""A folder: every file that grows, those that come later, and none that another was rotated to."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from perilune.service.live import folder
from perilune.service.live.folder import FolderSource
from perilune.store.lake_manifest import Position


class Read:
    """What was read of a folder."""

    def __init__(self, path: Path) -> None:
        self.source = FolderSource(path, patient=False)
        self.positions: dict[str, Position] = {}
        self.lines: dict[str, list[bytes]] = {}

    def poll(self) -> None:
        self.source._looked = 0.0  # the second between two looks
        for _ in range(4):
            for chunk in list(self.source.poll(self.positions, 1 << 30)):
                found = chunk.data.splitlines()
                self.lines.setdefault(Path(chunk.stream).name, []).extend(found)
                self.positions[chunk.stream] = chunk.after(len(chunk.data), len(found))


def test_files_that_are_there_and_that_come(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "a.log").write_bytes(b"1\n")
    (tmp_path / ".hidden.log").write_bytes(b"no\n")
    with gzip.open(tmp_path / "a.log.2.gz", "wb") as packed:
        packed.write(b"no\n")
    read = Read(tmp_path)
    read.poll()
    (tmp_path / "deep" / "b.log").write_bytes(b"2\n")
    (tmp_path / "a.log").rename(tmp_path / "a.log.1")
    (tmp_path / "a.log").write_bytes(b"3\n")
    read.poll()
    assert read.lines == {"a.log": [b"1", b"3"], "b.log": [b"2"]}
    assert read.source.state.streams == 2
    read.source.stop()


def test_more_files_than_are_followed_are_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder, "MOST_FILES", 3)
    for number in range(5):
        (tmp_path / f"f{number}x.log").write_bytes(b"1\n")
    read = Read(tmp_path)
    read.poll()
    assert len(read.lines) == 3
    assert "2 files are not followed" in read.source.state.problem
    read.source.stop()


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    read = Read(tmp_path / "none")
    read.poll()
    assert read.source.state.doing == "gone"
