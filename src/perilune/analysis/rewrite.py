"""Rewriting a text into a plainer one that means the same: a table of (kind, languages, hints, function).

A rewriting runs only where one of its hints is in the text, which for ordinary text is nearly never. Each is
linear in the text. What one leaves is what the next works on, until none changes anything.
"""

# ruff: noqa: E501 - a pattern or a table row broken in two is harder to read than a long one

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from perilune.analysis import rewrite_cmd as cmd
from perilune.analysis import rewrite_code as code
from perilune.analysis import rewrite_loops as loops
from perilune.analysis import rewrite_powershell as ps
from perilune.analysis import rewrite_replace as replacing
from perilune.analysis import rewrite_shells as shells
from perilune.analysis.edits import Rewrite

_ALL = frozenset(("powershell", "cmd", "posix", "python", "javascript", "lua", "perl", "ruby", "php", "vbscript", "html",
                  "autohotkey", "autoit", "applescript", "awk", "tcl", ""))  # fmt: skip
_CODE = frozenset(
    ("python", "javascript", "lua", "perl", "ruby", "php", "vbscript", "html", "autohotkey", "autoit", "awk", "tcl", "")
)
_ESCAPING = frozenset(("python", "javascript", "lua", "perl", "ruby", "php", "awk", "tcl", "html", ""))
_PS = frozenset(("powershell",))
_CMD = frozenset(("cmd",))
_POSIX = frozenset(("posix",))
_C_STYLE = _ESCAPING - {"", "lua"}


@dataclass(frozen=True, slots=True)
class Rewriting:
    kind: str
    languages: frozenset[str]
    hints: tuple[str, ...]  # lower-case; one of them has to be in the lower-cased text
    apply: Rewrite


REWRITINGS: tuple[Rewriting, ...] = (
    Rewriting("url", _ALL, ("%",), code.url),
    Rewriting("html", _ALL, ("&#",), code.html),
    Rewriting("unicode", _ALL, ("\\u", "%u"), code.unicode),
    Rewriting("caret", _CMD | {"powershell", ""}, ("^",), cmd.caret),
    Rewriting("loop", _CMD, ("for ",), loops.loops),
    Rewriting("cmd-slice", _CMD, (":~",), cmd.cmd_slices),
    Rewriting("cmd-variable", _CMD, ("%", "!"), cmd.cmd_variables),
    Rewriting("quote-splitting", _CMD, ('"',), cmd.cmd_quotes),
    Rewriting("backtick", _PS, ("`",), ps.backtick),
    Rewriting("ansi-c", _POSIX, ("$'",), shells.ansi_c),
    Rewriting("ifs", _POSIX, ("ifs",), shells.ifs),
    Rewriting("empty-expansion", _POSIX, ("$@", "$*", "${@", "$1", "$2", "$3", "$9", "${*", "$u", "``", "$()"), shells.empty_expansion),
    Rewriting("posix-slice", _POSIX, ("${",), shells.posix_slices),
    Rewriting("posix-variable", _POSIX, ("${", "$"), shells.posix_variables),
    Rewriting("substitution", _POSIX, ("$(", "`"), shells.substitution),
    Rewriting("quote-splitting", _POSIX, ("'", '"', "\\"), shells.posix_quotes),
    Rewriting("brace", _POSIX, ("{",), shells.brace),
    Rewriting("glob", _POSIX, ("?", "[", "*"), shells.glob),
    Rewriting("escapes", _C_STYLE, ("\\",), code.escapes),
    Rewriting("lua-escapes", frozenset(("lua",)), ("\\",), code.lua_escapes),
    Rewriting("char", _PS, ("char", "-bxor"), ps.char),
    Rewriting("char-codes", _CODE, ("chr", "char", "pack", "bytes", "fromcodepoint"), code.char_codes),
    Rewriting("variable", _PS, ("$",), ps.variables),
    Rewriting("index", _PS, ("[", ".substring"), ps.index),
    Rewriting("variable", _CODE - {""}, ("=",), code.variables),
    Rewriting("concatenation", _PS, ("+",), ps.concatenation),
    Rewriting("concatenation", _CODE, ("+", "..", "&", ".", "'", '"'), code.concatenation),
    Rewriting("format", _PS, ("-f", "::format"), ps.format_operator),
    Rewriting("replace", _PS, ("replace",), replacing.replace),
    Rewriting("join", _PS, ("split",), replacing.split_and_join),
    Rewriting("replace", _CODE, ("replace", "gsub"), code.replace),
    Rewriting("join", _PS, ("join",), ps.join),
    Rewriting("reversal", _PS, ("[-1", "reverse", "righttoleft"), ps.reversal),
    Rewriting("reversal", _CODE, ("reverse", "[::-1]", "strrev"), code.reversal),
    Rewriting("member", frozenset(("lua", "javascript")), ("['", '["'), code.member),
    Rewriting("rot13", _CODE | _PS, ("rot13", "rot_13"), code.rot13),
    Rewriting("invocation", _PS, ("&", "."), ps.invocation),
)  # fmt: skip


@lru_cache(maxsize=64)
def rewritings_of(language: str) -> tuple[Rewriting, ...]:
    """The rewritings of a language, in their order."""
    return tuple(one for one in REWRITINGS if language in one.languages)
