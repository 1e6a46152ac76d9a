"""Dumps of LuaJIT 2.0 and 2.1: header, prototypes, constants, debug names, listing and faults."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

from perilune.analysis.lua.bytecode.listing import strings_of
from perilune.analysis.lua.bytecode.opcodes import LUAJIT20, LUAJIT21
from perilune.analysis.lua.bytecode.stream import BytecodeError, Stream
from perilune.model.lua import Child, Chunk, Constant, Dialect, Header, Instruction, Local, Prototype, Table, Upvalue

MOST_FUNCTIONS = 20_000
MOST_CODE = 3_000_000
BIAS = 0x8000
_FLAGS = ((1, "big-endian"), (2, "stripped"), (4, "FFI"), (8, "FR2"))
_VARIABLES = ("", "(for index)", "(for stop)", "(for step)", "(for generator)", "(for state)", "(for control)")


@dataclass(slots=True)
class _Raw:
    start: int
    end: int
    flags: int
    parameters: int
    stack: int
    code_at: int = 0
    code: list[int] = field(default_factory=list)
    upvalues: list[int] = field(default_factory=list)
    constants: list[Constant] = field(default_factory=list)
    numbers: list[Constant] = field(default_factory=list)
    line: int = 0
    line_count: int = 0
    lines: list[int] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    locals: list[Local] = field(default_factory=list)
    children: list[int] = field(default_factory=list)


def read(data: bytes) -> Chunk:
    """A dump. Raises BytecodeError where the bytes are no dump at all or end early."""
    stream = Stream(data)
    if stream.take(3) != b"\x1bLJ":
        raise BytecodeError("no signature of LuaJIT", 0)
    version = stream.byte()
    if version not in (1, 2):
        raise BytecodeError(f"version {version} of LuaJIT's dumps is not known", 3)
    bits = stream.uleb()
    flags = tuple(name for bit, name in _FLAGS if bits & bit)
    extra = (f"unknown flags {bits & ~15:#x}",) if bits & ~15 else ()
    stream.little = not bits & 1
    stripped = bool(bits & 2)
    source = "" if stripped else stream.take(stream.uleb()).decode("utf-8", "backslashreplace")
    dialect = Dialect.LUAJIT20 if version == 1 else Dialect.LUAJIT21
    header = Header(dialect, stream.at, stream.little, stripped=stripped, flags=flags + extra)
    raws = _prototypes(stream, stripped)
    prototypes = _listed(raws, dialect, source)
    found = tuple(f for one in prototypes for f in _faults(one))[:60]
    strings = tuple((p.number, v) for p in prototypes for v in strings_of(p.constants))
    return Chunk(header, prototypes, (*extra, *found), strings)


def _prototypes(stream: Stream, stripped: bool) -> list[_Raw]:
    """Children come before their parents, which name them by taking the latest."""
    found: list[_Raw] = []
    waiting: list[int] = []
    code = 0
    while True:
        start = stream.at
        size = stream.uleb() if stream.left else 0
        if size == 0:
            break
        if size > stream.left or len(found) >= MOST_FUNCTIONS:
            raise stream.wrong(f"a function of {size:,} bytes with {stream.left:,} left, or too many functions")
        end = stream.at + size
        raw = _prototype(stream, start, end, stripped, waiting)
        if stream.at != end:
            raise stream.wrong(f"the function ends at {stream.at:,} and says {end:,}")
        code += len(raw.code)
        if code > MOST_CODE:
            raise stream.wrong(f"more than {MOST_CODE:,} instructions")
        waiting.append(len(found))
        found.append(raw)
    if not found:
        raise stream.wrong("there is no function")
    return found


def _prototype(stream: Stream, start: int, end: int, stripped: bool, waiting: list[int]) -> _Raw:
    flags, parameters, stack, upvalues = (stream.byte() for _ in range(4))
    constants, numbers, instructions = stream.uleb(), stream.uleb(), stream.uleb()
    raw = _Raw(start, end, flags, parameters, stack)
    debug = 0
    if not stripped and (debug := stream.uleb()):
        raw.line, raw.line_count = stream.uleb(), stream.uleb()
    raw.code_at = stream.at
    raw.code = stream.words(instructions, 4)
    raw.upvalues = stream.words(upvalues, 2)
    raw.constants = [_constant(stream, waiting, raw) for _ in range(stream.counted(constants, 1, "constants"))]
    raw.numbers = [_number(stream) for _ in range(stream.counted(numbers, 1, "numbers"))]
    if debug:
        _debug(stream, raw, end)
    return raw


def _constant(stream: Stream, waiting: list[int], raw: _Raw) -> Constant:
    kind = stream.uleb()
    if kind >= 5:
        return stream.take(kind - 5)
    if kind == 0:
        if not waiting:
            raise stream.wrong("a function is named that was not stored")
        raw.children.append(waiting.pop())
        return Child(raw.children[-1])
    if kind == 1:
        return _table(stream)
    parts = [stream.uleb() | stream.uleb() << 32 for _ in range(2 if kind == 4 else 1)]
    if kind == 4:
        return complex(_double(parts[0]), _double(parts[1]))
    value = parts[0] & (1 << 64) - 1
    return value - (1 << 64) if kind == 2 and value >> 63 else value


def _table(stream: Stream) -> Table:
    array, pairs = stream.uleb(), stream.uleb()
    stream.counted(array + 2 * pairs, 1, "table items")
    items = tuple(_item(stream) for _ in range(array))
    return Table(items, tuple((_item(stream), _item(stream)) for _ in range(pairs)))


def _item(stream: Stream) -> Constant:
    kind = stream.uleb()
    if kind >= 5:
        return stream.take(kind - 5)
    if kind == 3:
        value = stream.uleb() & 0xFFFFFFFF
        return value - (1 << 32) if value >> 31 else value
    if kind == 4:
        return _double(stream.uleb() | stream.uleb() << 32)
    return (None, False, True)[kind]


def _double(bits: int) -> float:
    return float(struct.unpack("<d", (bits & (1 << 64) - 1).to_bytes(8, "little"))[0])


def _number(stream: Stream) -> Constant:
    """33 bits: the lowest says whether it is the low half of a double."""
    first = stream.byte()
    value = first >> 1
    if first & 0x80:
        value &= 0x3F
        shift = 6
        while True:
            byte = stream.byte()
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
            if shift > 40:
                raise stream.wrong("a number of more than 33 bits")
    value &= 0xFFFFFFFF
    if first & 1:
        return _double(value | stream.uleb() << 32)
    return value - (1 << 32) if value >> 31 else value


def _debug(stream: Stream, raw: _Raw, end: int) -> None:
    width = 1 if raw.line_count < 256 else 2 if raw.line_count < 65536 else 4
    raw.lines = [raw.line + step for step in (stream.words(len(raw.code), width) if raw.code else [])]
    raw.names = [_name(stream, end) for _ in raw.upvalues]
    last = 0
    while stream.at < end:
        kind = stream.byte()
        if kind == 0:
            return
        name = _VARIABLES[kind] if kind < 7 else chr(kind) + _name(stream, end)
        start = last = last + stream.uleb()
        raw.locals.append(Local(name, start, start + stream.uleb()))


def _name(stream: Stream, end: int) -> str:
    close = stream.data.find(b"\0", stream.at, end)
    if close < 0:
        raise stream.wrong("a name without its end")
    name = stream.take(close - stream.at)
    stream.at += 1
    return name.decode("utf-8", "backslashreplace")


def _listed(raws: list[_Raw], dialect: Dialect, source: str) -> tuple[Prototype, ...]:
    """The last is the main function; it comes first here, the numbers stay those of the dump."""
    paths = {len(raws) - 1: "main"}
    for number in range(len(raws) - 1, -1, -1):
        for n, child in enumerate(raws[number].children):
            paths[child] = f"{paths.get(number, '?')[-200:]}/{n}"
    found = []
    for number, raw in enumerate(raws):
        upvalues = tuple(
            Upvalue(raw.names[n] if n < len(raw.names) else "", bool(value & 0x8000), value & 0xFF)
            for n, value in enumerate(raw.upvalues)
        )
        code = tuple(_instruction(raw, dialect, pc, word) for pc, word in enumerate(raw.code, 1))
        found.append(
            Prototype(
                number,
                paths.get(number, "?"),
                raw.start,
                raw.end,
                source,
                raw.line,
                raw.line + raw.line_count,
                raw.parameters,
                bool(raw.flags & 2),
                raw.stack,
                code,
                tuple(raw.constants),
                upvalues,
                tuple(raw.locals),
                tuple(raw.children),
                tuple(raw.numbers),
                raw.code_at,
            )
        )
    return tuple(reversed(found))


def _instruction(raw: _Raw, dialect: Dialect, pc: int, word: int) -> Instruction:
    rows = LUAJIT20 if dialect is Dialect.LUAJIT20 else LUAJIT21
    number = word & 0xFF
    line = raw.lines[pc - 1] if pc <= len(raw.lines) else 0
    if number >= len(rows):
        return Instruction(pc, f"OP_{number}", (), line, "no such instruction", None, word)
    name, (a_mode, b_mode, c_mode) = rows[number]
    a, d = word >> 8 & 0xFF, word >> 16
    operands = [] if a_mode == "-" else [a]
    if b_mode != "-":
        operands.append(word >> 24)
        d &= 0xFF
    if c_mode == "-":
        return Instruction(pc, name, tuple(operands), line, "", None, word)
    if c_mode == "jump":
        target = pc + d - BIAS + 1
        return Instruction(pc, name, tuple(operands), line, f"to {target}", target, word)
    operands.append(d - 65536 if c_mode == "lits" and d > 32767 else d)
    return Instruction(pc, name, tuple(operands), line, _comment(raw, name, a_mode, c_mode, a, d), None, word)


def collected(constants: tuple[Constant, ...] | list[Constant], at: int) -> Constant | BytecodeError:
    """The constant that an operand names: they are counted from the end."""
    place = len(constants) - 1 - at
    return constants[place] if 0 <= place < len(constants) else BytecodeError("no such constant", at)


def _comment(raw: _Raw, name: str, a_mode: str, c_mode: str, a: int, d: int) -> str:
    from perilune.analysis.lua.bytecode.listing import constant_text

    if c_mode in ("str", "cdata", "tab", "func"):
        found = collected(raw.constants, d)
        return "no such constant" if isinstance(found, BytecodeError) else constant_text(found)
    if c_mode == "num":
        if d >= len(raw.numbers):
            return "no such constant"
        value = raw.numbers[d]
        if name == "TSETM" and isinstance(value, float):
            value = struct.unpack("<Q", struct.pack("<d", value))[0] & 0xFFFFFFFF
        return constant_text(value)
    at = d if c_mode == "uv" else a
    if c_mode == "uv" or a_mode == "uv":
        return raw.names[at] if at < len(raw.names) else ""
    return ("nil", "false", "true")[d] if c_mode == "pri" and d < 3 else ""


def _faults(one: Prototype) -> list[str]:
    where = f"in function {one.path}"
    if not one.code:
        return [f"no instructions {where}"]
    found = []
    for instruction in one.code:
        what = ""
        if instruction.name.startswith("OP_"):
            what = f"impossible opcode {instruction.name[3:]}"
        elif instruction.comment == "no such constant":
            what = "constant that is not there"
        elif instruction.target is not None and not 1 <= instruction.target <= len(one.code) + 1:
            what = f"jump to {instruction.target}, outside 1 to {len(one.code)}"
        elif instruction.name.startswith(("J", "I")) and instruction.name in _RUNTIME_ONLY:
            what = f"impossible opcode {instruction.name}, which only a running VM makes"
        if what:
            found.append(f"{what} {where}, instruction {instruction.pc}")
    last = one.code[-1].name
    if not last.startswith(("RET", "CALLT", "CALLMT", "JMP", "UCLO")) and len(found) < 60:
        found.append(f"the last instruction is {last} and no return {where}")
    return found[:60]


_RUNTIME_ONLY = frozenset(
    ("JFORI", "IFORL", "JFORL", "IITERL", "JITERL", "ILOOP", "JLOOP", "IFUNCF", "JFUNCF", "IFUNCV", "JFUNCV")
)
