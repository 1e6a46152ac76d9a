"""Files that cannot be read, archives in archives, bombs: one clear line each, and never a hang."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import os
import pickle
import socket
import tarfile
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from perilune import readers
from perilune.model.sources import Reading, SourceReport
from perilune.readers import Limits, Source
from tests.readers.reading import read, read_bytes

ROW = {
    "Timestamp": "2026-03-02T08:15:30.1234567Z",
    "DeviceName": "ws1",
    "ActionType": "ProcessCreated",
    "FileName": "lua.exe",
    "ProcessCommandLine": "lua.exe -e x",
}
LINE = json.dumps(ROW).encode() + b"\n"


def zipped(**members: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return out.getvalue()


def tarred(**members: bytes) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def one_line(done: SourceReport) -> str:
    (problem,) = done.problems
    assert len(problem.what) < 400
    return problem.what


PACKED: dict[str, Callable[[], bytes]] = {
    "gzip": lambda: gzip.compress(LINE),
    "two gzips in a row": lambda: gzip.compress(LINE) + gzip.compress(b""),
    "gzip and padding": lambda: gzip.compress(LINE) + b"\0" * 512,
    "gzip in gzip": lambda: gzip.compress(gzip.compress(LINE)),
    "bzip2": lambda: bz2.compress(LINE),
    "xz": lambda: lzma.compress(LINE),
    "zip": lambda: zipped(a=LINE),
    "tar": lambda: tarred(a=LINE),
    "tar.gz": lambda: gzip.compress(tarred(a=LINE)),
    "zip in zip": lambda: zipped(a=zipped(b=LINE)),
    "gzip in tar.gz in zip": lambda: zipped(a=gzip.compress(tarred(b=gzip.compress(LINE)))),
    "utf-16": lambda: LINE.decode().encode("utf-16"),
    "utf-16 without a mark": lambda: LINE.decode().encode("utf-16-le"),
    "utf-8 with a mark": lambda: LINE.decode().encode("utf-8-sig"),
    "utf-32": lambda: LINE.decode().encode("utf-32"),
}


@pytest.mark.parametrize("how", PACKED)
@pytest.mark.parametrize("name", ["input", "wrong.evtx", "wrong.zip"])
def test_contents_decide_not_names(tmp_path: Path, how: str, name: str) -> None:
    done = read_bytes(tmp_path, PACKED[how](), name=name)
    assert done.counts == {"DeviceProcessEvents": 1}
    assert done.report.reading is Reading.COMPLETE


def test_members_are_named(tmp_path: Path) -> None:
    path = tmp_path / "logs.zip"
    path.write_bytes(zipped(**{"b/x.jsonl": LINE, "a.zip": zipped(y=LINE)}))
    done = read(path)
    assert [report.path for report in done.reports] == [f"{path}!b/x.jsonl", f"{path}!a.zip!y"]
    assert {row["XSourceFile"] for row in done.rows["DeviceProcessEvents"]} == {r.path for r in done.reports}


def test_a_second_member_of_the_same_name_is_not_hidden(tmp_path: Path) -> None:
    path = tmp_path / "logs.zip"
    with zipfile.ZipFile(path, "w") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("a", LINE)
        archive.writestr("a", LINE * 2)
    assert [report.records for report in read(path).reports] == [1, 2]


def test_names_cannot_break_lines(tmp_path: Path) -> None:
    done = read_bytes(tmp_path, zipped(**{"a\nb\x1b[2J": LINE}))
    assert done.report.path.endswith("!a�b�[2J")


def test_sources_travel_to_other_processes(tmp_path: Path) -> None:
    path = tmp_path / "logs.zip"
    path.write_bytes(zipped(a=LINE, b=LINE))
    found = [one for one in readers.discover([path], Limits()) if isinstance(one, Source)]
    for source in pickle.loads(pickle.dumps(found)):
        *_, report = readers.read_source(source)
        assert isinstance(report, SourceReport)
        assert report.rows == {"DeviceProcessEvents": 1}


# --- what is not readable


def test_missing_and_empty(tmp_path: Path) -> None:
    assert one_line(read(tmp_path / "none").report) == "no such file"
    assert one_line(read_bytes(tmp_path, b"").report) == "empty"
    assert one_line(read_bytes(tmp_path, gzip.compress(b"")).report) == "empty"
    assert read(tmp_path).report.reading is Reading.UNREADABLE


def test_links_and_special_files(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(LINE)
    (tmp_path / "again").symlink_to("a.jsonl")
    (tmp_path / "broken").symlink_to("nothing")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "up").symlink_to("..")
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.path.relpath(tmp_path / "sock"))
        done = read([tmp_path, Path("/dev/null")])
    lines = {Path(report.path).name: one_line(report) for report in done.reports if report.problems}
    assert lines == {
        "broken": "broken symbolic link",
        "loop": "symbolic link loop",
        "up": "symbolic link loop: it leads back to a folder that it lies in",
        "pipe": "not a regular file but a pipe",
        "sock": "not a regular file but a socket",
        "null": "not a regular file but a device",
    }
    assert done.counts == {"DeviceProcessEvents": 1}
    (again,) = [report for report in done.reports if report.path.endswith("again")]
    assert list(again.skipped) == [f"the same as {tmp_path / 'a.jsonl'}, which is read"]


def test_no_permission(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_bytes(LINE)
    path.chmod(0)
    if os.access(path, os.R_OK):
        pytest.skip("this user may read files of any mode")
    folder = tmp_path / "folder"
    folder.mkdir(mode=0)
    assert one_line(read(path).report) == "permission denied"
    assert one_line(read(folder).report) == "permission denied"


def test_no_permission_is_one_line_for_root_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    (tmp_path / "a").write_bytes(LINE)
    monkeypatch.setattr(os, "open", refuse)
    assert one_line(read(tmp_path / "a").report) == "permission denied"


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (os.urandom(1) * 0 + bytes(range(256)) * 300, "binary data that no reader recognises"),
        (b"\0" * 100_000, "binary data that no reader recognises"),
        (b"hello world\n" * 1000, "text that no reader recognises; `perilune sources list` shows"),
        (b"a" * 10_000_000, "text that no reader recognises"),
        (b"\xff\xfe" + b"\0\xd8" * 1000, "text that no reader recognises"),
    ],
    ids=["binary", "zeros", "text", "one token", "surrogates"],
)
def test_unrecognised(tmp_path: Path, data: bytes, says: str) -> None:
    report = read_bytes(tmp_path, data).report
    assert report.reading is Reading.UNKNOWN
    assert one_line(report).startswith(says)


# --- bombs and damage


def test_a_gzip_bomb_ends_at_its_budget(tmp_path: Path) -> None:
    done = read_bytes(tmp_path, gzip.compress(LINE * 150_000), replace(Limits(), max_archive_ratio=20))
    assert done.report.reading is Reading.PARTIAL
    assert "unpacks to more than 20 times its size; not read further" in done.problems
    assert done.report.records < 150_000


def test_a_zip_bomb_is_not_opened(tmp_path: Path) -> None:
    done = read_bytes(tmp_path, zipped(a=b"\0" * 64_000_000))
    assert one_line(done.report) == "would unpack to 64,000,000 bytes, over 250 times its size; not read"


def test_a_zip_that_lies_about_its_size_ends_at_its_budget(tmp_path: Path) -> None:
    limits = replace(Limits(), max_file_bytes=1000)
    done = read_bytes(tmp_path, zipped(a=LINE * 100), limits)
    assert "truncated: more than 1,000 bytes unpacked" in done.problems


def test_overlapping_members_are_refused(tmp_path: Path) -> None:
    data = bytearray(zipped(a=LINE))
    at = data.find(b"PK\x01\x02")
    data[at + 20 : at + 24] = (10**6).to_bytes(4, "little")
    assert one_line(read_bytes(tmp_path, bytes(data)).report) == "members overlap, as in a zip bomb; not read"


def test_archives_within_archives_have_a_limit(tmp_path: Path) -> None:
    data = LINE
    for _ in range(5):
        data = zipped(a=data)
    assert one_line(read_bytes(tmp_path, data).report) == "more than 3 archives within each other"


def test_members_have_a_limit(tmp_path: Path) -> None:
    limits = replace(Limits(), max_archive_members=2)
    for pack in (zipped, tarred):
        done = read_bytes(tmp_path, pack(a=LINE, b=LINE, c=LINE, d=LINE), limits)
        assert done.counts == {"DeviceProcessEvents": 2}
        assert one_line(done.reports[-1]) == "more than 2 members; the rest is not read"


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (zipped(a=LINE)[:-30], "broken archive: truncated, its directory at the end is missing"),
        (zipped(), "an archive without files"),
        (tarred(a=LINE * 30)[:700], "broken archive: truncated"),
        (b"\x1f\x8b" + b"garbage" * 100, "Error -3 while decompressing data"),
        (b"\xfd7zXZ\0" + b"garbage" * 100, ""),
        (b"BZh91AY&SY" + b"garbage" * 100, ""),
        (b"PK\x03\x04" + b"garbage" * 100, "broken archive: truncated"),
        (b"x" * 257 + b"ustar" + b"x" * 500, "broken archive"),
    ],
)
def test_damaged_archives(tmp_path: Path, data: bytes, says: str) -> None:
    report = read_bytes(tmp_path, data).reports[-1]
    assert report.reading in (Reading.UNREADABLE, Reading.PARTIAL, Reading.UNKNOWN)
    assert says in " ".join(problem.what for problem in report.problems)


def test_an_encrypted_member_is_said(tmp_path: Path) -> None:
    data = bytearray(zipped(a=LINE))
    for mark, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.find(mark) + at] |= 1
    assert one_line(read_bytes(tmp_path, bytes(data)).report) == "encrypted; unpack it first"


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
def test_packed_data_that_breaks_off_gives_what_came_before(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    lines = b"".join(json.dumps({**ROW, "DeviceId": os.urandom(200).hex()}).encode() + b"\n" for _ in range(3000))
    done = read_bytes(tmp_path, pack(lines)[:-300])
    assert done.report.reading is Reading.PARTIAL
    assert "truncated: the packed data breaks off" in done.problems or pack is bz2.compress
    assert 1000 < done.report.records < 3000


def test_a_failing_disk_ends_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from perilune.readers import streams

    class Failing(io.BytesIO):
        def read1(self, size: int | None = -1, /) -> bytes:
            raise OSError(5, "Input/output error")

    stream = streams.Guarded(Failing(b"x"))
    assert stream.read(10) == b""
    assert stream.fault == "input/output error"
