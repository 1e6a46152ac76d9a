"""How a POSIX shell splits a text: words, quotes, operators, substitutions, here-documents. Nothing is expanded."""

from __future__ import annotations

import re

from perilune.analysis.words import Segment, Word

MAX_DEPTH = 12  # substitutions inside one another; deeper ones stay part of their word
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "e": "\x1b", "E": "\x1b", "f": "\f", "v": "\v",
            "\\": "\\", "'": "'", '"': '"', "?": "?"}  # fmt: skip
_ANSI = re.compile(r"\\(?:x([0-9a-fA-F]{1,2})|u([0-9a-fA-F]{1,4})|U([0-9a-fA-F]{1,8})|([0-7]{1,3})|(.))", re.DOTALL)
_TOKEN = re.compile(
    r"""(?P<redirect>\d*(?:<<<|<<-?|<>|<&\d?|>>|>&\d?|>\||>(?!\()|<(?!\())|&>>?)
    |(?P<run>[^\s'"\\$`|&;()<>#{}]+)|(?P<space>[ \t]+)|(?P<line>\r?\n)
    |(?P<single>'[^']*(?:'|\Z))|(?P<ansi>\$'(?:[^'\\]|\\.)*(?:'|\Z))|(?P<double>\$?")
    |(?P<sub>\$\((?!\()|[<>]\()|(?P<tick>`)|(?P<brace>\$\{[^}]*\}?)
    |(?P<op>&&|\|\||\|&|;;|[|&;()])
    |(?P<escape>\\(?:\n|.)?)|(?P<other>.)""",
    re.VERBOSE | re.DOTALL,
)
_IN_DOUBLE = re.compile(r'[^"\\$`]+')
_HERE_NAME = re.compile(r"[ \t]*(['\"]?)([A-Za-z_][\w.-]*)\1")


def split(text: str, start: int = 0, end: int | None = None) -> list[Segment]:
    """The segments of a text, wherever in it they stand; groups and subshells do not nest, substitutions do."""
    return _Reader(text, len(text) if end is None else end).read(start, "", 0)[0]


class _Reader:
    def __init__(self, text: str, end: int) -> None:
        self.text = text
        self.end = end

    def read(self, at: int, stop: str, depth: int) -> tuple[list[Segment], int]:
        """Segments up to the character `stop` (or the end), and the place behind it."""
        chain = _Chain(self.text)
        while at < self.end:
            token = _TOKEN.match(self.text, at, self.end)
            if token is None:  # cannot be: the last alternative takes any character
                break
            kind, piece, here, at = token.lastgroup, token.group(), at, token.end()
            if stop and piece == stop:
                chain.close_segment(here, "")
                return chain.segments, at
            at = self._step(chain, kind or "", piece, here, at, depth)
        chain.close_segment(self.end, "")
        return chain.segments, self.end

    def _step(self, chain: _Chain, kind: str, piece: str, here: int, at: int, depth: int) -> int:
        if kind in ("run", "brace"):
            chain.take(piece, here)
        elif kind == "space":
            chain.close_word(here)
        elif kind == "single":
            chain.take(piece[1:].removesuffix("'"), here)
        elif kind == "double":
            return self._double(chain, here, at, depth)
        elif kind == "ansi":
            chain.take(unescape(piece[2:].removesuffix("'")), here)
        elif kind == "line":
            chain.close_segment(here, "\n")
            return chain.skip_here(at, self.end)
        elif kind == "op":
            chain.close_segment(here, piece)
        elif kind in ("sub", "tick"):
            return self._substitution(chain, piece, here, at, depth)
        elif kind == "redirect":
            return self._redirect(chain, piece, here, at)
        elif kind == "escape":
            chain.take("" if piece[1:] == "\n" else piece[1:], here)
        elif piece == "#" and chain.start < 0:
            line = self.text.find("\n", at, self.end)
            return line if line >= 0 else self.end
        elif piece in "{}" and chain.start < 0 and at < self.end and self.text[at] in " \t\r\n;":
            chain.close_segment(here, piece)
        else:
            chain.take(piece, here)
        return at

    def _double(self, chain: _Chain, here: int, at: int, depth: int) -> int:
        chain.take("", here)
        while at < self.end:
            char = self.text[at]
            if char == '"':
                return at + 1
            if char == "\\":
                escaped = self.text[at + 1 : at + 2]
                chain.take(
                    escaped if escaped in ('"', "\\", "$", "`") else "" if escaped == "\n" else "\\" + escaped, at
                )
                at += 2
            elif char == "`" or self.text.startswith("$(", at):
                piece = char if char == "`" else "$("
                at = self._substitution(chain, piece, at, at + len(piece), depth)
            else:
                found = _IN_DOUBLE.match(self.text, at, self.end)
                piece = found.group() if found else char
                chain.take(piece, at)
                at += len(piece)
        return self.end

    def _substitution(self, chain: _Chain, piece: str, here: int, at: int, depth: int) -> int:
        if depth >= MAX_DEPTH:
            chain.take(piece, here)
            return at
        inner, behind = self.read(at, "`" if piece == "`" else ")", depth + 1)
        chain.take(self.text[here:behind], here)
        chain.segment.subs.append((piece, inner))
        return behind

    def _redirect(self, chain: _Chain, piece: str, here: int, at: int) -> int:
        op = piece.lstrip("0123456789")
        if piece[0].isdigit() and chain.start >= 0:  # `x2>y`: the digit belongs to the word
            digits = piece[: len(piece) - len(op)]
            chain.take(digits, here)
        chain.close_word(here)
        if op.startswith("<<") and op != "<<<":
            name = _HERE_NAME.match(self.text, at, self.end)
            if name:
                chain.wait_for(name.group(2))
                return name.end()
        chain.redirect = "" if op[-1].isdigit() else op
        return at


class _Chain:
    """The words and segments of one level while it is read."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.segments: list[Segment] = []
        self.segment = Segment()
        self.parts: list[str] = []
        self.start = -1
        self.redirect = ""
        self._here: list[tuple[str, Segment]] = []

    def take(self, piece: str, at: int) -> None:
        if self.start < 0:
            self.start = at
        self.parts.append(piece)

    def close_word(self, at: int) -> None:
        if self.start < 0:
            return
        word = Word("".join(self.parts), self.start, at)
        if self.redirect == "<<<":
            self.segment.here = word
        elif self.redirect:
            self.segment.files.append((self.redirect, word))
        else:
            self.segment.words.append(word)
        self.redirect = ""
        self.parts, self.start = [], -1

    def close_segment(self, at: int, op: str) -> None:
        self.close_word(at)
        if self.segment.words or self.segment.subs:
            self.segments.append(self.segment)
        self.segment = Segment(op)
        self.redirect = ""

    def wait_for(self, name: str) -> None:
        self._here.append((name, self.segment))

    def skip_here(self, at: int, end: int) -> int:
        """Takes the bodies of the here-documents that began on the line that ends at `at`."""
        for name, segment in self._here[:4]:
            stop = re.compile(rf"^\t*{re.escape(name)}[ \t\r]*$", re.MULTILINE).search(self.text, at, end)
            close = stop.start() if stop else end
            segment.here = Word(self.text[at:close], at, close)
            at = stop.end() if stop else end
        self._here = []
        return at


def unescape(text: str) -> str:
    r"""What `$'…'`, `printf` and `echo -e` make of backslash escapes."""
    return _ANSI.sub(_unescaped, text)


def _unescaped(found: re.Match[str]) -> str:
    two, four, eight, octal, char = found.groups()
    if two or octal:
        return chr(int(two, 16) if two else int(octal, 8) & 0xFF)
    if four or eight:
        code = int(four or eight, 16)
        return chr(code) if code < 0xD800 or 0xE000 <= code < 0x110000 else ""
    return _ESCAPES.get(char, "\\" + char)
