"""How PowerShell splits its code into commands: statements, pipelines and blocks, with quotes and here-strings."""

from __future__ import annotations

import re

from perilune.analysis.words import Segment, Word

_TOKEN = re.compile(
    r"""(?P<comment><\#.*?(?:\#>|\Z)|(?<![^\s;({|])\#[^\r\n]*)|(?P<space>(?:[ \t\xa0]|`\r?\n)+)|(?P<line>[\r\n]+)
    |(?P<here>@'\r?\n.*?(?:\n'@|\Z)|@"\r?\n.*?(?:\n"@|\Z))
    |(?P<single>['‘’‚‛][^'‘’‚‛]*(?:['‘’‚‛]{2}[^'‘’‚‛]*)*(?:['‘’‚‛]|\Z))
    |(?P<double>["“”„][^"“”„`]*(?:(?:`.|["“”„]{2})[^"“”„`]*)*(?:["“”„]|\Z))
    |(?P<op>&&|\|\||[|;{}()])|(?P<call>&)|(?P<tick>`.?)|(?P<run>[^\s'"‘’‚‛“”„`|;{}()&\#<]+)|(?P<other>.)""",
    re.VERBOSE | re.DOTALL,
)
_SPECIAL = {"n": "\n", "t": "\t", "r": "\r", "0": "\0", "a": "\a", "b": "\b", "f": "\f", "v": "\v"}
_TICK = re.compile(r"`(.)", re.DOTALL)


def split(text: str, start: int = 0, end: int | None = None) -> list[Segment]:
    """The segments at every depth of blocks and parentheses; expressions come out as segments too."""
    end = len(text) if end is None else end
    segments: list[Segment] = []
    segment = Segment()
    parts: list[str] = []
    begin = -1
    at = start
    while at <= end:
        token = _TOKEN.match(text, at, end) if at < end else None
        kind, piece, here = (token.lastgroup or "", token.group(), at) if token else ("end", "", end)
        at = token.end() if token else end + 1
        if kind in _VALUES or (kind == "call" and begin >= 0):
            begin = here if begin < 0 else begin
            parts.append(value(kind, piece))
            continue
        if begin >= 0:
            segment.words.append(Word("".join(parts), begin, here))
            parts, begin = [], -1
        if kind in ("space", "comment"):
            continue
        if segment.words:
            segments.append(segment)
            segment = Segment()
        segment.op = "\n" if kind == "line" else piece
    return segments


_VALUES = frozenset(("run", "single", "double", "here", "tick", "other"))


def value(kind: str, piece: str) -> str:
    """A token's text without its quotes and backticks."""
    if kind == "run" or kind == "other":
        return piece
    if kind == "single":
        return piece[1:-1].replace("''", "'") if len(piece) > 1 else ""
    if kind == "double":
        return _TICK.sub(_escaped, piece[1:-1] if len(piece) > 1 else "").replace('""', '"')
    if kind == "tick":
        return piece[1:]
    return piece.split("\n", 1)[1].rsplit("\n", 1)[0] if piece.count("\n") > 1 else ""


def _escaped(found: re.Match[str]) -> str:
    return _SPECIAL.get(found.group(1), found.group(1))


_COMMAND = re.compile(r"[A-Za-z_][\w.-]*(\.exe)?|[\w.:~$%{}-]*[\\/].*", re.DOTALL)
_KEYWORDS = frozenset(
    "if else elseif while for foreach do switch function filter param begin process end try catch finally return throw "
    "trap break continue in until using class enum data dynamicparam exit".split()
)


def is_command(word: str) -> bool:
    """Whether a segment's first word can name a command, and is no expression or keyword."""
    return len(word) < 260 and _COMMAND.fullmatch(word) is not None and word.lower() not in _KEYWORDS
