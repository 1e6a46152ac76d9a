"""A place among the tokens of a text, and the ways to move on: what every part of the parser stands on."""

from __future__ import annotations

from perilune.analysis.lua.lexer import Tokens

MOST_DEPTH = 620  # Python frames, about; Lua itself refuses 200 nested levels


class Wrong(Exception):
    """The text stops being Lua here. Never leaves the parser."""


class Deep(Exception):
    """Nested deeper than is read. Never leaves the parser."""


class Cursor:
    """A place among the tokens; comments are left out."""

    def __init__(self, tokens: Tokens) -> None:
        text = tokens.text
        code = tokens.code()
        self.text = text
        self.types = [*code.types, *["eof"] * 4]
        self.starts = [*code.starts, *[len(text)] * 4]
        self.ends = [*code.ends, *[len(text)] * 4]
        self.at = 0
        self.depth = 0
        self.faults: list[tuple[int, str]] = []

    def fault(self, what: str) -> None:
        self.faults.append((self.starts[self.at], what))

    def wrong(self, wanted: str) -> Wrong:
        return Wrong(f"{wanted} wanted, {self.types[self.at]} found")

    def down(self, frames: int) -> None:
        self.depth += frames
        if self.depth > MOST_DEPTH:
            raise Deep

    def need(self, kind: str) -> None:
        if self.types[self.at] != kind:
            raise self.wrong(kind)
        self.at += 1

    def take(self, kind: str) -> bool:
        if self.types[self.at] == kind:
            self.at += 1
            return True
        return False

    def name(self) -> str:
        at = self.at
        if self.types[at] != "name" and self.types[at] not in ("goto", "continue"):
            raise self.wrong("a name")
        self.at = at + 1
        return self.text[self.starts[at] : self.ends[at]]
