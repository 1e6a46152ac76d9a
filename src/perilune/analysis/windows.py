"""How Windows splits a command line: cmd's pass for operators, carets and redirections, and CommandLineToArgvW."""

from __future__ import annotations

import re

from perilune.analysis.words import Segment, Word

_TOKEN = re.compile(
    r"""(?P<space>[ \t\x0b\x0c\xa0]+)|(?P<line>[\r\n]+)|(?P<op>&&|\|\||[&|])
    |(?P<redirect>(?<!\S)[012]?>>?(?:&[012])?|>>?(?:&[012])?|<)
    |(?P<caret>\^(?:\r?\n|.)?)|(?P<slashes>\\+)|(?P<quote>")|(?P<paren>[()])|(?P<run>[^\s&|<>^\\"()]+)|(?P<other>.)""",
    re.VERBOSE | re.DOTALL,
)
_IN_QUOTES = re.compile(r'[^"\\]+')
_URL_GOES_ON = re.compile(r"&[A-Za-z0-9_.%-]{1,40}=")


class _Line:
    """The words and segments of one text while it is read."""

    def __init__(self) -> None:
        self.segments: list[Segment] = []
        self.segment = Segment()
        self.parts: list[str] = []
        self.start = -1
        self.redirect = ""
        self.depth = 0  # of cmd's grouping parentheses

    def groups(self) -> bool:
        """Whether a parenthesis here opens a group: where a command begins, after `else`, `do` and a condition."""
        if self.start >= 0:
            return False
        words = self.segment.words
        return not words or words[-1].text.lower() in ("do", "else", "@") or words[0].text.lower() == "if"

    def take(self, piece: str, at: int) -> None:
        if self.start < 0:
            self.start = at
        self.parts.append(piece)

    def close_word(self, at: int) -> None:
        if self.start < 0:
            return
        word = Word("".join(self.parts), self.start, at)
        if self.redirect:
            self.segment.files.append((self.redirect, word))
            self.redirect = ""
        else:
            self.segment.words.append(word)
        self.parts, self.start = [], -1

    def close_segment(self, at: int, op: str) -> None:
        self.close_word(at)
        if self.segment.words:
            self.segments.append(self.segment)
        self.segment = Segment(op)


def split(text: str, start: int = 0, end: int | None = None, *, shell: bool = True) -> list[Segment]:
    """The segments of a command line. Without `shell` no operator is known: only arguments are split.

    Quotes follow CommandLineToArgvW also where cmd would count them otherwise (`\\"`): a log shows what a
    program was started with, and there the backslash wins.
    """
    line = _Line()
    end = len(text) if end is None else end
    at = start
    while at < end:
        token = _TOKEN.match(text, at, end)
        if token is None:  # cannot be: the last alternative takes any character
            break
        kind, piece, here, at = token.lastgroup, token.group(), at, token.end()
        if kind == "run":
            line.take(piece, here)
        elif kind == "space":
            line.close_word(here)
        elif kind == "quote":
            at = _quoted(text, here, end, line)
        elif kind == "slashes":
            at = _slashes(text, piece, here, at, end, line)
        elif kind == "line":
            line.close_segment(here, "\n")
        elif kind == "caret" and shell:
            if len(piece) == 2 and piece[1] not in "\r\n":
                line.take(piece[1], here)
        elif shell and kind == "op":
            if piece == "&" and (_in_url(text, here, line) or _in_call(text, here, line)):
                line.take(piece, here)
            else:
                line.close_segment(here, piece)
        elif shell and kind == "paren" and (line.depth if piece == ")" else line.groups()):
            line.close_segment(here, piece)
            line.depth += 1 if piece == "(" else -1
        elif shell and kind == "redirect":
            line.close_word(here)
            line.redirect = "" if "&" in piece else piece
        else:
            line.take(piece, here)
    line.close_segment(end, "")
    return line.segments


def arguments(text: str, start: int = 0, end: int | None = None) -> list[Word]:
    """The arguments as CommandLineToArgvW gives them."""
    return [word for segment in split(text, start, end, shell=False) for word in segment.words]


def _quoted(text: str, at: int, end: int, line: _Line) -> int:
    """Reads from an opening quote past the closing one; `""` inside is one quote, as the C runtime has it."""
    line.take("", at)
    at += 1
    while at < end:
        char = text[at]
        if char == '"':
            if at + 1 < end and text[at + 1] == '"':
                line.take('"', at)
                at += 2
                continue
            return at + 1
        if char == "\\":
            run = at
            while run < end and text[run] == "\\":
                run += 1
            at = _slashes(text, text[at:run], at, run, end, line)
            continue
        found = _IN_QUOTES.match(text, at, end)
        assert found is not None
        line.take(found.group(), at)
        at = found.end()
    return end


def _slashes(text: str, piece: str, here: int, at: int, end: int, line: _Line) -> int:
    """2n backslashes before a quote are n; an odd one more makes the quote a character."""
    if at < end and text[at] == '"':
        line.take("\\" * (len(piece) // 2), here)
        if len(piece) % 2:
            line.take('"', at)
            return at + 1
        return at
    line.take(piece, here)
    return at


def _in_call(text: str, at: int, line: _Line) -> bool:
    """Whether an `&` joins strings inside an open parenthesis of the same word: `vbscript:Execute(Chr(97)&Chr(98))`."""
    if line.start < 0 or text[at + 1 : at + 2] in (" ", ""):
        return False
    word = text[max(line.start, at - 2000) : at]
    return word.count("(") > word.count(")")


def _in_url(text: str, at: int, line: _Line) -> bool:
    """Whether an `&` only separates a URL's parameters: a command that logs show was not typed into cmd."""
    return (
        line.start >= 0
        and "://" in text[line.start : min(at, line.start + 300)]
        and _URL_GOES_ON.match(text, at) is not None
    )
