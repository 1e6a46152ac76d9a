"""PowerShell's `-replace`, `[regex]::Replace`, `.Replace` and `-split … -join`, done on literals.

Patterns of .NET run on RE2, in time linear in the text; those that it does not take (look-around, back-references)
are left as they are.
"""

# ruff: noqa: E501 - a pattern or a table row broken in two is harder to read than a long one

from __future__ import annotations

import re

import re2  # type: ignore[import-untyped]

from perilune.analysis.edits import Literal, bare, follow

MAX_VALUE = 200_000  # characters that an expression is run over
MAX_GROWN = 4_000_000

_STR = r"(?:'(?:[^']|'')*+'|\"(?:[^\"`$]|`.|\"\")*+\")"
_REPLACE = re.compile(
    rf"\s*\)?\s*(?:\.\s*['\"]?replace['\"]?\s*\(\s*(?P<a>{_STR})\s*,\s*(?P<b>{_STR})\s*\)"
    rf"|-(?P<case>[ci]?)replace\s*\(?\s*(?P<c>{_STR})\s*(?:,\s*(?P<d>{_STR}))?\s*\)?)",
    re.IGNORECASE,
)
_SPLIT_JOIN = re.compile(rf"\s*\)?\s*(?:-[ci]?split\s*(?P<a>{_STR})|\.\s*split\(\s*(?P<b>{_STR})\s*\))\s*\)?\s*-join\s*(?P<with>{_STR})", re.IGNORECASE)  # fmt: skip
_STATIC = re.compile(rf"\[(?:system\.text\.regularexpressions\.)?regex\]::replace\(\s*(?P<value>{_STR})(?P<rest>\s*,\s*(?P<a>{_STR})\s*,\s*(?P<b>{_STR})\s*\))", re.IGNORECASE)  # fmt: skip
_GROUP = re.compile(r"\$(?:\{(\w+)\}|(\d{1,2})|(&)|(\$))")
_OPTIONS = {}
for _sensitive in (False, True):
    _OPTIONS[_sensitive] = re2.Options()
    _OPTIONS[_sensitive].case_sensitive = _sensitive
    _OPTIONS[_sensitive].log_errors = False
    _OPTIONS[_sensitive].max_mem = 1 << 22


def replace(text: str) -> str:
    """`'aXb'.Replace('X','')`, `'a1b' -replace '\\d',''`, `[regex]::Replace('ab','(a)(b)','$2$1')`."""
    from perilune.analysis.edits import quoted

    def static(found: re.Match[str]) -> str:
        value = substituted(bare(found["value"]), bare(found["a"]), bare(found["b"]), sensitive=True)
        return found.group() if value is None else quoted(value, doubled=True)

    return follow(_STATIC.sub(static, text), _REPLACE, _replaced, doubled=True)


def split_and_join(text: str) -> str:
    """`('a~b' -split '~') -join ''`."""

    def change(literal: Literal, found: re.Match[str]) -> str | None:
        glue = bare(found["with"])
        if found["a"]:
            return substituted(literal.value, bare(found["a"]), glue.replace("$", "$$"), sensitive=False)
        cut = bare(found["b"])
        return literal.value.replace(cut, glue) if cut and len(literal.value) * max(1, len(glue)) < MAX_GROWN else None

    return follow(text, _SPLIT_JOIN, change, doubled=True)


def _replaced(literal: Literal, found: re.Match[str]) -> str | None:
    if found["c"]:
        put = bare(found["d"]) if found["d"] else ""
        return substituted(literal.value, bare(found["c"]), put, sensitive=(found["case"] or "").lower() == "c")
    old, new = bare(found["a"]), bare(found["b"])
    return literal.value.replace(old, new) if old and len(literal.value) * max(1, len(new)) < MAX_GROWN else None


def substituted(value: str, pattern: str, put: str, *, sensitive: bool) -> str | None:
    """A text with every match of an expression of .NET replaced; None where that cannot be told."""
    if not pattern or len(value) > MAX_VALUE or len(value) * max(1, len(put)) > MAX_GROWN:
        return None
    try:
        compiled = re2.compile(pattern, _OPTIONS[sensitive])
        return str(compiled.sub(lambda m: _filled(put, m), value))
    except (re2.error, UnicodeError, IndexError, KeyError):
        return None


def _filled(put: str, found: re.Match[str]) -> str:
    def group(named: re.Match[str]) -> str:
        if named[4]:
            return "$"
        if named[3]:
            return found.group() or ""
        name = named[1] or named[2]
        return (found.group(int(name)) if name.isdigit() else found.group(name)) or ""

    return _GROUP.sub(group, put)
