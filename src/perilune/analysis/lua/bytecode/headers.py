"""The heads of compiled Lua 5.0 to 5.5: version, word sizes, byte order. A head that no Lua writes is an error."""

from __future__ import annotations

from perilune.analysis.lua.bytecode.stream import BytecodeError, Stream
from perilune.model.lua import Dialect, Header

_DATA = b"\x19\x93\r\n\x1a\n"
_SIZES = (1, 2, 4, 8)


def read_header(stream: Stream) -> Header:
    """The bytes before the main function; a header that no Lua writes is an error."""
    start = stream.at
    if stream.take(4) != b"\x1bLua":
        raise BytecodeError("no signature of Lua", start)
    version = stream.byte()
    read = _HEADERS.get(version)
    if read is None:
        raise BytecodeError(f"version {version:#04x} of Lua is not known", start + 4)
    return read(stream, start)


def _sizes(stream: Stream, count: int) -> list[int]:
    found = [stream.byte() for _ in range(count)]
    if any(size not in _SIZES for size in found):
        raise stream.wrong(f"word sizes {found} are impossible")
    return found


def _head50(stream: Stream, start: int) -> Header:
    stream.little = stream.byte() == 1
    integer, size_t, instruction = _sizes(stream, 3)
    fields = [stream.byte() for _ in range(4)]
    if sum(fields) > 64 or not all(fields):
        raise stream.wrong(f"field widths {fields} are impossible")
    (number,) = _sizes(stream, 1)
    sample = stream.take(number)
    integral = number == 4 and int.from_bytes(sample, "little" if stream.little else "big") == 31415926
    flags = () if fields == [6, 8, 9, 9] else (f"fields {fields}",)
    return Header(
        Dialect.LUA50, stream.at - start, stream.little, integer, size_t, instruction, 0, number, integral, flags=flags
    )


def _head51(stream: Stream, start: int) -> Header:
    form, little = stream.byte(), stream.byte()
    stream.little = little != 0
    integer, size_t, instruction, number = _sizes(stream, 4)
    integral = stream.byte()
    flags = [f"format {form}"] if form else []
    if integral > 1:
        flags.append("LNUM patch")
    return Header(
        Dialect.LUA51,
        stream.at - start,
        stream.little,
        integer,
        size_t,
        instruction,
        4,
        number,
        integral == 1,
        flags=tuple(flags),
    )


def _head52(stream: Stream, start: int) -> Header:
    head = _head51(stream, start)
    _check_data(stream)
    return Header(
        Dialect.LUA52, stream.at - start, head.little, head.int_size, head.size_t, head.instruction_size, 0,
        head.number_size, head.integral, flags=head.flags,
    )  # fmt: skip


def _check_data(stream: Stream) -> None:
    if stream.take(6) != _DATA:
        raise stream.wrong("the conversion check is damaged")


def _order(stream: Stream, size: int, value: int) -> None:
    """Finds the byte order by a known number."""
    raw = stream.take(size)
    for order in ("little", "big"):
        if int.from_bytes(raw, order, signed=True) == value:
            stream.little = order == "little"
            return
    raise stream.wrong("the sample integer is wrong in either byte order")


def _head53(stream: Stream, start: int) -> Header:
    form = stream.byte()
    _check_data(stream)
    integer, size_t, instruction, lua_integer, number = _sizes(stream, 5)
    _order(stream, lua_integer, 0x5678)
    stream.take(number)
    flags = (f"format {form}",) if form else ()
    return Header(
        Dialect.LUA53, stream.at - start, stream.little, integer, size_t, instruction, lua_integer, number, flags=flags
    )


def _head54(stream: Stream, start: int) -> Header:
    form = stream.byte()
    _check_data(stream)
    instruction, lua_integer, number = _sizes(stream, 3)
    _order(stream, lua_integer, 0x5678)
    stream.take(number)
    flags = (f"format {form}",) if form else ()
    return Header(Dialect.LUA54, stream.at - start, stream.little, 4, 8, instruction, lua_integer, number, flags=flags)


def _head55(stream: Stream, start: int) -> Header:
    form = stream.byte()
    _check_data(stream)
    sizes = []
    for value in (-0x5678, 0x12345678, -0x5678):
        sizes += _sizes(stream, 1)
        _order(stream, sizes[-1], value)
    sizes += _sizes(stream, 1)
    stream.take(sizes[-1])
    flags = (f"format {form}",) if form else ()
    return Header(
        Dialect.LUA55, stream.at - start, stream.little, sizes[0], 8, sizes[1], sizes[2], sizes[3], flags=flags
    )


_HEADERS = {0x50: _head50, 0x51: _head51, 0x52: _head52, 0x53: _head53, 0x54: _head54, 0x55: _head55}
