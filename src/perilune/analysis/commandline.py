"""A command line as a tree: chains, wrappers, substitutions, and interpreters with the code that they are given."""

# ruff: noqa: E501 - a pattern or a table row broken in two is harder to read than a long one

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from perilune.analysis import posix, powershell, windows, wrappers
from perilune.analysis.detect import SHELLS, language_of
from perilune.analysis.interpreters import Given, Interpreter, Takes, base_name, code_of, find
from perilune.analysis.words import Segment, Word

MAX_COMMANDS = 400  # of one text
MAX_READ = 200_000  # characters of one text that are split into words
MAX_NESTED = 10  # wrappers inside one another

_SPLIT: dict[str, Callable[[str, int, int], list[Segment]]] = {
    "posix": posix.split,
    "powershell": powershell.split,
    "cmd": windows.split,
    "network": posix.split,
}


@dataclass(frozen=True, slots=True)
class Code:
    """Code handed to an interpreter, and where it stands. `encoded`: base64 of UTF-16LE."""

    text: str
    start: int
    end: int
    language: str
    encoded: bool = False


@dataclass(slots=True)
class Parsed:
    """A command of one text; its code has not been looked into."""

    start: int
    end: int
    image: str
    arguments: tuple[str, ...]
    by: str
    row: Interpreter | None = None
    technique: str = ""
    code: Code | None = None
    inner: list[Parsed] = field(default_factory=list)


def parse(text: str, language: str, original: str = "") -> list[Parsed]:
    """The commands of a text in a shell's language. `original` is the first program's original file name."""
    splitter = _SPLIT.get(language)
    if splitter is None:
        return []
    segments = splitter(text, 0, min(len(text), MAX_READ))
    return _Builder(text, language).chain(segments, "given", original)


_RESERVED = frozenset(
    "if then elif else fi while until do done for case esac select function in ! { } [[ ]] coproc".split()
)
_CMD_RESERVED = frozenset("if else do for in not exist defined errorlevel ( ) @ @echo".split())
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*(\[[^\]]*\])?\+?=")
_BY_LANGUAGE = {"python": "T1059.006", "lua": "T1059.011", "javascript": "T1059.007", "perl": "T1059", "ruby": "T1059", "php": "T1059",
                "posix": "T1059.004", "powershell": "T1059.001"}  # fmt: skip
_SCHEME = re.compile(r"(?i)(?P<scheme>javascript|vbscript):(?P<code>.*)", re.DOTALL)
_SCRIPT_LANGUAGE = {".js": "T1059.007", ".jse": "T1059.007", ".mjs": "T1059.007"}


class _Builder:
    def __init__(self, text: str, language: str) -> None:
        self.text = text
        self.language = language
        self.count = 0

    def chain(self, segments: Sequence[Segment], by: str, original: str = "") -> list[Parsed]:
        found: list[Parsed] = []
        for segment in segments:
            if self.count >= MAX_COMMANDS:
                break
            joined = segment.op.strip() or ("newline" if segment.op else by)
            command = self._segment(segment, by if not found else joined, original if not found else "")
            if command is not None:
                found.append(command)
        return found

    def _segment(self, segment: Segment, by: str, original: str) -> Parsed | None:
        words = self._command_words(segment.words)
        subs = [one for opener, inner in segment.subs for one in self.chain(inner, opener + "…")]
        if not words:
            return _group(subs, segment) if subs else None
        command = self.command(words, by, original, 0, segment)
        if command is not None:
            command.inner.extend(subs)
        elif subs:
            return _group(subs, segment)
        return command

    def _command_words(self, words: list[Word]) -> list[Word]:
        """A segment's words from its program on: reserved words, assignments and grouping are left out."""
        at = 0
        if self.language == "posix":
            if words and words[0].text in ("for", "case", "select", "function"):
                return []  # what they loop over is data; their bodies are segments of their own
            while at < len(words) and (words[at].text in _RESERVED or _ASSIGNMENT.match(words[at].text)):
                at += 1
        elif self.language == "cmd":
            return _cmd_words(words)
        elif self.language == "powershell":
            while at < len(words) and words[at].text in ("&", "."):
                at += 1
            called = at > 0
            at = _assigned(words, at)
            if at < len(words) and not called and self.text[words[at].start] in "'\"@":
                return []  # a string, which PowerShell gives out and does not run
            if at < len(words) and not powershell.is_command(words[at].text):
                return []
        return words[at:]

    def command(
        self, words: Sequence[Word], by: str, original: str, depth: int, segment: Segment | None
    ) -> Parsed | None:
        """One program with its arguments, and what it starts."""
        self.count += 1
        image = words[0].text.strip()
        if not image:
            return None
        row = find(image, original)
        arguments = words[1:]
        found = Parsed(words[0].start, words[-1].end, image, tuple(w.text for w in arguments), by, row)
        found.technique = row.technique if row else ""
        started = wrappers.started(base_name(image), arguments) if depth < MAX_NESTED else None
        if started is not None:
            self._wrapped(found, started, depth)
        if row is not None and found.code is None and not found.inner:
            self._code(found, row, arguments, segment)
        elif row is None and image[0] in "$%" and not found.inner:
            self._unknown(found, arguments)
        return found

    def _wrapped(self, found: Parsed, started: wrappers.Started, depth: int) -> None:
        name = base_name(found.image)
        if started.form is wrappers.Form.WORDS:
            inner = self.command(started.words, name, "", depth + 1, None)
            if inner is not None:
                found.inner.append(inner)
            return
        text = " ".join(word.text for word in started.words)
        language = started.language or self.language
        if len(text) > 1:
            found.code = Code(text, started.words[0].start, started.words[-1].end, language)

    def _code(self, found: Parsed, row: Interpreter, arguments: Sequence[Word], segment: Segment | None) -> None:
        given = code_of(row, found.arguments)
        if given is not None and given.first < len(arguments):
            taken = arguments[given.first : given.last]
            text = self._taken_text(row, taken, given.takes, given.cut)
            if given.takes is Takes.NEXT and row.name in _SEVERAL:
                taken, text = _all_of_flag(arguments, given, taken, text)
            if text and text != "-":
                encoded = given.takes is Takes.BASE64
                found.code = Code(text, taken[0].start, taken[-1].end, row.language, encoded)
            return
        if segment is not None and segment.here is not None and row.language:
            here = segment.here
            found.code = Code(here.text, here.start, here.end, row.language)
            return
        self._by_file(found, row, arguments)

    def _unknown(self, found: Parsed, arguments: Sequence[Word]) -> None:
        """A program that only a variable names: what it runs may say what it is."""
        at = next((n for n, word in enumerate(arguments[:-1]) if word.text in ("-c", "-e", "-r", "-lc", "/c")), -1)
        if at < 0:
            return
        code = arguments[at + 1]
        language = language_of(code.text)
        if language in _BY_LANGUAGE:
            found.code = Code(code.text, code.start, code.end, language)
            found.technique = _BY_LANGUAGE[language]

    def _taken_text(self, row: Interpreter, taken: Sequence[Word], takes: Takes, cut: int) -> str:
        if takes is Takes.REST and row.language == "cmd" and self.language == "cmd":
            return _outer_quotes(self.text[taken[0].start + cut : self._rest_end(taken)])
        text = " ".join(word.text for word in taken)[cut:]
        if takes is Takes.REST and len(text) > 1 and text[0] == text[-1] == '"' and text.count('"') == 2:
            return text[1:-1]
        return text

    def _rest_end(self, taken: Sequence[Word]) -> int:
        return taken[-1].end

    def _by_file(self, found: Parsed, row: Interpreter, arguments: Sequence[Word]) -> None:
        """Script hosts, whose script may be in the command line or tell the language by its name."""
        if row.positional == "html":
            for word in arguments[:3]:
                inline = _SCHEME.search(word.text)
                if inline:
                    script = "javascript" if inline["scheme"].lower() == "javascript" else "vbscript"
                    # mshta reads its own command line, so that quotes count as they are written.
                    end = arguments[-1].end
                    raw = self.text[word.start : end]
                    where = _SCHEME.search(raw)
                    code = raw[where.start("code") :] if where else word.text[inline.start("code") :]
                    found.code = Code(code.rstrip('"') if raw[0] == '"' else code, word.start, end, script)
                    found.technique = "T1059.007" if script == "javascript" else "T1059.005"
                    return
        if row.name in ("wscript", "cscript"):
            forced = any(w.text.lower() in ("/e:jscript", "//e:jscript") for w in arguments)
            suffixes = [w.text.lower()[w.text.rfind(".") :] for w in arguments if "." in w.text]
            if forced or (suffixes and suffixes[0] in _SCRIPT_LANGUAGE):
                found.technique = "T1059.007"


def _group(subs: list[Parsed], segment: Segment) -> Parsed | None:
    """A segment that is only an assignment from a substitution: the first command stands for it."""
    first, *rest = subs
    first.inner.extend(rest)
    return first


def _cmd_words(words: list[Word]) -> list[Word]:
    at = 0
    while at < len(words):
        text = words[at].text
        bare = text.lstrip("@(")
        if bare != text and bare:
            words = [*words[:at], Word(bare.rstrip(")") if bare.count(")") > bare.count("(") else bare,
                                       words[at].start + len(text) - len(bare), words[at].end), *words[at + 1 :]]  # fmt: skip
            text = bare
        if text.lower() == "for":
            do = next((n for n in range(at + 1, len(words)) if words[n].text.lower() == "do"), -1)
            if do < 0:
                return words[at:]
            at = do + 1
        elif text.lower() == "if":
            at = _after_condition(words, at + 1)
        elif text.lower() in _CMD_RESERVED or not text:
            at += 1
        else:
            break
    return words[at:]


def _after_condition(words: list[Word], at: int) -> int:
    """The place behind an `if`'s condition: `[/i] [not] exist F`, `defined V`, `A==B`, `A equ B`."""
    while at < len(words) and words[at].text.lower() in ("/i", "not"):
        at += 1
    if at >= len(words):
        return at
    if words[at].text.lower() in ("exist", "defined", "errorlevel", "cmdextversion"):
        return at + 2
    if "==" in words[at].text:
        return at + 1
    return at + 3 if at + 1 < len(words) and words[at + 1].text.lower() in _COMPARE else at + 1


_COMPARE = frozenset(("==", "equ", "neq", "lss", "leq", "gtr", "geq"))


def _assigned(words: list[Word], at: int) -> int:
    """Past `$x =` in PowerShell, whose right side may be a command."""
    if at < len(words) and words[at].text.startswith("$"):
        for place in range(at, min(at + 3, len(words))):
            if words[place].text in ("=", "+="):
                return place + 1
        return len(words) if not words[at].text.endswith("=") else at + 1
    return at


# Programs that take the code of several flags as lines of one text.
_SEVERAL = frozenset(("network-cli", "osascript", "editor", "perl", "ruby", "lua", "rpm", "awk"))


def _all_of_flag(arguments: Sequence[Word], given: Given, taken: Sequence[Word], text: str) -> tuple[list[Word], str]:
    """The code of a flag and of its repetitions: `osascript -e A -e B`."""
    found, lines = list(taken), [text]
    for at in range(given.last, len(arguments) - 1):
        if given.flag and arguments[at].text == given.flag:
            found.append(arguments[at + 1])
            lines.append(arguments[at + 1].text)
    return found, "\n".join(lines)


def _outer_quotes(raw: str) -> str:
    """What cmd leaves of the text behind /c: one pair of outer quotes is taken off."""
    raw = raw.strip()
    if raw.startswith('"'):
        body = raw[1:]
        close = body.rfind('"')
        return body[:close] + body[close + 1 :] if close >= 0 else body
    return raw


def shell_of(text: str, default: str) -> str:
    """The shell that a command line of unknown origin is written for."""
    found = language_of(text, default)
    return found if found in SHELLS else default
