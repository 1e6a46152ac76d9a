"""The readers against the listers of Lua and LuaJIT themselves, against damage, and on what no compiler writes."""

from __future__ import annotations

import contextlib
import re
import shutil
import struct
import subprocess
import time
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from perilune.analysis import lua
from perilune.analysis.lua.bytecode import luau
from perilune.analysis.lua.bytecode.chunks import read
from perilune.analysis.lua.bytecode.listing import constant_text, layout
from perilune.analysis.lua.bytecode.stream import BytecodeError
from perilune.model.lua import Chunk, Dialect, Form, Prototype
from tests.analysis.lua.found import lua_files
from tests.analysis.lua.programs import program

VERSIONS = {"5.1": Dialect.LUA51, "5.2": Dialect.LUA52, "5.3": Dialect.LUA53, "5.4": Dialect.LUA54}
LEAST = 300  # files that are compared for each compiler: programs made here, and those installed here
OWN, THEIRS = 290, 30
SEEDS = sorted((Path(__file__).parent / "corpus" / "compiled").glob("*.luac"))
BATCH = {"5.1": 60, "5.2": 60, "5.3": 60, "5.4": 1}  # files for one process; luac 5.4 aborts on several compiled ones

# Compiles every file of a list, for those that compile writes the dump beside it, and says which.
COMPILE = """
for path in io.lines(arg[1]) do
  local f = loadfile(path)
  if f then
    local out = io.open(path .. 'c', 'wb')
    out:write(string.dump(f, arg[2] == 'strip'))
    out:close()
    print(path .. 'c')
  end
end
"""
# What `luajit -bl` does, for many files in one process.
JIT_LIST = """
local bc = require('jit.bc')
for path in io.lines(arg[1]) do
  print('-- FILE')
  bc.dump(assert(loadfile(path)), io.stdout, true)
end
"""


def _sources(folder: Path) -> list[Path]:
    """Programs under short names of our own, so that chunks name no path of this machine."""
    theirs = (path for path in lua_files() if path.suffix == ".lua" and path.stat().st_size < 25_000)
    texts = [program(seed).encode("latin-1") for seed in range(OWN)]
    texts += [path.read_bytes() for path, _ in zip(theirs, range(THEIRS), strict=False)]
    paths = [folder / f"p{number}.lua" for number in range(len(texts))]
    for path, text in zip(paths, texts, strict=True):
        path.write_bytes(text)
    return paths


def _lua(lua: str, folder: Path, script: str, paths: Iterable[Path], *options: str) -> str:
    (folder / "script").write_text(script)
    (folder / "list").write_text("".join(f"{path.name}\n" for path in paths))
    done = subprocess.run([lua, "script", "list", *options], cwd=folder, capture_output=True)
    if b"jit.bc" in done.stderr:
        pytest.skip("this luajit has no lister (libluajit-5.1-common)")
    assert done.returncode == 0, done.stderr
    return done.stdout.decode("utf-8", "backslashreplace")


def _compiled(lua: str, folder: Path, *options: str) -> list[Path]:
    return [folder / name for name in _lua(lua, folder, COMPILE, _sources(folder), *options).split()]


@pytest.mark.parametrize("version", VERSIONS)
def test_every_function_constant_and_instruction_as_luac_lists_them(version: str, tmp_path: Path) -> None:
    lua, luac = shutil.which(f"lua{version}"), shutil.which(f"luac{version}")
    if lua is None or luac is None:
        pytest.skip(f"lua{version} is not installed")
    paths = _compiled(lua, tmp_path)
    assert len(paths) >= LEAST
    for at in range(0, len(paths), BATCH[version]):
        batch = paths[at : at + BATCH[version]]
        # Given several files, luac lists them as one: a main function of its own, then theirs in order.
        command = [luac, "-l", "-l", "-p", *(path.name for path in batch)]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, check=True)
        functions = _luac_listing(done.stdout.decode("utf-8", "backslashreplace"))
        listed = iter(functions[1:] if BATCH[version] > 1 else functions)
        for path in batch:
            chunk = read(path.read_bytes())
            assert not chunk.faults
            assert chunk.header.dialect is VERSIONS[version]
            for ours in chunk.prototypes:
                _same(next(listed), ours, chunk)
        assert next(listed, None) is None


class _Listed:
    def __init__(self, head: str) -> None:
        self.head = head
        self.counts = ""
        self.code: list[tuple[int, int, str, list[int], str]] = []
        self.constants: list[str] = []


_INSTRUCTION = re.compile(r"\t(\d+)\t\[(\d+|-)\]\t(\w+)[ \t]*([-\dk ]*?)(?:\t; (.*))?$")


def _luac_listing(text: str) -> list[_Listed]:
    found: list[_Listed] = []
    part = ""
    for line in re.split(r"\n(?=\t|main|function|constants|locals|upvalues|\d|$)", text):
        if re.match(r"(main|function) <", line):
            found.append(_Listed(line))
            part = "code"
        elif match := re.match(r"(constants|locals|upvalues) \(\d+\)", line):
            part = match[1]
        elif part == "code" and (match := _INSTRUCTION.match(line)):
            operands = [int(word) for word in match[4].replace("k", " 1").split()]
            found[-1].code.append(
                (int(match[1]), 0 if match[2] == "-" else int(match[2]), match[3], operands, match[5] or "")
            )
        elif part == "code" and "slot" in line:
            found[-1].counts = line
        elif part == "constants" and (match := re.match(r"\t\d+\t(?:[SFINB]\t)?([\s\S]*)$", line)):
            found[-1].constants.append(match[1])
    return found


def _same(theirs: _Listed, ours: Prototype, chunk: Chunk) -> None:
    counts = [int(n) for n in re.findall(r"(\d+)\+? (?:param|slot|upvalue|local|constant|function)", theirs.counts)]
    assert counts == [
        ours.parameters,
        ours.stack,
        len(ours.upvalues),
        len(ours.locals),
        len(ours.constants),
        len(ours.children),
    ]
    assert len(theirs.code) == len(ours.code), theirs.head
    fields = {name: names for name, names, _ in layout(chunk.header.dialect)[1]}
    for (pc, line, name, operands, comment), one in zip(theirs.code, ours.code, strict=True):
        if one.comment.startswith("data "):
            continue
        mine = list(one.operands)
        if fields[name][-1:] == ("k",) and len(operands) < len(mine):
            operands = [*operands, 0]  # the flag is printed where it is set, as a `k`
        if name == "SETLIST" and mine[-1] == 1 and chunk.header.dialect is Dialect.LUA54:
            operands, mine = operands[:1], mine[:1]  # luac prints the sum of two words here
        assert (one.pc, one.line, one.name, mine) == (pc, line, name, operands), theirs.head
        if one.target is not None and (target := re.search(r"\bto (\d+)", comment)):
            assert one.target == int(target[1])
    assert len(theirs.constants) == len(ours.constants)
    for theirs_text, constant in zip(theirs.constants, ours.constants, strict=True):
        _same_constant(theirs_text, constant)


def _same_constant(theirs: str, ours: object) -> None:
    if isinstance(ours, bytes):
        assert theirs.startswith('"')
        plain = re.sub(rb"[^\x20-\x7e]", b"", ours).replace(b"\\", b"").replace(b'"', b"")
        shown = re.sub(r'\\(?:\d{3}|[abfnrtv])|[^\x20-\x7e]|[\\"]', "", theirs)
        assert shown[:60] == plain.decode()[:60] or b"\\" in ours or b"\0" in ours
    elif isinstance(ours, float):
        assert float(theirs.replace("inf", "1e999")) == pytest.approx(ours, rel=1e-12)
    else:
        assert theirs == constant_text(ours)  # type: ignore[arg-type]


@pytest.mark.parametrize("debug", [True, False])
def test_every_function_constant_and_instruction_as_luajit_lists_them(debug: bool, tmp_path: Path) -> None:
    luajit = shutil.which("luajit")
    if luajit is None:
        pytest.skip("luajit is not installed")
    paths = _compiled(luajit, tmp_path, *([] if debug else ["strip"]))
    assert len(paths) >= LEAST
    listings = _lua(luajit, tmp_path, JIT_LIST, paths).split("-- FILE\n")[1:]
    assert len(listings) == len(paths)
    for path, listed in zip(paths, listings, strict=True):
        functions = _jit_listing(listed)
        chunk = read(path.read_bytes())
        assert not chunk.faults
        assert chunk.header.stripped is not debug
        assert len(functions) == len(chunk.prototypes)
        for theirs, ours in zip(functions, reversed(chunk.prototypes), strict=True):
            assert [row[:4] for row in theirs] == [(i.pc, i.name, list(i.operands), i.target) for i in ours.code]
            for (*_, comment), one in zip(theirs, ours.code, strict=True):
                _same_comment(comment, one.comment)


_JIT = re.compile(r"(\d{4,}) .. ([A-Z0-9]+)\s*([-\d ]*?)(?:=> (\d+))?\s*(?:  ; ([\s\S]*))?$")


def _jit_listing(text: str) -> list[list[tuple[int, str, list[int], int | None, str]]]:
    found: list[list[tuple[int, str, list[int], int | None, str]]] = []
    for line in text.split("\n"):
        if line.startswith("-- BYTECODE"):
            found.append([])
        elif match := _JIT.match(line):
            target = int(match[4]) if match[4] else None
            found[-1].append((int(match[1]), match[2], [int(w) for w in match[3].split()], target, match[5] or ""))
    return found


def _same_comment(theirs: str, ours: str) -> None:
    if theirs.startswith('"') and "\\" not in theirs and "\\" not in ours:
        assert ours.rstrip('…"').startswith(theirs.rstrip('~"')[:38].rstrip('"')) or theirs.rstrip('~"')[:30] in ours
    elif re.fullmatch(r"-?[\d.e+]+", theirs):
        assert float(ours) == pytest.approx(float(theirs))


# 32 and 64 bit, both byte orders: the same program, rewritten


def _as(chunk: bytes, *, little: bool, size_t: int) -> bytes:
    """A 5.1 dump of a little-endian 64-bit machine as another machine would have written it."""
    order = "<" if little else ">"
    at = 12
    out = bytearray(b"\x1bLua\x51\x00" + bytes([little, 4, size_t, 4, 8, 0]))

    def number(size: int, wanted: int | None = None) -> int:
        nonlocal at
        value = int.from_bytes(chunk[at : at + size], "little")
        at += size
        out.extend(value.to_bytes(wanted or size, "little" if little else "big"))
        return value

    def raw(size: int) -> bytes:
        nonlocal at
        at += size
        out.extend(chunk[at - size : at])
        return chunk[at - size : at]

    def string() -> None:
        raw(number(8, size_t))

    def function() -> None:
        nonlocal at
        string()
        number(4), number(4), raw(4)
        for _ in range(number(4)):
            number(4)
        for _ in range(number(4)):
            tag = raw(1)[0]
            if tag == 1:
                raw(1)
            elif tag == 3:
                out.extend(struct.pack(order + "d", struct.unpack("<d", chunk[at : at + 8])[0]))
                at += 8
            elif tag == 4:
                string()
        for _ in range(number(4)):
            function()
        for _ in range(number(4)):
            number(4)
        for _ in range(number(4)):
            string(), number(4), number(4)
        for _ in range(number(4)):
            string()

    function()
    return bytes(out)


@pytest.mark.parametrize("little", [True, False])
@pytest.mark.parametrize("size_t", [4, 8])
def test_any_word_size_and_byte_order(little: bool, size_t: int) -> None:
    for path in SEEDS:
        data = path.read_bytes()
        if data[4] != 0x51:
            continue
        other = _as(data, little=little, size_t=size_t)
        ours, theirs = read(data), read(other)
        assert (theirs.header.little, theirs.header.size_t) == (little, size_t)
        assert [p.constants for p in ours.prototypes] == [p.constants for p in theirs.prototypes]
        assert [p.code for p in ours.prototypes] == [p.code for p in theirs.prototypes]
        assert lua.analyze(data).intents == lua.analyze(other).intents


def test_lua_55(tmp_path: Path) -> None:
    lua55 = pytest.importorskip("lupa.lua55", reason="lupa with Lua 5.5 is not installed")
    dump = lua55.LuaRuntime(encoding=None).eval(
        b"function(s, b) local f = load(s, '=p') return f and string.dump(f, b) end"
    )
    read_ones = 0
    for seed in range(80):
        for stripped in (False, True):
            data = dump(program(seed).encode("latin-1"), stripped)
            if data is None:
                continue
            chunk = read(bytes(data))
            assert chunk.header.dialect is Dialect.LUA55 and not chunk.faults
            read_ones += 1
    assert read_ones >= 60


# Damage


@pytest.mark.parametrize("path", SEEDS, ids=lambda p: p.stem)
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damaged_bytecode_is_a_chunk_or_a_located_error(path: Path, data: st.DataObject) -> None:
    raw = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 12))):
        raw[data.draw(st.integers(4, len(raw) - 1))] = data.draw(st.integers(0, 255))
    damaged = bytes(raw[: data.draw(st.integers(5, len(raw)))])
    started = time.process_time()
    try:
        read(damaged)
    except BytecodeError as error:
        assert 0 <= error.offset <= len(damaged)
    lua.analyze(damaged)
    assert time.process_time() - started < 5


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from([b"\x1bLua" + bytes([v]) for v in range(0x50, 0x57)] + [b"\x1bLJ\x01", b"\x1bLJ\x02"]),
    st.binary(max_size=300),
)
def test_any_bytes_behind_a_signature(head: bytes, rest: bytes) -> None:
    with contextlib.suppress(BytecodeError):
        read(head + rest)
    lua.analyze(head + rest)


# What no compiler writes


def _first(version: int) -> bytes:
    return next(path.read_bytes() for path in SEEDS if path.read_bytes()[4] == version)


def test_impossible_opcodes_are_a_modified_vm() -> None:
    raw = bytearray(_first(0x51))
    code = read(bytes(raw)).prototypes[0].code_at
    for n in range(3):
        raw[code + 4 * n] = raw[code + 4 * n] & 0xC0 | 0x3D
    found = lua.analyze(bytes(raw))
    assert found.identity.form is Form.MODIFIED
    assert any("impossible opcode" in e.text for e in found.identity.evidence)
    assert found.unseen


def test_a_jump_out_of_the_function_is_a_fault() -> None:
    raw = bytearray(_first(0x51))
    chunk = read(bytes(raw))
    jump = next(i for i in chunk.prototypes[0].code if i.name == "JMP")
    at = chunk.prototypes[0].code_at + 4 * (jump.pc - 1)
    raw[at : at + 4] = (0x16 | 0x3FFFF << 14).to_bytes(4, "little")
    assert any("jump to" in fault for fault in read(bytes(raw)).faults)


def test_sizes_that_promise_more_than_there_is_cost_nothing() -> None:
    raw = bytearray(_first(0x51))
    raw[12:20] = (1 << 40).to_bytes(8, "little")
    started = time.process_time()
    with pytest.raises(BytecodeError, match=r"bytes wanted"):
        read(bytes(raw))
    assert time.process_time() - started < 0.1


def test_lua_50_header_and_strings() -> None:
    name = b"print\0"
    body = struct.pack("<Q", 3) + b"=x\0" + struct.pack("<i", 0) + bytes([0, 0, 0, 2])  # source, line, shape
    body += struct.pack("<iii", 0, 0, 0)  # lines, locals, upvalue names
    body += struct.pack("<i", 1) + b"\x04" + struct.pack("<Q", len(name)) + name
    body += struct.pack("<i", 0)  # functions
    code = [5 | 0 << 6, 25 | 1 << 15 | 1 << 6, 27 | 1 << 15]  # GETGLOBAL print, CALL, RETURN
    body += struct.pack("<i", len(code)) + b"".join(struct.pack("<I", word) for word in code)
    data = b"\x1bLua\x50\x01\x04\x08\x04\x06\x08\x09\x09\x08" + struct.pack("<d", 3.14159265358979323846e7) + body
    chunk = read(data)
    assert chunk.header.dialect is Dialect.LUA50
    assert [i.name for i in chunk.prototypes[0].code] == ["GETGLOBAL", "CALL", "RETURN"]
    assert chunk.prototypes[0].code[0].comment == '"print"'


def test_luau_is_recognised_and_its_strings_read() -> None:
    texts = [b"game", b"HttpGet", b"https://panel.example.com/a.lua", b"loadstring"]
    data = bytes([6, 2, len(texts)]) + b"".join(bytes([len(t)]) + t for t in texts) + bytes([1]) + bytes(40)
    found = lua.analyze(data, "x.bin")
    assert found.identity.dialect is Dialect.LUAU
    assert "https://panel.example.com/a.lua" in {one.value for one in found.indicators}
    assert luau.recognised(b"\x06just a text that begins with six") is None
