"""RE2's patterns as Java's, which Spark runs: the same text means something else there in a dozen places.

What has no counterpart is refused by name; nothing is passed on that was not looked at.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from perilune.detection.kql.errors import KqlError

_WORD = "[0-9A-Za-z_]"
_BOUNDARY = f"(?:(?<={_WORD})(?!{_WORD})|(?<!{_WORD})(?={_WORD}))"
_SPACE = r"\t\n\f\r "
_ESCAPES = {"s": f"[{_SPACE}]", "S": f"[^{_SPACE}]", "b": _BOUNDARY, "A": r"\A", "z": r"\z", "a": r"\x07", "v": r"\x0b"}
_IN_CLASS = {"s": _SPACE, "a": r"\x07", "v": r"\x0b"}
_SAME = frozenset("dDwWtnrf")  # the same in both, inside a class and outside
_TOKEN = re.compile(
    r"(?P<property>\\[pP](?:\{\w+\}|\w))|(?P<code>\\x(?:\{[0-9A-Fa-f]{1,6}\}|[0-9A-Fa-f]{2}))|(?P<escape>\\.)"
    r"|(?P<flags>\(\?[a-zA-Z-]+[:)])|(?P<group>\(\?:|\(\?|\()|(?P<one>.)", re.DOTALL,
)  # fmt: skip


def java_regex(pattern: str) -> str:
    """The pattern for `java.util.regex`. Raises `KqlError` for what only RE2 has."""
    if re.search(r"\(\?[a-z]*i", pattern) and re.search("[ßẞ]", pattern):
        raise _only_re2("ß without its case")  # which Java does not know as the capital's small letter
    found: list[str] = []
    begun = -1  # where the class began that this is in
    for kind, text in _tokens(pattern):
        if begun < 0:
            begun = len(found) if (kind, text) == ("one", "[") else -1
            found.append(text if begun >= 0 else _outside(kind, text))
            continue
        first = found[begun + 1 :] in ([], ["^"])
        found.append(_of_class(kind, text, first=first))
        if (kind, text) == ("one", "]") and not first:
            begun = -1
    return "".join(found)


def _tokens(pattern: str) -> Iterator[tuple[str, str]]:
    for token in _TOKEN.finditer(pattern):
        yield str(token.lastgroup), token.group()


def _outside(kind: str, text: str) -> str:
    match kind:
        case "escape":
            return _escape(text, _ESCAPES)
        case "property":
            return _property(text)
        case "flags":
            return _flags(text)
        case "group" if text == "(?":
            raise _only_re2("a named group or a group of a kind of its own")
        case "one" if text == "$":
            return r"\z"  # Java's also stands before a last line break
        case "one" if text == ".":
            return r"[^\n]"  # Java's leaves out four more line breaks
    return text


def _of_class(kind: str, text: str, *, first: bool) -> str:
    if kind == "escape":
        return _escape(text, _IN_CLASS)
    if kind == "property":
        return _property(text)
    if kind in ("flags", "group"):
        return text  # plain characters here
    if text == "]" and first:
        return r"\]"  # RE2 takes it for itself there
    return "\\" + text if text in "[&~" else text  # which Java takes for operators between classes


def _escape(text: str, known: dict[str, str]) -> str:
    letter = text[1:]
    if letter in known:
        return known[letter]
    if letter in _SAME or not letter.isalnum():
        return text
    raise _only_re2(f"the escape {text}")


def _property(text: str) -> str:
    if len(text) > 3 and len(text[3:-1]) > 2:
        raise _only_re2(f"the class {text}")  # scripts have other names in Java
    return text


def _flags(text: str) -> str:
    """RE2 ignores case as Unicode has it, Java only where it is told."""
    letters = text[2:-1]
    if letters.strip("i-") or letters.count("-") > 1:
        raise _only_re2(f"the flags {text}")
    return text.replace("i", "iu")


def _only_re2(what: str) -> KqlError:
    return KqlError(f"{what} of a pattern cannot be rendered for Spark", hint="run the query here")
