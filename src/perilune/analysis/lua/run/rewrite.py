"""Source of a dialect that no VM here reads, in words of one that does: C operators and comments of Garry's Mod."""

from __future__ import annotations

from perilune.analysis.lua import identify
from perilune.analysis.lua.lexer import lex
from perilune.model.lua import Dialect

_OPERATORS = {"!=": "~=", "&&": " and ", "||": " or ", "!": " not "}


def plain(code: bytes, dialect: Dialect) -> bytes:
    """The text with the same lines; as it is where nothing needs to be said otherwise."""
    if dialect not in (Dialect.GLUA, Dialect.LUAU, Dialect.CFXLUA, Dialect.LUA, Dialect.LUAJIT, Dialect.LUA51):
        return code
    text = code.decode("latin-1")
    if not any(word in text for word in ("!=", "&&", "||", "//", "/*", "!")):
        return code
    tokens = lex(text)
    if dialect is not Dialect.GLUA and not identify.wants_c_comments(tokens):
        return code
    tokens = lex(text, c_comments=identify.wants_c_comments(tokens))
    parts: list[str] = []
    at = 0
    for kind, start, end in zip(tokens.kinds, tokens.starts, tokens.ends, strict=True):
        between = text[at:start]
        parts.append(between if not between.strip() else _comment(between))
        word = text[start:end]
        parts.append(_OPERATORS.get(word, word) if kind == "op" else word)
        at = end
    parts.append(_comment(text[at:]) if text[at:].strip() else text[at:])
    return "".join(parts).encode("latin-1")


def _comment(text: str) -> str:
    """A comment as blanks, its line ends kept: error messages name lines."""
    return "\n" * text.count("\n") or " "
