"""Lua inside other files: archives, programs, configurations, command lines. Each piece with its span."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from perilune.analysis.lua.archives import Member, Unpack, is_archive
from perilune.analysis.lua.identify import ENOUGH, by_magic, of_source
from perilune.analysis.lua.lexer import string_value
from perilune.analysis.lua.sources import is_source
from perilune.analysis.lua.work import Waiting

MOST_PIECES = 60
MOST_BYTES = 16_000_000
MOST_TEXT = 2_000_000  # characters of a text in which places that hold Lua are looked for
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
_LOADS = re.compile(r"load\s+['\"]")
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


def has_places(data: bytes) -> bool:
    """Whether a text names a place that holds Lua: a block of a configuration, an argument. Cheap where it does not."""
    return b"\0" not in data[:8000] and any(True for _ in _places(data.decode("latin-1")))


def pieces(data: bytes, cut: list[str]) -> list[Piece]:
    """Everything inside that is Lua, in the order of its place."""
    found: list[Piece] = []
    room = MOST_BYTES
    for piece in _all(data, cut):
        if not _is_lua(piece):
            continue
        if len(found) >= MOST_PIECES or room < len(piece.data):
            cut.append(f"more pieces of Lua lie inside than the {MOST_PIECES} that were looked at")
            break
        room -= len(piece.data)
        found.append(piece)
    return found


def _is_lua(one: Piece) -> bool:
    return one.sure or by_magic(one.data) is not None or is_source(Waiting(one.data, one.kind, name=one.note))


def _all(data: bytes, cut: list[str]) -> Iterator[Piece]:
    for member in Unpack(cut).members_of(data):
        yield Piece(member.kind, member.data, member.start, member.end, member.name)
        yield from (_moved(piece, member) for piece in _inside(member.data) if not piece.sure)
    yield from _inside(data)


def _moved(one: Piece, member: Member) -> Piece:
    """What lies in a program or document of an archive, at the span of that member."""
    return replace(one, start=member.start, end=member.end, note=f"{member.name}: {one.note}")


def _inside(data: bytes) -> Iterator[Piece]:
    if b"\0" not in data[:8000]:
        yield from _places(data.decode("latin-1"))
    elif data[:2] in (b"MZ", b"\x7fE") or not is_archive(data):  # a program may have an archive behind it
        yield from _binary(data)


def _places(text: str) -> Iterator[Piece]:
    yield from _blocks(text)
    head = text[:MOST_TEXT]
    lower = head.lower()
    if "eval" in lower or _LOADS.search(lower):  # looking for a word first is what makes it cheap
        yield from (_quoted("redis-eval", match, 1) for match in _EVAL.finditer(head))
    if " -e" in lower or "\t-e" in lower:
        yield from (_quoted("argument", match, 1) for match in _ARGUMENT.finditer(head))


def _quoted(kind: str, match: re.Match[str], group: int) -> Piece:
    raw = match.group(group)
    start, end = match.span(group)
    if raw[:1] in "'\"":
        inside = raw[1:-1].replace("'\\''", "'") if raw[0] == "'" else re.sub(r"\\([\"\\$`])", r"\1", raw[1:-1])
        return Piece(kind, inside.encode("latin-1"), start + 1, end - 1, sure=True)
    return Piece(kind, raw.encode("latin-1"), start, end, sure=True)


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
