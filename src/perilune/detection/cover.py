"""What must occur in a value for a test of it to hold: the words that the matcher looks for first.

Most rules cannot hold on most rows because a rare word is missing. One search for a few words of each rule, over
the distinct values of a column, leaves little to verify (Snort and Suricata call this the fast pattern).
"""

from __future__ import annotations

# Private, and the only parser of expressions that Python has. Without it regexes would only be slower.
import re._constants as sre  # type: ignore[import-not-found]
import re._parser as sre_parser  # type: ignore[import-not-found]
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.resources import files
from typing import NamedTuple

import pyarrow as pa

from perilune.detection.values import fold
from perilune.model.rules import (
    And,
    Boolean,
    Compare,
    Expr,
    Number,
    Or,
    Regex,
    Text,
    Wildcard,
)
from perilune.model.tables import COLUMNS

CONTAINS, STARTS, ENDS, IS = "c", "p", "s", "e"  # how a word stands in the value
EQUALS = "n"  # a number, or a truth as 0 or 1

# Columns with few distinct values, where looking for any word is cheap. All others are judged by the word.
_WORDY = ("CommandLine", "ScriptText", "RegistryKey", "RegistryValueData", "AdditionalFields", "XArguments", "XQuery")
_COMMON = 0.016  # share of values: above it, looking for the word costs more than verifying without it
_SHORT = 3  # letters of ASCII; other letters are rare by themselves
_UNSEEN = 1e-5  # the share of values that have a word of one letter which no ordinary value has


class Word(NamedTuple):
    """Something to look for in one column. `text` is folded; a number is spelled."""

    column: str
    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class Cover:
    """Words of which at least one is in every value that the test holds on.

    exact   finding one of them is not only necessary but enough
    cheap   they are rare enough to be looked for in every batch
    weight  the share of values that are expected to have one
    """

    words: tuple[Word, ...]
    exact: bool
    cheap: bool
    weight: float


def cover(expr: Expr, column: str) -> Cover | None:
    """The cover of a test over one column; None where it can hold without any particular word."""
    match expr:
        case Text():
            return _of_text(expr, column)
        case Regex(pattern=pattern, flags=flags):
            return _of_words(regex_words(pattern, flags), column)
        case Number(op=Compare.EQ, value=value) if pa.types.is_integer(_type(column)):
            return _joined([Word(column, EQUALS, str(value))], exact=True)
        case Boolean(value=value):
            return _of_boolean(value, column)
        case Or(of=parts):
            return _of_any([cover(part, column) for part in parts])
        case And(of=parts):
            return _of_all([cover(part, column) for part in parts])
        case _:
            return None


def _of_any(covers: list[Cover | None]) -> Cover | None:
    found = [each for each in covers if each is not None]
    if len(found) < len(covers) or not found:
        return None
    words = tuple(dict.fromkeys(word for each in found for word in each.words))
    return Cover(words, all(c.exact for c in found), all(c.cheap for c in found), sum(c.weight for c in found))


def _of_all(covers: list[Cover | None]) -> Cover | None:
    found = [each for each in covers if each is not None]
    if not found:
        return None
    best = min(found, key=lambda each: (not each.cheap, each.weight))
    return Cover(best.words, best.exact and len(covers) == 1, best.cheap, best.weight)


def _of_boolean(value: bool, column: str) -> Cover | None:
    if pa.types.is_boolean(_type(column)):
        return _joined([Word(column, EQUALS, str(int(value)))], exact=True)
    if not pa.types.is_string(_type(column)):
        return None
    return _joined([Word(column, IS, "true" if value else "false")], exact=True)


def _of_text(test: Text, column: str) -> Cover | None:
    if _is_numeric(column) or pa.types.is_timestamp(_type(column)):
        return None
    candidates = [
        Word(column, kind, fold(part)) for part, kind in _placed(test.parts) if isinstance(part, str) and part
    ]
    if not candidates:
        return None
    best = candidates[0] if len(candidates) == 1 else min(candidates, key=lambda word: (_share(word), -len(word.text)))
    exact = not test.cased and len(candidates) == 1 and Wildcard.ONE not in test.parts and "*" not in column
    return _joined([best], exact=exact)


def _placed(parts: tuple[str | Wildcard, ...]) -> Iterator[tuple[str | Wildcard, str]]:
    """Each part and how it stands in the value."""
    last = len(parts) - 1
    for at, part in enumerate(parts):
        if at == 0:
            yield part, IS if at == last else STARTS
        else:
            yield part, ENDS if at == last else CONTAINS


def _of_words(words: frozenset[str] | None, column: str) -> Cover | None:
    if not words or _is_numeric(column):
        return None
    return _joined([Word(column, CONTAINS, word) for word in sorted(words)], exact=False)


def _joined(words: list[Word], *, exact: bool) -> Cover:
    shares = [_share(word) for word in words]
    return Cover(tuple(words), exact, all(share <= _COMMON for share in shares), sum(shares))


@cache
def is_wordy(column: str) -> bool:
    """Whether the column's values are long and mostly different."""
    return any(name in column for name in _WORDY)


@cache
def _is_numeric(column: str) -> bool:
    kind = _type(column)
    return pa.types.is_integer(kind) or pa.types.is_boolean(kind)


def _type(column: str) -> pa.DataType:
    name, _, inner = column.partition(".")
    return pa.string() if inner else COLUMNS[name]


def _share(word: Word) -> float:
    """The share of a column's values that are expected to have the word."""
    if not is_wordy(word.column):
        return _COMMON / 100
    short = _COMMON if len(word.text) < _SHORT and word.text.isascii() and word.kind != IS else 0
    return _common_share(word.text) + short + _UNSEEN / len(word.text)


@lru_cache(maxsize=65_536)
def _common_share(text: str) -> float:
    """The share of ordinary values that have the text."""
    lines, whole = _commonplace()
    return sum(text in line for line in lines) / len(lines) if text in whole else 0.0


@lru_cache(maxsize=1)
def _commonplace() -> tuple[tuple[str, ...], str]:
    """Ordinary command lines, paths, keys and script lines, to judge by what is common; each, and all in one."""
    text = (files("perilune.detection") / "commonplace.txt").read_text(encoding="utf-8")
    lines = tuple(fold(line) for line in text.splitlines() if line and not line.startswith("# "))
    return lines, "\n".join(lines)


@lru_cache(maxsize=4096)
def regex_words(pattern: str, flags: str) -> frozenset[str] | None:
    """Folded words of which one is in every text that the expression is found in; None where there is none.

    Python's parser reads the expression; what RE2 reads differently only shortens the words.
    """
    if "[:" in pattern:
        return None  # a POSIX class to RE2, a set of its letters to Python
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what a later Python may read differently
            parsed = sre_parser.parse(pattern)
    except (sre_parser.error, RecursionError, OverflowError):
        return None
    ignores_case = "i" in flags or "(?" in pattern.replace("(?:", "")
    return _best(_required(parsed, ignores_case))


Alternatives = frozenset[str]


def _best(found: Iterable[Alternatives]) -> Alternatives | None:
    """The alternatives whose shortest word is longest; of few words rather than many."""
    ranked = [each for each in found if each and len(each) <= 64]
    return max(ranked, key=lambda each: (min(map(len, each)), -len(each)), default=None)


def _required(parsed: Iterable[tuple[object, object]], ignores_case: bool) -> Iterator[Alternatives]:
    """Sets of words; of each set, one is in every match."""
    run = ""
    for op, argument in parsed:
        letter = _letter(op, argument, ignores_case)
        if letter is not None:
            run += letter
            continue
        if run:
            yield frozenset({run})
            run = ""
        yield from _inner(op, argument, ignores_case)
    if run:
        yield frozenset({run})


def _inner(op: object, argument: object, ignores_case: bool) -> Iterator[Alternatives]:
    match op, argument:
        case sre.SUBPATTERN, (_, _, _, sre_parser.SubPattern() as inner):
            yield from _required(inner, ignores_case)
        case ((sre.MAX_REPEAT | sre.MIN_REPEAT), (int(least), _, sre_parser.SubPattern() as inner)) if least > 0:
            yield from _required(inner, ignores_case)
        case sre.BRANCH, (_, list(branches)):
            each = [_best(_required(branch, ignores_case)) for branch in branches]
            if all(each):
                yield frozenset(word for found in each if found for word in found)


def _letter(op: object, argument: object, ignores_case: bool) -> str | None:
    """The folded character that this item stands for, if it stands for one."""
    if op is sre.LITERAL and isinstance(argument, int):
        return _certain(chr(argument), ignores_case)
    if op is sre.IN and isinstance(argument, list) and len(argument) <= 2:
        letters = {fold(chr(a)) for o, a in argument if o is sre.LITERAL}
        if len(letters) == 1 and all(o is sre.LITERAL for o, _ in argument):
            return _certain(letters.pop(), ignores_case)
    return None


def _certain(letter: str, ignores_case: bool) -> str | None:
    """The folded letter, unless RE2, ignoring case, also lets it stand for one that folds otherwise (ſ for s)."""
    if ignores_case and not (letter.isascii() and letter not in "sSkK"):
        return None
    return fold(letter)
