"""Lua inside other files: archives, programs, configurations, command lines. Each piece with its span.

What is packed in a way that is not read here (cabinets, solid archives) is not found, and not claimed to be absent.
"""

from __future__ import annotations

import io
import re
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from perilune.analysis.lua.identify import ENOUGH, of_source
from perilune.analysis.lua.lexer import string_value

MOST_PIECES = 60
MOST_BYTES = 16_000_000
LEAST_EMBEDDED = 120

_MAGIC = re.compile(rb"\x1bLua[\x50-\x55]|\x1bLJ[\x01\x02]")
_PRINTABLE = re.compile(rb"[\t\r\n\x20-\x7e\x80-\xff]{%d,}" % LEAST_EMBEDDED)
_LUA_WORDS = re.compile(
    rb"\blocal\s+(?:function\s+)?[A-Za-z_]\w*|\bfunction\b[^\n]{0,60}\)|\b(?:os\.execute|io\.popen|string\.(?:char|gsub)|loadstring)\b"
)
_BLOCK = re.compile(r"\b(\w+_by_lua(?:_block)?)\s*(\{|'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\")", re.DOTALL)
_EVAL = re.compile(
    r"(?i)(?:^|[\s;&|$`(\"])(?:EVAL|EVALSHA|EVAL_RO|SCRIPT\s+LOAD|FUNCTION\s+LOAD)\s+('(?:[^'\\]|\\.)*+'|\"(?:[^\"\\]|\\.)*+\")"
)
_ARGUMENT = re.compile(
    r"(?i)(?<![\w-])(?:lua(?:jit)?[\d.]*(?:\.exe)?|texlua|luatex|resty|tarantool)[\"']?\s(?:[^\n;|&]{0,200}?\s)?-e\s*('(?:[^']|'\\'')*+'|\"(?:[^\"\\]|\\.)*+\"|\S+)"
)


@dataclass(frozen=True, slots=True)
class Piece:
    """Bytes that may be Lua, and how they lay in the carrier. The span is bytes of the carrier."""

    kind: str
    data: bytes
    start: int
    end: int
    note: str = ""
    sure: bool = False  # the place says that it is Lua


_HINTS = (b"_by_lua", b"EVAL ", b"eval ", b"LOAD ", b" -e")


def has_places(data: bytes) -> bool:
    """Whether a text names a place that holds Lua: a block of a configuration, an argument. Cheap where it does not."""
    if b"\0" in data[:8000] or not any(hint in data for hint in _HINTS):
        return False
    text = data.decode("latin-1")
    return any(True for _ in _places(text))


def pieces(data: bytes, cut: list[str]) -> list[Piece]:
    """Everything inside that may be Lua, in the order of its place."""
    found: list[Piece] = []
    room = MOST_BYTES
    for piece in _all(data, cut):
        if len(found) >= MOST_PIECES or room < len(piece.data):
            cut.append(f"more pieces of Lua lie inside than the {MOST_PIECES} that were looked at")
            break
        room -= len(piece.data)
        found.append(piece)
    return found


def _all(data: bytes, cut: list[str]) -> Iterator[Piece]:
    if data[:2] == b"PK" or (b"PK\x05\x06" in data[-66_000:] and b"PK\x03\x04" in data):
        yield from _zipped(data, cut)
        if data[:2] == b"PK":
            return
    if b"\0" in data[:8000]:
        yield from _binary(data)
        return
    yield from _places(data.decode("latin-1"))


def _places(text: str) -> Iterator[Piece]:
    yield from _blocks(text)
    for kind, pattern in (("redis-eval", _EVAL), ("argument", _ARGUMENT)):
        for match in pattern.finditer(text[:2_000_000]):
            yield _quoted(kind, match, 1)


def _quoted(kind: str, match: re.Match[str], group: int) -> Piece:
    raw = match.group(group)
    start, end = match.span(group)
    if raw[:1] in "'\"":
        inside = raw[1:-1].replace("'\\''", "'") if raw[0] == "'" else re.sub(r"\\([\"\\$`])", r"\1", raw[1:-1])
        return Piece(kind, inside.encode("latin-1"), start + 1, end - 1, sure=True)
    return Piece(kind, raw.encode("latin-1"), start, end, sure=True)


def _zipped(data: bytes, cut: list[str]) -> Iterator[Piece]:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for member in archive.infolist()[:400]:
                if not member.is_dir():
                    yield from _member(archive, member, cut)
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, EOFError):
        cut.append("the archive is damaged and was not read to its end")


def _member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, cut: list[str]) -> Iterator[Piece]:
    if member.flag_bits & 1:
        cut.append(f"{member.filename[:120]} is encrypted")
        return
    try:
        with archive.open(member) as stream:
            content = stream.read(4_000_000)
    except (zipfile.BadZipFile, OSError, ValueError, RuntimeError, NotImplementedError, EOFError, zlib.error):
        cut.append(f"{member.filename[:120]} could not be unpacked")
        return
    at = max(0, member.header_offset)
    yield Piece("zip", content, at, at + member.compress_size + 30, member.filename[:200])


def _binary(data: bytes) -> Iterator[Piece]:
    """Compiled Lua by its signature, and stretches of text that read as Lua, in a program or any other file."""
    where = "overlay" if data[:2] == b"MZ" or data[:4] == b"\x7fELF" else "embedded"
    for match in _MAGIC.finditer(data):
        yield Piece(where, data[match.start() :], match.start(), len(data), "by its signature")
    for match in _PRINTABLE.finditer(data):
        if _LUA_WORDS.search(data, *match.span()) is None:
            continue
        text = match.group()[:2_000_000]
        if of_source(text.decode("latin-1"))[0] >= ENOUGH + 1:
            yield Piece(where, text, match.start(), match.start() + len(text), "text that reads as Lua")


def _blocks(text: str) -> Iterator[Piece]:
    """`content_by_lua_block { … }` and its like in configurations of nginx."""
    if "_by_lua" not in text:
        return
    for match in _BLOCK.finditer(text):
        if match.group(2) != "{":
            raw = match.group(2)
            yield Piece(
                match.group(1),
                string_value(raw).encode("latin-1", "replace"),
                match.start(2) + 1,
                match.end(2) - 1,
                sure=True,
            )
            continue
        end = _closing(text, match.end())
        yield Piece(match.group(1), text[match.end() : end].encode("latin-1"), match.end(), end, sure=True)


def _closing(text: str, at: int) -> int:
    """Where the block ends whose `{` is just before `at`: strings and comments do not count."""
    from perilune.analysis.lua.lexer import lex

    limit = text[at : at + 400_000]
    depth = 1
    for token in lex(limit):
        if token.kind == "op" and token.end - token.start == 1:
            depth += {"{": 1, "}": -1}.get(limit[token.start], 0)
            if depth == 0:
                return at + token.start
    return at + len(limit)
