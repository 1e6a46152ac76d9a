"""Script files: told by their first line or by what their text is made of, one row each.

A text whose name ends as a script's does is taken for one without any such sign, where no other reader knows it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import PurePath
from typing import BinaryIO

from perilune.model.sources import Problem
from perilune.ports import Count, Limits, Lost, Read, Records
from perilune.readers.streams import read_head

_SHEBANG = re.compile(r"#!\s*\S*?(?:/env\s+(?:-S\s+)?(?:\w+=\S*\s+)*)?([\w.+-]+)(?:\s|$)")
_INTERPRETERS: Mapping[str, str] = {
    "sh": "shell", "bash": "shell", "dash": "shell", "zsh": "shell", "ksh": "shell", "ash": "shell", "fish": "shell",
    "lua": "lua", "luajit": "lua", "texlua": "lua", "tarantool": "lua", "resty": "lua",
    "python": "python", "pypy": "python", "perl": "perl", "ruby": "ruby", "php": "php",
    "node": "javascript", "nodejs": "javascript", "deno": "javascript", "bun": "javascript",
    "pwsh": "powershell", "powershell": "powershell", "osascript": "applescript",
    "tclsh": "tcl", "wish": "tcl", "expect": "tcl", "awk": "awk", "gawk": "awk", "make": "make",
}  # fmt: skip
EXTENSIONS: Mapping[str, str] = {
    ".ps1": "powershell", ".psm1": "powershell", ".psd1": "powershell", ".vbs": "vbscript", ".vbe": "vbscript",
    ".vba": "vbscript", ".bas": "vbscript", ".wsf": "vbscript", ".hta": "vbscript", ".js": "javascript",
    ".jse": "javascript", ".mjs": "javascript", ".cjs": "javascript", ".sh": "shell", ".bash": "shell", ".zsh": "shell",
    ".lua": "lua", ".nse": "lua", ".rockspec": "lua", ".py": "python", ".pyw": "python", ".pl": "perl", ".rb": "ruby",
    ".php": "php", ".bat": "batch", ".cmd": "batch", ".au3": "autoit", ".ahk": "autohotkey",
    ".applescript": "applescript", ".scpt": "applescript", ".tcl": "tcl", ".awk": "awk",
}  # fmt: skip


def _signs(*signs: str) -> tuple[re.Pattern[str], ...]:
    return tuple(re.compile(sign, re.MULTILINE) for sign in signs)


_SIGNS: Mapping[str, tuple[re.Pattern[str], ...]] = {
    "powershell": _signs(
        r"(?i)^\s*\$[\w:]+\s*(?:=|\+=)",
        r"(?i)\b(?:Get|Set|New|Invoke|Add|Remove|Start|Write|Out|ConvertTo)-[A-Z]\w+\b",
        r"(?i)^\s*\[?(?:param|CmdletBinding)\s*\(",
        r"\[(?:System\.)?[\w.]+\]::\w+",
        r"(?i)^\s*function\s+\w+-\w+",
        r"(?i)\s-(?:eq|ne|match|like|replace|join)\s",
    ),
    "vbscript": _signs(
        r"(?i)\bCreateObject\s*\(",
        r"(?i)\bWScript\.\w+",
        r"(?i)^\s*On Error Resume Next",
        r"(?i)^\s*Dim\s+\w+",
        r"(?i)^\s*End (?:Sub|Function|If)\b",
        r"(?i)^\s*Set\s+\w+\s*=",
    ),
    "javascript": _signs(
        r"\bnew ActiveXObject\s*\(",
        r"^\s*(?:var|let|const)\s+\w+\s*=",
        r"\bfunction\s*\w*\s*\([\w, ]*\)\s*\{",
        r"\brequire\s*\(['\"]",
        r"=>\s*[{(\w]",
        r"\bWScript\.\w+",
    ),
    "lua": _signs(
        r"^\s*local\s+(?:function\s+)?[\w, ]+",
        r"\b(?:then|do)\s*$|\bend\s*$",
        r"\brequire\s*\(?['\"]",
        r"\.\.\s*['\"\w]|['\"]\s*\.\.",
        r"\b(?:os|io|string|table|debug|package)\.\w+\s*\(",
        r"\b(?:load|loadstring|dofile|pcall)\s*\(",
        r"^\s*--",
    ),
    "python": _signs(
        r"^(?:import|from)\s+[\w.]+(?:\s+import\s+[\w*, ]+)?\s*(?:as \w+)?$",
        r"^\s*(?:def|class)\s+\w+.*:\s*$",
        r"^if __name__ ==",
        r"^\s*(?:for|if|while|with|try|except)\b.*:\s*$",
    ),
    "shell": _signs(
        r"^\s*(?:fi|done|esac)\s*$",
        r"^\s*(?:if \[|for \w+ in|while \[|case )",
        r"\$\([^)]+\)",
        r"^\s*export\s+\w+=",
        r"^\s*set -[eux]+",
    ),
    "batch": _signs(
        r"(?i)^\s*@?echo off",
        r"%~?\w+%|%~dp0",
        r"(?i)^\s*goto\s+:?\w+",
        r"(?i)^\s*(?:if exist|setlocal|set /a)\b",
    ),
}
_LOOK_AT = 32_768
_ENOUGH = 3


def language_of(head: str) -> str | None:
    """The language of a script that begins like this, if it shows one."""
    found = _SHEBANG.match(head.lstrip("\ufeff"))
    if found is not None:
        return _INTERPRETERS.get(re.sub(r"[\d.]+$", "", found[1].removesuffix(".exe")), found[1][:40])
    text = head[:_LOOK_AT]
    counts = {name: sum(sign.search(text) is not None for sign in signs) for name, signs in _SIGNS.items()}
    best = max(counts, key=lambda name: counts[name])
    return best if counts[best] >= _ENOUGH else None


def extension_language(path: str) -> str | None:
    """The language that a file's name promises."""
    return EXTENSIONS.get(PurePath(path).suffix.lower())


class CompiledLuaReader:
    """Compiled Lua as one row: one character for each byte, since what it calls is found by the analysis."""

    name = "compiled-lua"
    looks_for = "the signature of compiled Lua (5.0 to 5.5) or LuaJIT, under any file name"

    def __init__(self, path: str = "", changed: datetime | None = None) -> None:
        self._path = path
        self._changed = changed

    def placed(self, path: str, changed: datetime) -> CompiledLuaReader:
        """The same for the file at that path."""
        return CompiledLuaReader(path, changed)

    def recognises(self, head: bytes) -> bool:
        return _COMPILED.match(head) is not None

    def read(self, stream: BinaryIO, limits: Limits) -> Iterator[Read]:
        data = read_head(stream, limits.max_text_chars)
        if stream.read(1):
            yield Lost(Problem(f"truncated: compiled Lua of more than {limits.max_text_chars:,} bytes"))
        yield Count(1)
        yield Records(
            "script:file", [_fields(self._path, self._changed, "lua", data, data.decode("latin-1"))], [1], len(data)
        )


_COMPILED = re.compile(rb"\x1b(?:Lua[\x50-\x5f]|LJ[\x01-\x0f])")


def _fields(path: str, changed: datetime | None, language: str | None, data: bytes, text: str) -> dict[str, object]:
    return {
        "time": changed.isoformat() if changed else None,
        "path": path,
        "language": language,
        "text": text,
        "size": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
        "md5": hashlib.md5(data, usedforsecurity=False).hexdigest(),
    }


class ScriptReader:
    """A script's text as one row."""

    name = "script"
    looks_for = "a script: `#!`, or the words of a script language"

    def __init__(self, path: str = "", changed: datetime | None = None, language: str | None = None) -> None:
        self._path = path
        self._changed = changed
        self._language = language

    def placed(self, path: str, changed: datetime) -> ScriptReader:
        """The same for the file at that path."""
        return ScriptReader(path, changed, self._language)

    def recognises(self, head: bytes) -> bool:
        return b"\0" not in head[:4096] and language_of(head.decode("utf-8", "replace")) is not None

    def read(self, stream: BinaryIO, limits: Limits) -> Iterator[Read]:
        data = read_head(stream, limits.max_text_chars)
        text = data.decode("utf-8", "replace")
        if stream.read(1):
            yield Lost(Problem(f"truncated: a script of more than {limits.max_text_chars:,} bytes"))
        yield Count(1)
        language = language_of(text[:_LOOK_AT]) or self._language or extension_language(self._path)
        fields = _fields(self._path, self._changed, language, data, text)
        yield Records("script:file", [fields], [1], len(data))
