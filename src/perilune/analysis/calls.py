"""Commands that code of another language hands to a shell: `os.system("…")`, `io.popen('…')`, `do shell script "…"`."""

# ruff: noqa: E501 - a pattern or a table row broken in two is harder to read than a long one

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

MAX_CALLS = 60  # of one text


class Call(NamedTuple):
    """The command line that a call runs, and where it is written."""

    name: str
    text: str
    start: int
    end: int
    language: str = ""


_NAMES = re.compile(
    r"""(?ix)(?<![\w$])(?P<name>
      os\.(?:system|popen\d?|execute|exec[lv]p?e?|spawn[lv]p?e?|startfile) | io\.popen | popen\d? | pty\.spawn
    | subprocess\.(?:run|call|check_call|check_output|popen|getoutput|getstatusoutput)
    | (?:child_process\.)?(?:exec|execsync|execfile|execfilesync|spawn|spawnsync) | shell_exec | passthru | proc_open | system
    | process\.start | start-process | saps | shellexecute | shellexec | (?<!\.)shell | runwait | run | spawn | term | ansi-term
    | (?:async-)?shell-command(?:-to-string)? | start-process-shell-command | call-process | do\ shell\ script
    | processbuilder | getruntime\(\)\.exec | deno\.command | bun\.spawn(?:sync)? | kernel\.exec | open3\.\w+ | iex
    | invoke-expression | vim\.fn\.system | nvim_command | ngx\.pipe\.spawn | program | create | winexec | executeshellcommand )
    (?P<gap>[\s(\[{,:=&]{0,6}(?:@comspec\s{0,2}[&,]\s{0,2}|%comspec%\s)?(?:new\s+)?(?:-filepath\s+|-command\s+)?(?P<open>[\[({]?)\s{0,4})
    (?P<literal>'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.|"")*"|`[^`\n]*`|\[\[.{0,4000}?\]\])"""
)
_MORE = re.compile(
    r"""\s{0,8}(?:,|-argumentlist\b|-args\b)\s{0,8}[\[({@]{0,3}\s{0,4}(?P<literal>'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.|"")*")""",
    re.IGNORECASE,
)
_BACKTICKS = re.compile(r"(?:%x|\bqx)(?:\{(?P<a>[^{}]*)\}|\((?P<b>[^()]*)\)|\[(?P<c>[^\[\]]*)\])")
_ASKED = re.compile(
    r"(?P<literal>'[^'\n]{2,4000}'|\"[^\"\n]{2,4000}\")\.execute\(\s*\)"
)  # Groovy: the command comes first
_NOT_IN_PYTHON = frozenset(("exec", "run", "program", "create", "shell", "start", "term", "iex"))
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_PLAIN = {"n": "\n", "t": "\t", "r": "\r"}
_HINT = re.compile(
    r"(?i)exec|popen|system|spawn|run|shell|start|term|create|process|passthru|program|iex|qx|%x|command"
)


def find(text: str, language: str) -> list[Call]:
    """The calls in a text, in their order; arguments that are no literals end a command."""
    found: list[Call] = [*_embedded(text, language), *_code(text, language)][:MAX_CALLS]
    if not _HINT.search(text):
        return found
    for call in _all(text, language):
        found.append(call)
        if len(found) >= MAX_CALLS:
            break
    return found


def _all(text: str, language: str) -> Iterator[Call]:
    for match in _NAMES.finditer(text):
        literal = match.group("literal")
        gap = match.group("gap")
        if language == "python" and "." not in match.group("name") and match.group("name").lower() in _NOT_IN_PYTHON:
            continue
        if not gap.strip() and not _may_stand_bare(match.group("name"), language):
            continue
        words = [_value(literal, language)]
        end = match.end()
        while (more := _MORE.match(text, end)) and len(words) < 12:
            words.append(_value(more.group("literal"), language))
            end = more.end()
        line = " ".join(_quoted(w) for w in words) if len(words) > 1 else words[0]
        if len(line) > 1:
            yield Call(match.group("name"), line, match.start("literal"), end)
    for match in _ASKED.finditer(text) if ".execute(" in text else ():
        yield Call("execute", _value(match.group("literal"), language), match.start("literal"), match.end())
    if language in ("perl", "ruby"):
        for match in _BACKTICKS.finditer(text):
            inner = match.group("a") or match.group("b") or match.group("c") or ""
            if inner.strip():
                yield Call("qx", inner, match.start(), match.end())


# Editors and macro processors, whose commands begin with a mark of their own.
_EMBEDDED: tuple[tuple[str, str, re.Pattern[str]], ...] = (
    ("vim", "", re.compile(r"(?:^|[:|]\s*)!(?P<code>[^\n]+)")),
    ("vim", "lua", re.compile(r"(?:^|[:|]\s*)lua(?:do|file)?\s+(?P<code>[^\n]+)")),
    ("vim", "python", re.compile(r"(?:^|[:|]\s*)py(?:thon)?[3x]?\s+(?P<code>[^\n]+)")),
    ("vim", "perl", re.compile(r"(?:^|[:|]\s*)perl\s+(?P<code>[^\n]+)")),
    ("rpm-macro", "lua", re.compile(r"%\{lua:(?P<code>.*)\}", re.DOTALL)),
    ("rpm-macro", "", re.compile(r"%\((?P<code>[^()]*)\)")),
    ("tcl", "", re.compile(r"(?:^|[;\[{\s])exec\s+(?P<code>[^\n;\]}]+)|\bspawn\s+(?P<read>[^\n;\]}\"]+)")),
    ("awk", "", re.compile(r"\|\s*\"(?P<code>[^\"]+)\"|\"(?P<read>[^\"]+)\"\s*\|&?\s*getline")),
    (
        "sql",
        "",
        re.compile(
            r"(?:^|\s)\\?(?:\\!|system|!!)\s+(?P<code>[^\n;]+)|xp_cmdshell\s*\(?N?'(?P<read>[^']+)'", re.IGNORECASE
        ),
    ),
)


def _embedded(text: str, language: str) -> Iterator[Call]:
    for of, inner, pattern in _EMBEDDED:
        if of == language:
            for match in pattern.finditer(text):
                group = "code" if match.group("code") else "read"
                yield Call(of, match.group(group), match.start(group), match.end(group), inner)


_CODE = re.compile(
    r"""(?ix)(?<![\w$.])(?P<name>eval|exec|execute(?:global)?|load(?:string)?|runstring|instance_eval|new\s+function|(?:window|global|globalthis)\.eval)
    \s*\(?\s*(?P<literal>'(?:[^'\\]|\\.)*+'|"(?:[^"\\]|\\.|"")*+"|`[^`]*`|\[\[[^\]]*\]\])"""
)
_RUNS_CODE = {
    "python": ("eval", "exec"), "javascript": ("eval", "new function", "window.eval", "global.eval", "globalthis.eval"),
    "lua": ("load", "loadstring", "runstring"), "php": ("eval",), "perl": ("eval",), "ruby": ("eval", "instance_eval"),
    "vbscript": ("execute", "executeglobal", "eval"), "html": ("execute", "eval"),
}  # fmt: skip


def _code(text: str, language: str) -> Iterator[Call]:
    """Literals that the language itself runs as code: `eval('…')`, `load("…")`."""
    names = _RUNS_CODE.get(language, ())
    for match in _CODE.finditer(text) if names else ():
        value = _value(match.group("literal"), language)
        if " ".join(match.group("name").lower().split()) in names and len(value) > 1:
            yield Call(match.group("name"), value, match.start("literal"), match.end("literal"), language)


def _may_stand_bare(name: str, language: str) -> bool:
    """Whether the language calls without parentheses: `os.execute "x"`, `do shell script "x"`, `Run "x"`."""
    return language not in ("python", "javascript", "php") or " " in name


def _value(literal: str, language: str) -> str:
    if literal.startswith("[["):
        return literal[2:-2]
    body = literal[1:-1]
    if language in ("vbscript", "autohotkey", "autoit", "html"):
        return body.replace('""', '"')
    if language == "powershell":
        return body
    return _ESCAPED.sub(lambda m: _PLAIN.get(m.group(1), m.group(1) if m.group(1) in "\\\"'`/ $" else m.group()), body)


def _quoted(word: str) -> str:
    """A word so written that either system's splitting gives it back."""
    if word and not re.search(r"[\s\"'|&;<>()$`]", word):
        return word
    return '"' + word.replace('"', '\\"') + '"'
