"""Bytes of compiled Lua to a `Chunk`: the door of this room. A damaged file gives what was whole and says so."""

from __future__ import annotations

from dataclasses import replace

from perilune.analysis.lua.bytecode import luajit, verify
from perilune.analysis.lua.bytecode.headers import read_header
from perilune.analysis.lua.bytecode.listing import instructions
from perilune.analysis.lua.bytecode.puc import Raw, Reader
from perilune.analysis.lua.bytecode.stream import BytecodeError, Stream
from perilune.model.lua import Chunk, Header, Prototype

MOST = 32_000_000  # bytes
MOST_CODE = 3_000_000  # instructions


def read(data: bytes) -> Chunk:
    """Compiled Lua 5.0 to 5.5 or LuaJIT, whatever the word size. Raises BytecodeError, and nothing else."""
    if len(data) > MOST:
        raise BytecodeError(f"more than {MOST:,} bytes of compiled Lua", MOST)
    if data[:3] == b"\x1bLJ":
        return luajit.read(data)
    stream = Stream(data)
    header = read_header(stream)
    main = Reader(stream, header).main()
    prototypes = _flat(header, main)
    header = replace(header, stripped=not any(p.locals or any(i.line for i in p.code[:1]) for p in prototypes))
    return Chunk(header, prototypes, verify.faults(header, prototypes), _strings(prototypes))


def size_of(data: bytes) -> int:
    """How many bytes at the start belong to the chunk; what follows is something else."""
    stream = Stream(data)
    Reader(stream, read_header(stream)).main()
    return stream.at


def _flat(header: Header, main: Raw) -> tuple[Prototype, ...]:
    """Functions numbered from the main one down, children after their parents, as the lister prints them."""
    found: list[Prototype] = []
    room = [MOST_CODE]

    def visit(raw: Raw, path: str, source: str) -> int:
        number = len(found)
        room[0] -= len(raw.code)
        if room[0] < 0:
            raise BytecodeError(f"more than {MOST_CODE:,} instructions", raw.start)
        source = raw.source.decode("utf-8", "backslashreplace") if raw.source is not None else source
        code = instructions(header.dialect, raw.code, raw.constants, raw.upvalues, raw.lines)
        one = Prototype(
            number, path, raw.start, raw.end, source, raw.line, raw.last_line, raw.parameters,
            bool(raw.vararg), raw.stack, code, tuple(raw.constants), tuple(raw.upvalues), tuple(raw.locals), (), (), raw.code_at,
        )  # fmt: skip
        found.append(one)
        children = tuple(visit(child, f"{path}/{n}", source) for n, child in enumerate(raw.children))
        found[number] = replace(one, children=children)
        return number

    visit(main, "main", "")
    return tuple(found)


def _strings(prototypes: tuple[Prototype, ...]) -> tuple[tuple[int, bytes], ...]:
    return tuple((one.number, value) for one in prototypes for value in one.constants if isinstance(value, bytes))
