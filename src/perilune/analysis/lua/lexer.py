"""Lua text to tokens, in linear time, for every dialect at once; which dialect it is, the tokens tell.

The text has one character per byte. Nothing is refused: what no Lua has becomes a `bad` token, an unclosed string or
comment ends where its line or the text ends and is `open`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import compress
from typing import NamedTuple

KEYWORDS = frozenset(
    "and break do else elseif end false for function goto if in local nil not or repeat return then true until while".split()
)

# `++` and `*+` are possessive: no way back means linear time on every text.
_PARTS = r"""
    [ \t\r\n\f\v]++
  | (?P<comment>--(?!\[=*+\[)[^\n]*+ {c_comments})
  | (?P<long>(?:--)?\[=*+\[)
  | (?P<name>[A-Za-z_\x80-\xff][A-Za-z0-9_\x80-\xff]*+)
  | (?P<string>"(?:[^"\\\n]++|\\(?:z\s*+|\r\n|.))*+"?+ | '(?:[^'\\\n]++|\\(?:z\s*+|\r\n|.))*+'?+)
  | (?P<tick>`(?:[^`\\\n]++|\\.)*+`?+)
  | (?P<number>0[xX](?:[0-9a-fA-F_.]|(?<=[pP])[+-]|[pP])*+(?:[uUlL]{2,3}|i)? | 0[bB][01_]++
      | (?:\d[\d_]*+(?:\.(?!\.)[\d_]*+)?+|\.\d[\d_]*+)(?:[eE][+-]?\d++)?(?:[uUlL]{2,3}+|i\b)?)
  | (?P<op>\.\.\.|\.\.=|//=|<<=|>>=|\.\.|==|~=|!=|<=|>=|<<|>>|//|::|->|&&|\|\||\+=|-=|\*=|/=|%=|\^=|&=|\|=|\?\.|[-+*/%^\#&~|<>=(){}\[\];:,.!?@$])
  | (?P<bad>.)
"""
_TOKEN = re.compile(_PARTS.replace("{c_comments}", ""), re.VERBOSE | re.DOTALL)
_TOKEN_GLUA = re.compile(
    _PARTS.replace("{c_comments}", r"| //[^\n]*+ | /\*(?:[^*]++|\*(?!/))*+(?:\*/)?+"), re.VERBOSE | re.DOTALL
)


class Token(NamedTuple):
    kind: str
    start: int
    end: int


class Code(NamedTuple):
    """What a parser sees: for an operator or a keyword its type is its text."""

    types: list[str]
    starts: list[int]
    ends: list[int]


@dataclass(slots=True)
class Tokens:
    """The tokens of a text as columns: a token is a place in all three lists. White space is left out."""

    text: str
    kinds: list[str] = field(default_factory=list)
    starts: list[int] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)
    _code: Code | None = None

    def code(self) -> Code:
        """The tokens without comments, operators and keywords by their own text; made once."""
        if self._code is None:
            self._code = _code(self)
        return self._code

    def __len__(self) -> int:
        return len(self.kinds)

    def __iter__(self) -> Iterator[Token]:
        return map(Token, self.kinds, self.starts, self.ends)

    def word(self, at: int) -> str:
        return self.text[self.starts[at] : self.ends[at]] if 0 <= at < len(self.kinds) else ""


_KEYWORD = {word: word for word in KEYWORDS}


def _code(tokens: Tokens) -> Code:
    text, keyword = tokens.text, _KEYWORD.get
    kinds, starts, ends = tokens.kinds, tokens.starts, tokens.ends
    if "comment" in kinds:
        kept = [kind != "comment" for kind in kinds]
        kinds, starts, ends = list(compress(kinds, kept)), list(compress(starts, kept)), list(compress(ends, kept))
    # One comprehension without appends: this runs for every token of every file.
    types = [
        text[start:end] if kind == "op" else keyword(text[start:end], kind) if kind == "name" else kind
        for kind, start, end in zip(kinds, starts, ends, strict=True)
    ]
    return Code(types, starts, ends)


def lex(text: str, *, c_comments: bool = False) -> Tokens:
    """Every token of the text. `c_comments`: `//` and `/* */` are comments, as Garry's Mod has it."""
    found = Tokens(text)
    position = _after_shebang(text)
    pattern = _TOKEN_GLUA if c_comments else _TOKEN
    closers: dict[str, int] = {}  # where the next `]==]` of a level is, or -1: asked once, not once per opening
    while position < len(text):
        position = _run(pattern, text, position, found, closers)
    return found


def _after_shebang(text: str) -> int:
    start = 3 if text.startswith("\xef\xbb\xbf") else 0
    if text.startswith("#", start):
        end = text.find("\n", start)
        return len(text) if end < 0 else end
    return start


def _run(pattern: re.Pattern[str], text: str, position: int, found: Tokens, closers: dict[str, int]) -> int:
    """Tokens up to the next long bracket and that; gives where to go on."""
    kind, start, end = found.kinds.append, found.starts.append, found.ends.append
    for match in pattern.finditer(text, position):
        group = match.lastgroup
        if group is None:
            continue
        if group == "long":
            return _long(text, match, found, closers)
        kind(group)
        start(match.start())
        end(match.end())
    return len(text)


def _long(text: str, match: re.Match[str], found: Tokens, closers: dict[str, int]) -> int:
    """A long string or comment; without its closing bracket, only its first two characters are taken."""
    opening = match.group()
    is_comment = opening.startswith("--")
    closer = "]" + opening.strip("-[") + "]"
    at = closers.get(closer, -2)
    if at != -1 and at < match.end():
        at = closers[closer] = text.find(closer, match.end())
    if at >= 0:
        end, name = at + len(closer), "comment" if is_comment else "longstring"
    elif is_comment:
        line = text.find("\n", match.end())
        end, name = (len(text) if line < 0 else line), "comment"
    else:
        end, name = match.start() + 1, "op"
    found.kinds.append(name)
    found.starts.append(match.start())
    found.ends.append(end)
    return end


_ESCAPE = re.compile(
    r"\\(?:(?P<z>z\s*+)|(?P<hex>x[0-9a-fA-F]{2})|(?P<u>u\{[0-9a-fA-F]{1,8}\})|(?P<dec>\d{1,3})|(?P<nl>\r\n|\n\r)|(?P<one>.))",
    re.DOTALL,
)
_SIMPLE = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "\r": "\n"}


def string_value(raw: str) -> str:
    """What a string token says: quotes taken off, escapes undone, one character per byte."""
    if raw[:1] == "[":
        level = raw.find("[", 1) + 1
        body = raw[level:-level]
        return body[2:] if body.startswith("\r\n") else body[1:] if body.startswith("\n") else body
    closed = len(raw) > 1 and raw[-1] == raw[0]
    body = raw[1:-1] if closed else raw[1:]
    return _ESCAPE.sub(_unescape, body) if "\\" in body else body


def _unescape(match: re.Match[str]) -> str:
    kind, text = match.lastgroup, match.group()
    if kind == "dec":
        return chr(int(text[1:]) & 0xFF)
    if kind == "hex":
        return chr(int(text[2:], 16))
    if kind == "u":
        return utf8(int(text[3:-1], 16))
    if kind == "z":
        return ""
    if kind == "nl":
        return "\n"
    return _SIMPLE.get(text[1], text[1])


def utf8(code: int) -> str:
    """A code point in UTF-8, one character per byte; up to 2^31 as Lua allows."""
    if code < 0x80:
        return chr(code)
    tail: list[int] = []
    most = 0x3F
    while code > most:
        tail.append(0x80 | code & 0x3F)
        code >>= 6
        most >>= 1
    head = ((~most << 1) & 0xFF) | code
    return "".join(map(chr, (head, *reversed(tail))))


_NUMBER = re.compile(r"0[xX](?P<whole>[0-9a-fA-F]*)(?:\.(?P<part>[0-9a-fA-F]*))?(?:[pP](?P<power>[+-]?\d{1,5}))?\Z")


def number_value(raw: str) -> int | float | None:
    """A number token's value, or None where no Lua would read it."""
    if raw.isdecimal() and len(raw) < 19:  # nearly all of them
        return int(raw)
    plain = raw.replace("_", "")
    if plain[:2] in ("0b", "0B"):
        return int(plain[2:], 2) if plain[2:] else None
    text = plain.rstrip("iuUlL") if plain[:2] not in ("0x", "0X") else plain.rstrip("uUlLi")
    if hexed := _NUMBER.match(text):
        return _hex_value(hexed)
    if len(text) > 400:
        return None
    try:
        return int(text)
    except ValueError:
        pass
    try:
        return float(text)
    except ValueError:
        return None


def _hex_value(match: re.Match[str]) -> int | float | None:
    whole, part, power = match.group("whole"), match.group("part"), match.group("power")
    if (not whole and not part) or len(whole) + len(part or "") > 400:
        return None
    if part is None and power is None:
        value = int(whole, 16) & (1 << 64) - 1
        return value - (1 << 64) if value >> 63 else value
    mantissa = int((whole + (part or "")) or "0", 16)
    try:
        return float(mantissa) * 2.0 ** (int(power or 0) - 4 * len(part or ""))
    except OverflowError:
        return None
