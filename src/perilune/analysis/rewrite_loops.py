"""Loops of cmd that only build a string: `for /f` over what `echo`, `set` or `assoc` give, and letters picked one by one."""

# ruff: noqa: E501 - a pattern or a table row broken in two is harder to read than a long one

from __future__ import annotations

import re
from collections.abc import Iterator

from perilune.analysis.rewrite_cmd import KNOWN, SET, USE, modified

MAX_PICKS = 20_000  # letters of one loop
MAX_GROWN = 500_000

_FOR_F = re.compile(
    r"\bfor\s+/f\s+(?:\"(?P<options>[^\"]{0,80})\"\s*|(?P<bare>[\w=*,]{1,40})\s+)?%%?(?P<name>[A-Za-z])\s+in\s*\(\s*(?P<quote>['`\"])(?P<command>.{1,8000}?)(?P=quote)\s*\)\s*do\s+(?P<body>[^\r\n]{1,20000})",
    re.IGNORECASE,
)
_PICKS = re.compile(
    r"\bfor\s+(?P<kind>/l\s+)?%%?(?P<name>[A-Za-z])\s+in\s*\((?P<list>[-\d,;\s]{1,100000})\)\s*do\s*\(?\s*(?:call\s+)?set\s+\"?(?P<to>\w{1,40})=(?:!(?P=to)!|%(?P=to)%|%%(?P=to)%%)?[!%]{1,2}(?P<source>\w{1,40}):~%%?(?P=name)(?:,1)?[!%]{1,2}\"?",
    re.IGNORECASE,
)
_ASSOCIATIONS = (
    ".bat=batfile",
    ".cmd=cmdfile",
    ".exe=exefile",
    ".ps1=Microsoft.PowerShellScript.1",
    ".vbs=VBSFile",
    ".js=JSFile",
)
_FIND = re.compile(r"\|\s*(?:findstr|find)\s+(?:/\w\s+)*\"?([^\"|]{1,60}?)\"?\s*$", re.IGNORECASE)


def loops(text: str) -> str:
    """The bodies of the loops with what they loop over put in."""
    return _FOR_F.sub(_put_in, _picked(text))


def commands(text: str) -> Iterator[tuple[str, int, int]]:
    """The commands over whose output a text loops, and where they stand."""
    for found in _FOR_F.finditer(text):
        if found["quote"] != '"' and not found["command"].lower().startswith("echo"):
            yield found["command"].replace("^", ""), found.start("command"), found.end("command")


def _put_in(found: re.Match[str]) -> str:
    options = found["options"] or found["bare"] or ""
    line = _output(found["command"].replace("^", "").strip(), found["quote"], usebackq="usebackq" in options.lower())
    if line is None:
        return found.group()
    values = _tokens(line, options)
    body = found["body"]
    for offset, value in enumerate(values):
        letter = chr(ord(found["name"]) + offset)
        body = re.sub(rf"%%?~?{letter}(?![\w%])|%%?{letter}(?=\W|$)", lambda _, put=value: put, body)
        if len(body) > MAX_GROWN:
            return found.group()
    return body


def _output(command: str, quote: str, *, usebackq: bool) -> str | None:
    """The first line that a command prints, where that is known without running it."""
    if quote == '"' or (quote == "'" and usebackq):
        return command  # a string to be taken apart
    wanted = _FIND.search(command)
    head = command[: wanted.start()].strip().lower() if wanted else command.lower()
    word = wanted[1] if wanted else ""
    if head.startswith("echo") and not wanted:
        return command[5:].strip()
    if head.split(" ")[0] == "set":
        prefix = head[3:].strip()
        lines = [f"{name}={value}" for name, value in _SHOWN.items() if name.lower().startswith(prefix)]
    elif head.split(" ")[0] == "assoc":
        lines = [one for one in _ASSOCIATIONS if one.startswith(head[5:].strip())]
    else:
        return None
    return next((line for line in lines if word in line), None)


_CASED = {"comspec": "ComSpec", "psmodulepath": "PSModulePath", "programfiles": "ProgramFiles", "programdata": "ProgramData",
          "commonprogramfiles": "CommonProgramFiles", "systemroot": "SystemRoot", "systemdrive": "SystemDrive", "path": "Path"}  # fmt: skip
_SHOWN = {
    _CASED.get(name, name.upper() if name in ("os", "pathext", "public", "temp", "tmp") else name): value
    for name, value in KNOWN.items()
}


def _tokens(line: str, options: str) -> list[str]:
    """What `tokens=` takes from a line that `delims=` cuts."""
    cuts = re.search(r"(?i)delims=(.*?)(?=\s+(?:tokens|skip|eol|usebackq)\b|$)", options)
    delims = cuts[1] if cuts else " \t"
    wanted = re.search(r"(?i)tokens=([\d,*-]+)", options)
    pieces = [one for one in re.split("[" + re.escape(delims) + "]+", line) if one] if delims else [line]
    found: list[str] = []
    for one in (wanted[1] if wanted else "1").split(","):
        first, _, last = one.rstrip("*").partition("-")
        if first.isdigit():
            found += pieces[int(first) - 1 : int(last) if last.isdigit() else int(first)]
        if one.endswith("*"):
            rest = int(first) if first.isdigit() else 0
            found.append(" ".join(pieces[rest:]) if rest else line)
    return found[:26]


def _picked(text: str) -> str:
    """`for %a in (3 0 1) do set x=!x!!y:~%a,1!`: the letters that are picked, and `%x%` after it replaced by them."""
    for found in list(_PICKS.finditer(text))[:20]:
        source = _value_of(found["source"], text[: found.start()])
        places = _places(found)
        if source is None or places is None:
            continue
        value = "".join(source[at] for at in places if -len(source) <= at < len(source))
        # What the loop does at its end, or only once all letters are there, stands behind it.
        at = text.find(found.group())
        rest = _named(text[at + len(found.group()) :], found["to"].lower(), value)
        text = text[:at] + f"set {found['to']}={value}" + rest[:MAX_GROWN]
    return text


def _named(text: str, name: str, value: str) -> str:
    """A text with the value put in for a variable's name."""

    def change(found: re.Match[str]) -> str:
        return modified(value, found["how"]) if found["name"].lower() == name else found.group()

    return USE.sub(change, text)


def _value_of(name: str, before: str) -> str | None:
    found = [m["value"] for m in SET.finditer(before) if m["name"].strip().lower() == name.lower()]
    return found[-1] if found else KNOWN.get(name.lower())


def _places(found: re.Match[str]) -> list[int] | None:
    numbers = [int(one) for one in re.findall(r"-?\d{1,6}", found["list"])]
    if not found["kind"]:
        return numbers[:MAX_PICKS]
    if len(numbers) != 3 or numbers[1] == 0:
        return None
    first, step, last = numbers
    return list(range(first, last + (1 if step > 0 else -1), step))[:MAX_PICKS]
