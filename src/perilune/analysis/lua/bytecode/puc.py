"""Compiled Lua 5.0 to 5.5 of any word size and byte order: the functions, before anything is made of them."""

from __future__ import annotations

from dataclasses import dataclass, field

from perilune.analysis.lua.bytecode.stream import Stream
from perilune.model.lua import Constant, Dialect, Header, Local, Upvalue

MOST_FUNCTIONS = 20_000
MOST_DEPTH = 180


@dataclass(slots=True)
class Raw:
    """One function as stored."""

    start: int
    end: int = 0
    source: bytes | None = None
    line: int = 0
    last_line: int = 0
    parameters: int = 0
    vararg: int = 0
    stack: int = 0
    code_at: int = 0
    code: list[int] = field(default_factory=list)
    constants: list[Constant] = field(default_factory=list)
    upvalues: list[Upvalue] = field(default_factory=list)
    children: list[Raw] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    locals: list[Local] = field(default_factory=list)


class Reader:
    """Reads the functions after a header. Where it stops, `functions` has what was whole."""

    def __init__(self, stream: Stream, header: Header) -> None:
        self.stream = stream
        self.header = header
        self.version = header.dialect
        self.count = 0
        self.saved: list[bytes] = []
        self.base = stream.at - header.size

    def main(self) -> Raw:
        if self.version in (Dialect.LUA53, Dialect.LUA54, Dialect.LUA55):
            self.stream.byte()  # how many upvalues the main function has; it says so itself
        return self.function(0)

    def function(self, depth: int) -> Raw:
        self.count += 1
        if depth > MOST_DEPTH or self.count > MOST_FUNCTIONS:
            raise self.stream.wrong("more or deeper functions than any program has")
        raw = Raw(self.stream.at)
        _LAYOUTS[self.version](self, raw, depth)
        raw.end = self.stream.at
        return raw

    # Small parts

    def integer(self) -> int:
        if self.version is Dialect.LUA54:
            return self.stream.groups(0x80)
        if self.version is Dialect.LUA55:
            return self.stream.groups(0)
        return self.stream.sint(self.header.int_size)

    def size(self, least: int, what: str) -> int:
        return self.stream.counted(self.integer(), least, what)

    def string(self) -> bytes | None:
        stream = self.stream
        if self.version is Dialect.LUA55:
            return self._string55()
        if self.version is Dialect.LUA54:
            size = stream.groups(0x80)
            return stream.take(size - 1) if size else None
        if self.version is Dialect.LUA53:
            size = stream.byte()
            size = stream.uint(self.header.size_t) if size == 0xFF else size
            return stream.take(size - 1) if size else None
        size = stream.uint(self.header.size_t)
        return stream.take(size)[:-1] if size else None

    def _string55(self) -> bytes | None:
        """Each string is stored once; later uses name it by its number."""
        size = self.stream.groups(0)
        if size == 0:
            number = self.stream.groups(0)
            if number > len(self.saved):
                raise self.stream.wrong(f"string number {number} was not stored before")
            return self.saved[number - 1] if number else None
        text = self.stream.take(size)[:-1]
        self.saved.append(text)
        return text

    def lines_of(self, raw: Raw) -> None:
        raw.line = self.integer()
        if self.version is not Dialect.LUA50:
            raw.last_line = self.integer()

    def shape(self, raw: Raw) -> None:
        raw.parameters, raw.vararg, raw.stack = self.stream.byte(), self.stream.byte(), self.stream.byte()

    def code(self, raw: Raw) -> None:
        size = self.header.instruction_size
        count = self.size(size, "instructions") if self.version is not Dialect.LUA55 else self.integer()
        if self.version is Dialect.LUA55:
            self.align(size)
        raw.code_at = self.stream.at
        raw.code = self.stream.words(count, size)

    def align(self, size: int) -> None:
        self.stream.take(-(self.stream.at - self.base) % size)

    def constants(self, raw: Raw) -> None:
        raw.constants = [self.constant() for _ in range(self.size(1, "constants"))]

    def constant(self) -> Constant:
        tag = self.stream.byte()
        if tag == 0:
            return None
        if self.version in (Dialect.LUA54, Dialect.LUA55):
            return self._constant54(tag)
        if tag == 1:
            return self.stream.byte() != 0
        if tag == 3:
            return self.number()
        if tag in (4, 0x14):
            return self.string() or b""
        if tag == 0x13 and self.version is Dialect.LUA53:
            return self.stream.sint(self.header.integer_size)
        if tag in (9, 254) and "LNUM patch" in self.header.flags:
            return self.stream.sint(4)
        raise self.stream.wrong(f"no constant has the type {tag}")

    def _constant54(self, tag: int) -> Constant:
        if tag in (1, 0x11):
            return tag == 0x11
        if tag == 3:
            return self._integer55() if self.version is Dialect.LUA55 else self.stream.sint(self.header.integer_size)
        if tag == 0x13:
            return self.number()
        if tag in (4, 0x14):
            return self.string() or b""
        raise self.stream.wrong(f"no constant has the type {tag}")

    def _integer55(self) -> int:
        value = self.stream.groups(0)
        return ~(value >> 1) if value & 1 else value >> 1

    def number(self) -> int | float:
        if self.header.integral:
            return self.stream.sint(self.header.number_size)
        return self.stream.floating(self.header.number_size)

    def children(self, raw: Raw, depth: int) -> None:
        raw.children = [self.function(depth + 1) for _ in range(self.size(8, "functions"))]

    def upvalues(self, raw: Raw) -> None:
        kinds = self.version in (Dialect.LUA54, Dialect.LUA55)
        for _ in range(self.size(2 + kinds, "upvalues")):
            in_stack, index = self.stream.byte() != 0, self.stream.byte()
            raw.upvalues.append(Upvalue("", in_stack, index, self.stream.byte() if kinds else 0))

    def debug_lines(self, raw: Raw) -> None:
        if self.version not in (Dialect.LUA54, Dialect.LUA55):
            raw.lines = self.stream.words(self.size(self.header.int_size, "lines"), self.header.int_size)
            return
        steps = self.stream.take(self.size(1, "lines"))
        count = self.integer()
        absolute: dict[int, int] = {}
        if self.version is Dialect.LUA55:
            if count:
                self.align(self.header.int_size)
                pairs = self.stream.words(count * 2, self.header.int_size)
                absolute = dict(zip(pairs[::2], pairs[1::2], strict=True))
        else:
            for _ in range(self.stream.counted(count, 2, "line marks")):
                pc = self.integer()
                absolute[pc] = self.integer()
        line = raw.line
        for pc, step in enumerate(steps):
            line = absolute.get(pc, line) if step == 0x80 else line + step - (256 if step > 127 else 0)
            raw.lines.append(line)

    def debug_names(self, raw: Raw) -> None:
        for _ in range(self.size(3, "local variables")):
            name = _text(self.string())
            start = self.integer()
            raw.locals.append(Local(name, start, self.integer()))
        self.upvalue_names(raw)

    def upvalue_names(self, raw: Raw) -> None:
        names = [_text(self.string()) for _ in range(self.size(1, "upvalue names"))]
        raw.upvalues += [Upvalue()] * max(0, len(names) - len(raw.upvalues))
        for n, name in enumerate(names):
            one = raw.upvalues[n]
            raw.upvalues[n] = Upvalue(name, one.in_stack, one.index, one.kind)


def _text(name: bytes | None) -> str:
    return (name or b"").decode("utf-8", "backslashreplace")


def _layout50(reader: Reader, raw: Raw, depth: int) -> None:
    raw.source = reader.string()
    reader.lines_of(raw)
    raw.upvalues = [Upvalue()] * reader.stream.byte()
    reader.shape(raw)
    reader.debug_lines(raw)
    reader.debug_names(raw)
    reader.constants(raw)
    reader.children(raw, depth)
    reader.code(raw)


def _layout51(reader: Reader, raw: Raw, depth: int) -> None:
    raw.source = reader.string()
    reader.lines_of(raw)
    raw.upvalues = [Upvalue()] * reader.stream.byte()
    reader.shape(raw)
    reader.code(raw)
    reader.constants(raw)
    reader.children(raw, depth)
    reader.debug_lines(raw)
    reader.debug_names(raw)


def _layout52(reader: Reader, raw: Raw, depth: int) -> None:
    reader.lines_of(raw)
    reader.shape(raw)
    reader.code(raw)
    reader.constants(raw)
    reader.children(raw, depth)
    reader.upvalues(raw)
    raw.source = reader.string()
    reader.debug_lines(raw)
    reader.debug_names(raw)


def _layout53(reader: Reader, raw: Raw, depth: int) -> None:
    late = reader.version is Dialect.LUA55
    if not late:
        raw.source = reader.string()
    reader.lines_of(raw)
    reader.shape(raw)
    reader.code(raw)
    reader.constants(raw)
    reader.upvalues(raw)
    reader.children(raw, depth)
    if late:
        raw.source = reader.string()
    reader.debug_lines(raw)
    reader.debug_names(raw)


_LAYOUTS = {
    Dialect.LUA50: _layout50, Dialect.LUA51: _layout51, Dialect.LUA52: _layout52, Dialect.LUA53: _layout53,
    Dialect.LUA54: _layout53, Dialect.LUA55: _layout53,
}  # fmt: skip
