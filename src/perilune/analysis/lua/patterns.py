"""Lua's patterns over re2: the same answers, and linear time on hostile patterns, which backtracking has not.

`%b`, `%f` and back references are no regular language; a pattern with them is not evaluated.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any, NamedTuple

import re2  # type: ignore[import-untyped]

_CLASSES = {
    "a": "A-Za-z", "d": "0-9", "l": "a-z", "u": "A-Z", "w": "A-Za-z0-9", "x": "A-Fa-f0-9", "s": r"\t-\r ",
    "c": r"\x00-\x1f\x7f", "p": r"!-/:-@\[-`{-~", "z": r"\x00", "g": "!-~",
}  # fmt: skip
_NEGATED = {
    "A": r"\x00-@\[-`{-\xff", "D": r"\x00-/:-\xff", "L": r"\x00-`{-\xff", "U": r"\x00-@\[-\xff", "W": r"\x00-/:-@\[-`{-\xff",
    "X": r"\x00-/:-@G-`g-\xff", "S": r"\x00-\x08\x0e-\x1f!-\xff", "C": r" -~\x80-\xff", "P": r"\x00- 0-9A-Za-z\x7f-\xff",
    "Z": r"\x01-\xff", "G": r"\x00- \x7f-\xff",
}  # fmt: skip
_MOST = 400


class Found(NamedTuple):
    """`captures` has a position as a number, as `()` gives it; the whole match where there are no captures."""

    start: int
    end: int
    captures: tuple[str | int, ...]


class Pattern:
    """One compiled pattern."""

    def __init__(self, regex: Any, positions: tuple[bool, ...], anchored: bool) -> None:
        self._regex = regex
        self._positions = positions
        self._anchored = anchored

    def all(self, text: str, start: int = 0) -> Iterator[Found]:
        """Every match after the other, as gmatch and gsub go on."""
        data = text.encode("latin-1")
        if self._anchored:
            match = self._regex.match(data, start)
            if match:
                yield self._found(match)
            return
        for match in self._regex.finditer(data, start):
            yield self._found(match)

    def first(self, text: str, start: int = 0) -> Found | None:
        return next(self.all(text, start), None)

    def _found(self, match: Any) -> Found:
        captures = tuple(
            match.start(n) + 1 if position else match.group(n).decode("latin-1")
            for n, position in enumerate(self._positions, 1)
        )
        return Found(match.start(), match.end(), captures or (match.group().decode("latin-1"),))


@lru_cache(maxsize=256)
def compiled(pattern: str) -> Pattern | None:
    """A Lua pattern ready to be used, or None where it cannot be evaluated."""
    if len(pattern) > _MOST:
        return None
    anchored = pattern.startswith("^")
    try:
        regex, positions = _translate(pattern, 1 if anchored else 0)
    except (ValueError, IndexError):
        return None
    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1
    options.dot_nl = True
    options.log_errors = False
    try:
        return Pattern(re2.compile(regex.encode("latin-1"), options), positions, anchored)
    except re2.error:
        return None


def _translate(pattern: str, at: int) -> tuple[str, tuple[bool, ...]]:
    out: list[str] = []
    positions: list[bool] = []
    open_groups = 0
    while at < len(pattern):
        char = pattern[at]
        if char == "(":
            is_position = pattern[at + 1] == ")"
            positions.append(is_position)
            out.append("()" if is_position else "(")
            open_groups += not is_position
            at += 2 if is_position else 1
        elif char == ")":
            open_groups -= 1
            out.append(")")
            at += 1
        elif char == "$" and at + 1 == len(pattern):
            out.append(r"\z")
            at += 1
        else:
            item, at = _item(pattern, at)
            if at < len(pattern) and pattern[at] in "*+-?":
                item += {"-": "*?"}.get(pattern[at], pattern[at])
                at += 1
            out.append(item)
    if open_groups:
        raise ValueError("unbalanced")
    return "".join(out), tuple(positions)


def _item(pattern: str, at: int) -> tuple[str, int]:
    char = pattern[at]
    if char == ".":
        return "(?s:.)", at + 1
    if char == "[":
        return _set(pattern, at + 1)
    if char == "%":
        if pattern[at + 1] in "bf123456789":
            raise ValueError("not regular")
        return _escaped(pattern[at + 1]), at + 2
    return _literal(char), at + 1


def _escaped(char: str) -> str:
    inside = _CLASSES.get(char) or _NEGATED.get(char)
    return f"[{inside}]" if inside else _literal(char)


def _literal(char: str) -> str:
    return f"\\x{ord(char):02x}"


def _set(pattern: str, at: int) -> tuple[str, int]:
    negated = pattern[at] == "^"
    at += negated
    parts: list[str] = []
    first = True
    while first or pattern[at] != "]":
        first = False
        if pattern[at] == "%":
            char = pattern[at + 1]
            parts.append(_CLASSES.get(char) or _NEGATED.get(char) or _literal(char))
            at += 2
        elif pattern[at + 1] == "-" and pattern[at + 2] != "]":
            if pattern[at] <= pattern[at + 2]:
                parts.append(f"{_literal(pattern[at])}-{_literal(pattern[at + 2])}")
            at += 3
        else:
            parts.append(_literal(pattern[at]))
            at += 1
    return f"[{'^' if negated else ''}{''.join(parts)}]", at + 1
