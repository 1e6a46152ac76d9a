"""What the wording of a Lua error tells: the chunk that failed, whether it was built at run time, the dialect.

Lua names a chunk `[string "…"]` when its code came as a text, and by its file otherwise. Some hosts load a file
themselves and give its path as that text (lighttpd), or a fixed word (`chunk`): a path is no code.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

_MOST = 64_000
_SIGNS = (".lua", "[string ", "attempt to ", "_by_lua", "user_", "command line", "stdin:", ".nse", "Luajit", "LuaJIT")
_STRING = re.compile(r'\[string "(?P<code>.{0,400}?)"\](?::(?P<line>\d{1,9}))?', re.DOTALL)
_INLINE = re.compile(
    r"\b(?P<name>\w{3,40}_by_lua\w{0,10}\((?P<file>[^()\s:]{1,200}):(?P<at>\d{1,9})\)):(?P<line>\d{1,9})"
)
_GIVEN = re.compile(r"@?(?P<name>\(command line\)|\buser_script|\bstdin|\bfunc=user_function):(?P<line>\d{1,9})")
_FILE = re.compile(r"""(?P<file>(?:[A-Za-z]:)?[^\s:"'\[\]()<>,=]{1,400}\.(?:luac?|nse|ljbc)):(?P<line>\d{1,9})""")
_PATH = re.compile(r"(?:[A-Za-z]:\\|\\\\|\.{0,2}/)[^\n\"'()=;]*\Z|[\w./\\-]{1,200}\.luac?\Z")

_OLD = re.compile(
    r"attempt to [\w ]{2,40} (?:local|global|upvalue|field|method|constant) '[^'\n]{0,200}' \(an? \w+ value\)"
)
_NEW = re.compile(r"attempt to [\w ]{2,40} an? \w+ value \((?:local|global|upvalue|field|method|constant) '")
_JIT = re.compile(r"LuajitError|LuaJIT|\bluajit\b")


@dataclass(frozen=True, slots=True)
class LuaError:
    """chunk: its name; dynamic: its code was built at run time; script, line: the file, where it is one."""

    chunk: str | None = None
    dynamic: bool | None = None
    script: str | None = None
    line: int | None = None
    dialect: str | None = None


def describe(text: str, known_files: Sequence[re.Pattern[str]] = ()) -> LuaError:
    """What the text says. Of several chunks the first built at run time counts, else the first."""
    if not any(sign in text for sign in _SIGNS):
        return LuaError()
    text = text[:_MOST].replace('\\"', '"')
    chunks = list(_chunks(text, known_files))
    dynamic = [one for one in chunks if one.dynamic]
    first = (dynamic or chunks or [LuaError()])[0]
    return LuaError(first.chunk, first.dynamic, first.script, first.line, _dialect(text))


def _chunks(text: str, known_files: Sequence[re.Pattern[str]]) -> Iterator[LuaError]:
    found = [(match.start(), _string(match, known_files)) for match in _STRING.finditer(text)]
    found += [
        (match.start(), LuaError(match["name"], False, match["file"], int(match["at"])))
        for match in (_INLINE.finditer(text) if "_by_lua" in text else ())
    ]
    found += [
        (match.start(), LuaError(match["name"], True, None, int(match["line"]))) for match in _GIVEN.finditer(text)
    ]
    named = any(ending in text for ending in (".lua", ".nse", ".ljbc"))
    found += [
        (match.start(), LuaError(match["file"], False, match["file"], int(match["line"])))
        for match in (_FILE.finditer(text) if named else ())
    ]
    yield from (one for _, one in sorted(found, key=lambda pair: pair[0]))


def _string(match: re.Match[str], known_files: Sequence[re.Pattern[str]]) -> LuaError:
    code, line = match["code"], int(match["line"]) if match["line"] else None
    if _PATH.match(code):
        return LuaError(match[0].rpartition(":")[0] if line else match[0], False, code, line)
    name = f'[string "{code}"]'
    if any(pattern.search(code) for pattern in known_files):
        return LuaError(name, False, None, line)
    return LuaError(name, True, None, line)


def _dialect(text: str) -> str | None:
    if _JIT.search(text):
        return "LuaJIT"
    if _OLD.search(text):
        return "Lua 5.1, 5.2 or LuaJIT"
    if _NEW.search(text):
        return "Lua 5.3 or later"
    return None
