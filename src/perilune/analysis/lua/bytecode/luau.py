"""Luau's bytecode has no signature: it is recognised by reading its table of strings."""

from __future__ import annotations

from dataclasses import dataclass

from perilune.analysis.lua.bytecode.stream import BytecodeError, Stream

VERSIONS = range(3, 15)
MOST_STRINGS = 200_000


@dataclass(frozen=True, slots=True)
class Luau:
    version: int
    strings: tuple[tuple[int, int, bytes], ...]  # start, end, text
    functions: int
    confidence: float


def recognised(data: bytes) -> Luau | None:
    """The version and strings, where the bytes can be read as Luau up to the first function."""
    if len(data) < 8 or data[0] not in VERSIONS:
        return None
    try:
        return _read(Stream(data, 1), data[0])
    except BytecodeError:
        return None


def _read(stream: Stream, version: int) -> Luau | None:
    if version >= 4 and stream.byte() not in (1, 2, 3):
        return None
    count = stream.counted(stream.uleb(), 1, "strings")
    if not 0 < count <= MOST_STRINGS:
        return None
    strings = []
    for _ in range(count):
        size = stream.uleb()
        text = stream.take(size)
        strings.append((stream.at - size, stream.at, text))
    readable = sum(all(9 <= c < 127 for c in text) for _, _, text in strings)
    if readable < count * 0.6 or not any(len(text) > 2 for _, _, text in strings):
        return None
    if version >= 4 and stream.data[1] == 3:
        while stream.byte():  # names of userdata types
            stream.uleb()
    functions = stream.uleb()
    if not 0 < functions <= 100_000 or functions > stream.left:
        return None
    return Luau(version, tuple(strings), functions, 0.9 if count > 3 else 0.7)
