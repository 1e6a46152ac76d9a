"""Script files: the language by the first line and by the words, and what is no script."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from perilune.readers.scripts import language_of
from tests.readers.reading import read, read_bytes

SCRIPTS = {
    "lua": "local socket = require('socket')\nif x then\n  os.execute('id')\nend\n",
    "powershell": "$c = New-Object Net.WebClient\n$x = $c.DownloadString($u) -replace 'a','b'\nInvoke-Expression $x\n",
    "vbscript": 'On Error Resume Next\nDim sh\nSet sh = CreateObject("WScript.Shell")\nsh.Run "calc"\n',
    "javascript": 'var s = new ActiveXObject("WScript.Shell");\nfunction go(x) { s.Run(x); }\n',
    "python": "import os\n\ndef go():\n    os.system('id')\n\nif __name__ == '__main__':\n    go()\n",
    "shell": "set -eu\nfor x in a b; do\n  echo $(id)\ndone\n",
    "batch": "@echo off\nset /a x=1\nif exist %TEMP%\\a goto end\n:end\n",
}


@pytest.mark.parametrize("language", SCRIPTS)
def test_the_words_tell_the_language(tmp_path: Path, language: str) -> None:
    (row,) = read_bytes(tmp_path, SCRIPTS[language].encode()).rows["XScriptEvents"]
    assert row["XScriptLanguage"] == language
    assert row["XScriptText"] == SCRIPTS[language]
    assert len(row["SHA256"]) == 64


@pytest.mark.parametrize(
    ("first", "language"),
    [
        ("#!/usr/bin/lua5.4", "lua"),
        ("#!/usr/bin/env -S lua -W", "lua"),
        ("#! /bin/bash -e", "shell"),
        ("#!/usr/bin/env LUA_INIT=@x python3", "python"),
        ("#!/opt/odd", "odd"),
        ("plain words", None),
    ],
)
def test_the_first_line_tells_the_language(first: str, language: str | None) -> None:
    assert language_of(first + "\nx\n") == language


def test_a_text_with_a_scripts_name_needs_no_sign(tmp_path: Path) -> None:
    """As `Launcher.cmd` with its one line `start luajit.exe readme.txt`, beside what it starts in a folder or a zip."""
    path = tmp_path / "Launcher.cmd"
    path.write_text("start luajit.exe readme.txt\n")
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.write(path, "in/Launcher.cmd")
    for one in (path, tmp_path / "a.zip"):
        (row,) = read(one).rows["XScriptEvents"]
        assert (row["XScriptLanguage"], row["FileName"]) == ("batch", "Launcher.cmd")
    path.rename(tmp_path / "Launcher.txt")
    assert read(tmp_path / "Launcher.txt").report.reading == "unknown"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40)
@given(st.binary(max_size=200))
def test_any_bytes_behind_a_shebang(tmp_path: Path, noise: bytes) -> None:
    done = read_bytes(tmp_path, b"#!/bin/sh\n" + noise)
    assert not any("reader failed" in what for what in done.problems)


@pytest.mark.parametrize("head", [b"\x1bLua\x51\x00\x01\x04\x08\x04\x08\x00", b"\x1bLJ\x02\x0a"])
def test_compiled_lua_is_a_script_with_a_character_for_each_byte(tmp_path: Path, head: bytes) -> None:
    data = head + bytes(range(256))
    (row,) = read_bytes(tmp_path, data).rows["XScriptEvents"]
    assert (row["XScriptLanguage"], row["FileSize"]) == ("lua", len(data))
    assert row["XScriptText"].encode("latin-1") == data
