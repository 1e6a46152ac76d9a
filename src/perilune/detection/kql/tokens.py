"""A query's text -> tokens, each with its place. One compiled pattern, budgets on length and count."""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass
from enum import Enum

from perilune.detection.kql.errors import KqlError, Span
from perilune.detection.kql.kinds import Kind, parse_timespan

MAX_CHARACTERS = 1_000_000
MAX_TOKENS = 100_000


class Type(Enum):
    NAME = "a name"
    QUOTED = "a quoted name"
    STRING = "a string"
    LONG = "an integer"
    REAL = "a number"
    TIMESPAN = "a timespan"
    TYPED = "a typed literal"
    MARK = "a mark"
    END = "the end of the query"


@dataclass(frozen=True, slots=True)
class Token:
    """`value` is what it stands for: the name, the string unescaped, the number. `end` is past its last character."""

    type: Type
    text: str
    value: str | int | float
    at: Span
    end: int

    def __str__(self) -> str:
        shown = self.text if len(self.text) <= 40 else self.text[:37] + "…"
        return "the end of the query" if self.type is Type.END else repr(shown)


# Literals such as datetime(2026-01-05 10:00) hold text that is no token of the language.
RAW_KINDS = {
    "datetime": Kind.DATETIME, "date": Kind.DATETIME, "timespan": Kind.TIMESPAN, "time": Kind.TIMESPAN,
    "guid": Kind.GUID, "uniqueid": Kind.GUID, "int": Kind.INT, "long": Kind.LONG, "real": Kind.REAL,
    "double": Kind.REAL, "decimal": Kind.DECIMAL, "bool": Kind.BOOL, "boolean": Kind.BOOL,
}  # fmt: skip
_WORD_OPERATORS = (
    r"!?(?:has_any|has_all|has_cs|hasprefix_cs|hassuffix_cs|hasprefix|hassuffix|has|contains_cs|contains|"
    r"startswith_cs|startswith|endswith_cs|endswith|between|in~|in)"
)
_PATTERN = re.compile(
    rf"""
      (?P<space>\s+|//[^\n]*)
    | (?P<triple>[hH]?(?:```|~~~)) | (?P<verbatim>[hH]?@(?:"(?:[^"]|"")*"|'(?:[^']|'')*'))
    | (?P<string>[hH]?(?:"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'))
    | (?P<raw>\b(?:{"|".join(RAW_KINDS)})[ \t]*\()
    | (?P<negated>{_WORD_OPERATORS.replace("!?", "!", 1)}(?![\w])) | (?P<intilde>\bin~)
    | (?P<timespan>\d+(?:\.\d+)?(?:microseconds?|milliseconds?|nanoseconds?|millisec|ticks?|minutes?|seconds?|hours?
        |days?|mins?|secs?|hrs?|ms|[dhms])(?![\w]))
    | (?P<hex>0[xX][0-9a-fA-F]+(?![\w]))
    | (?P<real>(?:\d+\.\d+|\d+\.(?![.\w])|\.\d+)(?:[eE][+-]?\d+)?(?![\w]) | \d+[eE][+-]?\d+(?![\w]))
    | (?P<name>(?:\$?[A-Za-z_]\w*) | \d+(?=[A-Za-z_])\w+)
    | (?P<long>\d+)
    | (?P<mark>==|=~|!=|!~|<>|<=|>=|=>|\.\.|[-+*/%<>=|,;:.()\[\]{{}}?@~!\#])
    """,
    re.VERBOSE | re.ASCII,
)
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "v": "\v", "a": "\a", "0": "\0"}
_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|x[0-9a-fA-F]{1,2}|[0-7]{1,3}|.)", re.DOTALL)
_TO_CLOSE = re.compile(r"\)")


class Lexer:
    """Reads tokens one after the other; `spans` turns an offset into a line and a column."""

    def __init__(self, text: str) -> None:
        if len(text) > MAX_CHARACTERS:
            raise KqlError(f"the query has {len(text):,} characters; the most is {MAX_CHARACTERS:,}")
        self._text = text
        self._lines = [0, *(match.end() for match in re.finditer("\n", text))]

    def span(self, offset: int) -> Span:
        line = bisect_right(self._lines, offset)
        return Span(offset, line, offset - self._lines[line - 1] + 1)

    def tokens(self) -> list[Token]:
        """All tokens, the last one being the end."""
        found: list[Token] = []
        offset = 0
        while offset < len(self._text):
            match = _PATTERN.match(self._text, offset)
            if match is None:
                raise self._unreadable(offset)
            token = self._token(match)
            if token is None:
                offset = match.end()
                continue
            found.append(token)
            offset = token.end
            if len(found) > MAX_TOKENS:
                raise KqlError(f"the query has more than {MAX_TOKENS:,} words and marks", token.at)
        found.append(Token(Type.END, "", "", self.span(len(self._text)), len(self._text)))
        return found

    def _token(self, match: re.Match[str]) -> Token | None:
        kind, text, at = match.lastgroup or "", match.group(), self.span(match.start())
        match kind:
            case "space":
                return None
            case "string":
                return Token(Type.STRING, text, self._unescaped(text.lstrip("hH")[1:-1], at), at, match.end())
            case "verbatim":
                quoted = text[text.index("@") + 1 :]
                return Token(Type.STRING, text, quoted[1:-1].replace(quoted[0] * 2, quoted[0]), at, match.end())
            case "triple":
                return self._triple(match, at)
            case "raw":
                return self._raw(match, at)
            case "timespan":
                return Token(Type.TIMESPAN, text, self._ticks(text, at), at, match.end())
            case "hex":
                return self._integer(int(text, 16), text, at, match.end())
            case "long":
                return self._integer(_whole(text), text, at, match.end())
            case "real":
                return Token(Type.REAL, text, float(text), at, match.end())
            case "name":
                return Token(Type.NAME, text, text, at, match.end())
        return Token(Type.MARK, text, text, at, match.end())

    def _integer(self, value: int, text: str, at: Span, end: int) -> Token:
        if value >= 1 << 63:
            raise KqlError(f"{text[:30]} does not fit a long", at, hint="write it as a real or a decimal")
        return Token(Type.LONG, text, value, at, end)

    def _ticks(self, text: str, at: Span) -> int:
        ticks = parse_timespan(text)
        if ticks is None:
            raise KqlError(f"{text!r} is no timespan", at)
        return ticks

    def _triple(self, match: re.Match[str], at: Span) -> Token:
        fence = match.group()[-3:]
        end = self._text.find(fence, match.end())
        if end < 0:
            raise KqlError(f"this string is not closed by {fence}", at)
        return Token(Type.STRING, self._text[at.offset : end + 3], self._text[match.end() : end], at, end + 3)

    def _raw(self, match: re.Match[str], at: Span) -> Token | None:
        """`datetime(…)` with the text between; quotes around it are allowed. In `f(date(x))` nothing else can stand."""
        close = _TO_CLOSE.search(self._text, match.end())
        if close is None:
            raise KqlError("this literal is not closed by )", at)
        return Token(
            Type.TYPED,
            match.group().rstrip("( \t"),
            self._text[match.end() : close.start()].strip().strip("\"'").strip(),
            at,
            close.end(),
        )

    def _unescaped(self, text: str, at: Span) -> str:
        return _ESCAPE.sub(lambda match: _character(match.group(1), at), text) if "\\" in text else text

    def _unreadable(self, offset: int) -> KqlError:
        at, character = self.span(offset), self._text[offset]
        if character in "\"'":
            return KqlError(
                "this string is not closed on its line", at, hint="a backslash is written \\\\, or use @'…'"
            )
        return KqlError(f"unexpected character {character!r}", at)


def _whole(text: str) -> int:
    return int(text) if len(text) < 30 else 1 << 63


def _character(escape: str, at: Span) -> str:
    if escape[0] in "uUx" and len(escape) > 1:
        code = int(escape[1:], 16)
    elif escape.isdigit():
        code = int(escape, 8)
    elif escape in _ESCAPES:
        return _ESCAPES[escape]
    elif escape in "\\\"'`":
        return escape
    else:
        raise KqlError(f"unknown escape \\{escape} in a string", at, hint="a backslash is written \\\\, or use @'…'")
    if code > 0x10FFFF or 0xD800 <= code <= 0xDFFF:
        raise KqlError(f"\\{escape} is no character", at)
    return chr(code)
