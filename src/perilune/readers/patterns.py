"""Pattern files: what the lines of an application's log look like. A new application is a file, not a module.

They stand in `content/applogs`; `docs/how-to/add-a-reader.md` shows every key. Checked when loaded: a wrong key,
time or expression is a ContentError that says the file, the line and what would be right.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

import re2  # type: ignore[import-untyped]

from perilune.readers.located import Node, locate

_FORMAT_KEYS = (
    "about", "format", "programs", "continued", "goes_on", "entries", "find", "levels", "lua", "chunks_of_files",
    "last",
)  # fmt: skip
_ENTRY_KEYS = ("line", "message", "kind", "time", "set", "script", "language")
_TIMES = ("iso", "epoch", "syslog")
_MOST_MEMORY = 32 << 20


class Expression:
    """A re2 expression over the UTF-8 of a text: its time does not depend on how hostile the text is.

    Over bytes, because the positions in a text that re2 works out for each match cost more than the match.
    """

    __slots__ = ("_groups", "_regex")

    def __init__(self, pattern: str) -> None:
        options = re2.Options()
        options.max_mem = _MOST_MEMORY
        options.log_errors = False
        self._regex = re2.compile(pattern, options)
        self._groups = tuple(self._regex.groupindex.items())

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(name for name, _ in self._groups)

    def match(self, text: bytes) -> dict[str, str] | None:
        """The named groups that matched at the beginning of the text."""
        return self._named(self._regex.match(text))

    def search(self, text: bytes) -> dict[str, str] | None:
        """The same anywhere in the text."""
        return self._named(self._regex.search(text))

    def _named(self, match: Any) -> dict[str, str] | None:
        if match is None:
            return None
        found = ((name, match[index]) for name, index in self._groups)
        return {name: part.decode("utf-8", "replace") for name, part in found if part is not None}


@dataclass(frozen=True, slots=True)
class Entry:
    """One shape of an entry's first line.

    pattern    its named groups are the record's fields
    header     whether it is looked for behind a syslog header, not at the beginning of a line
    kind       what the mapping is chosen by
    time       how the group `time` is written: `iso`, `epoch`, `syslog` (no year), or as for strptime
    constants  further fields
    script     the group that holds a script's text: it becomes a row of its own
    """

    pattern: Expression
    header: bool
    kind: str
    time: str = ""
    constants: Mapping[str, str] = field(default_factory=dict)
    script: str = ""
    language: str = ""


@dataclass(frozen=True, slots=True)
class LogFormat:
    """One application's log.

    programs   names that it has in syslog
    continued  lines of no shape belong to the entry before
    goes_on    lines of this shape belong to the entry before, though they look like one of their own
    find       looked for in the whole of an entry; named groups are fields
    levels     its words for a level, to syslog's
    lua        whether to look for Lua's errors in it
    known_files  texts in `[string "…"]` that are no code
    last       asked only when no other format fits
    """

    name: str
    about: str
    entries: tuple[Entry, ...]
    programs: frozenset[str] = frozenset()
    continued: bool = False
    goes_on: Expression | None = None
    find: tuple[Expression, ...] = ()
    levels: Mapping[str, str] = field(default_factory=dict)
    lua: bool = False
    known_files: tuple[re.Pattern[str], ...] = ()
    last: bool = False
    source: str = ""


@cache
def packaged() -> tuple[LogFormat, ...]:
    """The formats that ship with Perilune."""
    folder = files("perilune") / "content" / "applogs"
    return load_all(sorted((f for f in folder.iterdir() if f.name.endswith(".yml")), key=lambda f: f.name))


def load_all(sources: Sequence[Path | Traversable]) -> tuple[LogFormat, ...]:
    """The formats of several files, those that fit almost anything at the end."""
    found = [parse(source.read_text(encoding="utf-8"), str(source)) for source in sources]
    return tuple(sorted(found, key=lambda one: one.last))


def parse(text: str, where: str) -> LogFormat:
    """The format of one file, or a ContentError that says which line is wrong."""
    top = locate(text, where)
    keys = top.keys(known=_FORMAT_KEYS, needed=("about", "format", "entries"))
    return LogFormat(
        name=keys["format"].text(),
        about=keys["about"].text(),
        entries=tuple(_entry(node) for node in keys["entries"].items()),
        programs=frozenset(_texts(keys.get("programs"))),
        continued=_flag(keys.get("continued")),
        goes_on=_compiled(keys["goes_on"]) if "goes_on" in keys else None,
        find=tuple(_compiled(node) for node in (keys["find"].items() if "find" in keys else ())),
        levels=_mapping(keys.get("levels")),
        lua=_flag(keys.get("lua")),
        known_files=tuple(
            _python(node) for node in (keys["chunks_of_files"].items() if "chunks_of_files" in keys else ())
        ),
        last=_flag(keys.get("last")),
        source=top.where,
    )


def _entry(node: Node) -> Entry:
    keys = node.keys(known=_ENTRY_KEYS, needed=("kind",))
    if ("line" in keys) == ("message" in keys):
        raise node.wrong("one of `line` and `message` is needed")
    pattern = _compiled(keys.get("line") or keys["message"])
    script = keys["script"].text() if "script" in keys else ""
    if script and script not in pattern.names:
        raise keys["script"].wrong(f"the expression has no group {script!r}", "named: " + ", ".join(pattern.names))
    return Entry(
        pattern=pattern,
        header="message" in keys,
        kind=_kind(keys["kind"]),
        time=_time(keys.get("time")),
        constants=_mapping(keys.get("set")),
        script=script,
        language=keys["language"].text() if "language" in keys else "",
    )


def _kind(node: Node) -> str:
    if ":" not in node.text():
        raise node.wrong(f"a kind is `family:name`, not {node.text()!r}")
    return node.text()


def _compiled(node: Node) -> Expression:
    try:
        return Expression(node.text())
    except re2.error as error:
        raise node.wrong(f"not an expression of re2: {error}") from None


def _python(node: Node) -> re.Pattern[str]:
    try:
        return re.compile(node.text())
    except re.error as error:
        raise node.wrong(f"not a regular expression: {error}") from None


def _time(node: Node | None) -> str:
    if node is None:
        return ""
    text = node.text()
    if text not in _TIMES and "%" not in text:
        raise node.wrong(f"unknown way to write a time {text!r}", "iso, epoch, syslog, or as for strptime")
    return text


def _flag(node: Node | None) -> bool:
    if node is None or isinstance(node.value, bool):
        return bool(node and node.value)
    raise node.wrong("true or false is needed")


def _texts(node: Node | None) -> list[str]:
    return [] if node is None else [one.text() for one in node.items()]


def _mapping(node: Node | None) -> dict[str, str]:
    return {} if node is None else {name: value.text() for name, value in node.keys().items()}
