"""Regular expressions by the hundred: those whose literals are not in a text are never tried on it.

Patterns are RE2's, in time linear in the text. From each one the literals are taken of which a match must hold at
least one; a single scan for all of them then says which patterns are worth trying.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

import ahocorasick_rs
import re2  # type: ignore[import-untyped]

from perilune.errors import ContentError

LEAST = 3  # characters of a literal that is worth looking for

_OPTIONS = re2.Options()
_OPTIONS.log_errors = False
_OPTIONS.case_sensitive = False
_OPTIONS.dot_nl = False
_OPTIONS.max_mem = 1 << 24


class Expression:
    """A regular expression that is compiled when it is first asked: of hundreds, a short run asks a few."""

    __slots__ = ("_ready", "pattern")

    def __init__(self, pattern: str, flags: re.RegexFlag = re.IGNORECASE) -> None:
        self.pattern = pattern
        self._ready: re.Pattern[str] | re.RegexFlag = flags

    def compiled(self) -> re.Pattern[str]:
        """The compiled expression; re.error where it is none."""
        if isinstance(self._ready, re.RegexFlag):
            self._ready = re.compile(self.pattern, self._ready)
        return self._ready

    def search(self, text: str) -> re.Match[str] | None:
        return self.compiled().search(text)

    def fullmatch(self, text: str) -> re.Match[str] | None:
        return self.compiled().fullmatch(text)


class Patterns:
    """Named patterns, searched case-insensitively. Each is compiled when it is first tried.

    `few`: there are few texts or short ones to come, so that finding the literals of all patterns costs more than
    trying all of them in one pass.
    """

    def __init__(self, patterns: Mapping[str, str], *, few: bool = False) -> None:
        self._names = list(patterns)
        self._written = list(patterns.values())
        self._compiled: list[Any] = [None] * len(self._names)
        literals: dict[str, list[int]] = {}
        self._always: list[int] = []
        for number, pattern in enumerate(self._written):
            needed = None if few else required(pattern)
            if needed is None:
                self._always.append(number)
            for literal in needed or ():
                literals.setdefault(literal, []).append(number)
        self._chooser = Chooser([self._written[number] for number in self._always])
        self._owners = list(literals.values())
        self._scan = ahocorasick_rs.AhoCorasick(list(literals)) if literals else None

    def check(self) -> None:
        """Compiles all of them; ContentError where one cannot be."""
        for number in range(len(self._names)):
            self._pattern(number)

    def _pattern(self, number: int) -> Any:
        if self._compiled[number] is None:
            self._compiled[number] = _compiled(self._names[number], self._written[number])
        return self._compiled[number]

    def search(self, text: str) -> Iterator[tuple[str, int, int]]:
        """The name and first place of every pattern that holds somewhere in the text."""
        if not text.isascii():  # a lone surrogate cannot be searched; its stand-in is one character as well
            text = text.encode("utf-8", "replace").decode("utf-8")
        lower = text.lower()
        worth = {self._always[number] for number in self._chooser.candidates(text)} if self._always else set()
        if self._scan is not None:
            for index in {hit[0] for hit in self._scan.find_matches_as_indexes(lower, overlapping=True)}:
                worth.update(self._owners[index])
        if not worth:
            return
        data = text.encode("utf-8")
        for number in sorted(worth):
            found = self._pattern(number).search(data)
            if found is not None:
                start, end = found.span()
                if len(data) != len(text):
                    start = len(data[:start].decode("utf-8", "replace"))
                    end = start + len(data[found.start() : found.end()].decode("utf-8", "replace"))
                yield self._names[number], start, min(end, len(text))


class Chooser:
    """Which of many patterns hold, in one pass; where a pattern uses look-around, it is said to hold and must be tried.

    `whole`: the pattern has to match the whole text.
    """

    def __init__(self, patterns: Sequence[str], *, whole: bool = False) -> None:
        options = re2.Options()
        options.log_errors = False
        options.case_sensitive = False
        options.max_mem = 1 << 26
        self._set = re2.Set.FullMatchSet(options) if whole else re2.Set.SearchSet(options)
        self._numbers: list[int] = []
        self._open: list[int] = []
        for number, pattern in enumerate(patterns):
            if _LOOKS_AROUND.search(pattern):
                self._open.append(number)
            else:
                self._set.Add(pattern.encode("utf-8"))
                self._numbers.append(number)
        self._set.Compile()

    def candidates(self, text: str) -> list[int]:
        """The numbers of the patterns that hold or may hold, in order."""
        held = self._set.Match(text.encode("utf-8", "replace")) or ()
        return sorted([*(self._numbers[n] for n in held), *self._open])


_LOOKS_AROUND = re.compile(r"\(\?(?:[=!]|<[=!])")


def _compiled(name: str, pattern: str) -> Any:
    try:
        return re2.compile(pattern.encode("utf-8"), _OPTIONS)
    except re2.error as error:
        raise ContentError(
            f"RE2 does not take this pattern: {error}", where=name, hint="no look-around, no back-references"
        ) from None


@lru_cache(maxsize=2_000)  # a catalogue asks once to sort its patterns and once to search with them
def required(pattern: str) -> frozenset[str] | None:
    """Lower-case literals of which every match holds at least one; None where there is no such set."""
    try:
        return _required(_parsed(pattern))
    except (re.error, RecursionError):
        return None


def _parsed(pattern: str) -> Iterable[tuple[Any, Any]]:
    parser: Any = getattr(re, "_parser")  # noqa: B009 - not in the stubs; the only parser of this syntax in the standard library
    found: Iterable[tuple[Any, Any]] = parser.parse(pattern)
    return found


def _required(sequence: Iterable[tuple[Any, Any]]) -> frozenset[str] | None:
    """The best of what each part of a sequence needs: the one whose shortest literal is longest."""
    best: frozenset[str] | None = None
    run = ""
    for op, argument in (*sequence, (None, None)):
        name = str(op)
        if name == "LITERAL" and chr(argument).isascii():
            run += chr(argument).lower()
            continue
        if len(run) >= LEAST:
            best = _better(best, frozenset((run,)))
        run = ""
        part = _of_part(name, argument)
        if part is not None:
            best = _better(best, part)
    return best


def _of_part(name: str, argument: Any) -> frozenset[str] | None:
    if name == "SUBPATTERN":
        return _required(argument[-1])
    if name in ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT") and argument[0] > 0:
        return _required(argument[2])
    if name == "ATOMIC_GROUP":
        return _required(argument)
    if name == "BRANCH":
        found: set[str] = set()
        for branch in argument[1]:
            part = _required(branch)
            if part is None:
                return None
            found |= part
        return frozenset(found)
    return None


def _better(one: frozenset[str] | None, other: frozenset[str]) -> frozenset[str]:
    if one is None:
        return other
    rank = lambda found: (min(map(len, found)), -len(found))  # noqa: E731
    return max((one, other), key=rank)
