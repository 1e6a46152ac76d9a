"""Lines to entries: the first line by its shape, the lines after it put to it, what the whole says taken out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from perilune.model.sources import Problem
from perilune.ports import Count, Limits
from perilune.readers.clock import YEARLESS, Clock, offset_of
from perilune.readers.lua_errors import describe
from perilune.readers.patterns import Entry, LogFormat
from perilune.readers.refine import REFINE

Fields = dict[str, object]
Give = Callable[[str, Mapping[str, object], int, int], None]

OTHER_SHAPE = "line of another shape than the log's entries"
_MOST_LINES = 2000
_FIND_IN = 64_000


@dataclass(slots=True)
class _Begun:
    """An entry whose lines are still coming."""

    format: LogFormat
    entry: Entry
    fields: Fields
    number: int
    lines: list[str] = field(default_factory=list)
    size: int = 0


class Entries:
    """Puts together the entries of one file and gives their fields, by kind."""

    def __init__(self, clock: Clock, limits: Limits, give: Give) -> None:
        self._clock = clock
        self._limits = limits
        self._give = give
        self._begun: _Begun | None = None
        self.found = 0
        self.skipped: Counter[str] = Counter()
        self._cut = 0
        self._cut_where = ""

    def begin(self, one: LogFormat, text: str, number: int, header: Fields | None = None) -> bool:
        """Whether the text begins an entry of the format; behind a syslog header, if one is given."""
        data = text.encode("utf-8", "replace")
        if one.goes_on is not None and one.goes_on.match(data) is not None and self.follow(text):
            return True
        for entry in one.entries:
            if entry.header != (header is not None):
                continue
            groups = entry.pattern.match(data)
            if groups is not None:
                self.finish()
                fields = {**(header or {}), **entry.constants, **groups}
                self._begun = _Begun(one, entry, fields, number, [text], len(text))
                return True
        return False

    def follow(self, text: str) -> bool:
        """Whether the text goes on with the entry before."""
        begun = self._begun
        if begun is None or not begun.format.continued:
            return False
        if len(begun.lines) >= _MOST_LINES or begun.size + len(text) > self._limits.max_text_chars:
            self._cut += 1
            self._cut_where = self._cut_where or f"line {begun.number}"
        else:
            begun.lines.append(text)
            begun.size += len(text)
        return True

    def skip(self, text: str) -> None:
        """A line that is no part of an entry."""
        if text.strip():
            self.finish()
            self.found += 1
            self.skipped[OTHER_SHAPE] += 1

    def finish(self) -> None:
        """Gives the entry whose lines have come."""
        begun, self._begun = self._begun, None
        if begun is None:
            return
        self.found += 1
        fields = self._complete(begun)
        kind = begun.entry.kind
        for one in REFINE[kind](fields) if kind in REFINE else (fields,):
            self._give(kind, one, begun.number, begun.size)
            self._give_script(begun, one)

    def _complete(self, begun: _Begun) -> Fields:
        one, fields = begun.format, begun.fields
        whole = "\n".join(begun.lines)
        data = whole[:_FIND_IN].encode("utf-8", "replace") if one.find else b""
        for pattern in one.find:
            fields |= pattern.search(data) or {}
        if len(begun.lines) > 1:
            fields["message"] = "\n".join([str(fields.get("message") or begun.lines[0]), *begun.lines[1:]])
        self._set_time(fields, begun.entry)
        level = fields.get("level")
        if isinstance(level, str):
            fields["level"] = one.levels.get(level, level.lower())
        return fields | self._lua(one, whole)

    def _set_time(self, fields: Fields, entry: Entry) -> None:
        text = fields.get("time")
        if isinstance(text, str):
            fields["offset"] = offset_of(text)
            fields["time"] = self._clock.micros(text, entry.time or (YEARLESS if text[:1].isalpha() else "iso"))

    def _lua(self, one: LogFormat, whole: str) -> Fields:
        if not one.lua:
            return {}
        error = describe(whole, one.known_files)
        return {
            "chunk": error.chunk,
            "dynamic": error.dynamic,
            "script": error.script,
            "script_line": error.line,
            "dialect": error.dialect,
        }

    def _give_script(self, begun: _Begun, fields: Fields) -> None:
        """A script's text that a log quotes, as a row of its own."""
        text = fields.get(begun.entry.script or "script_text")
        if isinstance(text, str) and text:
            script = {**fields, "text": unquoted(text), "language": begun.entry.language or "lua"}
            self._give("script:logged", script, begun.number, len(text))

    def counts(self) -> Iterator[Count | Problem]:
        """What was found, and what has to be said of it."""
        yield Count(self.found, dict(self.skipped))
        if self._cut:
            yield Problem(f"entry of more than {_MOST_LINES:,} lines, cut", self._cut, self._cut_where)
        if self._clock.guessed:
            yield Problem(
                "time without a year: taken as the last such day before the file's change", self._clock.guessed
            )


_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "a": "\a", "b": "\b", '"': '"', "\\": "\\", "'": "'"}


def unquoted(text: str) -> str:
    r"""A text as Redis quotes it (`\"`, `\n`, `\x1b`), as it was."""
    parts, at = [], 0
    while (mark := text.find("\\", at)) >= 0:
        parts.append(text[at:mark])
        code = text[mark + 1 : mark + 2]
        digits = text[mark + 2 : mark + 4]
        if code == "x" and len(digits) == 2 and all(d in "0123456789abcdefABCDEF" for d in digits):
            parts.append(chr(int(digits, 16)))
            at = mark + 4
        else:
            parts.append(_ESCAPES.get(code, "\\" + code))
            at = mark + 2
    return "".join([*parts, text[at:]])
