"""Rewritings of cmd: what it takes off before it runs the rest, and variables whose values are in view."""

# ruff: noqa: E501 - a pattern or a table row broken in two is harder to read than a long one

from __future__ import annotations

import re


def caret(text: str) -> str:
    """A caret before a letter or digit means nothing; before an operator it is left, for there it does."""
    if len(re.findall(r"(?<=\w)\^+(?=\w)", text[:20_000])) < 2 and not re.search(r"\^[a-zA-Z]\^", text[:20_000]):
        return text  # one may be an exponent or a regular expression; obfuscators sow them
    return re.sub(r"\^+(?=[A-Za-z0-9:/\\.\-_,;=({\[$'+])", "", text)


KNOWN = {
    "comspec": r"C:\Windows\system32\cmd.exe",
    "pathext": ".COM;.EXE;.BAT;.CMD;.VBS;.VBE;.JS;.JSE;.WSF;.WSH;.MSC",
    "programfiles": r"C:\Program Files",
    "commonprogramfiles": r"C:\Program Files\Common Files",
    "programdata": r"C:\ProgramData",
    "allusersprofile": r"C:\ProgramData",
    "public": r"C:\Users\Public",
    "systemroot": r"C:\Windows",
    "windir": r"C:\Windows",
    "systemdrive": "C:",
    "os": "Windows_NT",
    "localappdata": r"C:\Users\user\AppData\Local",
    "appdata": r"C:\Users\user\AppData\Roaming",
    "temp": r"C:\Users\user\AppData\Local\Temp",
    "tmp": r"C:\Users\user\AppData\Local\Temp",
    "psmodulepath": r"C:\Program Files\WindowsPowerShell\Modules;C:\Windows\system32\WindowsPowerShell\v1.0\Modules",
    "path": r"C:\Windows\system32;C:\Windows;C:\Windows\System32\Wbem;C:\Windows\System32\WindowsPowerShell\v1.0",
    "processor_architecture": "AMD64",
}
SET = re.compile(
    r"(?:^|[&|(\s@\"])set\s+\"?(?P<name>[^\s=&|<>\"%/][^=&|<>\"%\r\n]{0,60})=(?P<value>[^&|<>\"\r\n]*)\"?",
    re.IGNORECASE,
)
USE = re.compile(r"(?P<mark>[%!])(?P<name>[^%!:=\s\"&|<>][^%!:=\"&|<>\r\n]{0,60})(?::(?P<how>~-?\d+(?:,-?\d+)?|[^%!=\r\n]{1,60}=[^%!\r\n]{0,60}))?(?P=mark)")  # fmt: skip


def cmd_slices(text: str) -> str:
    """`%name:~3,1%`: pieces of variables, of what `set` gave in the text and of what every machine has."""
    return cmd_variables(text, sliced=True)


def cmd_variables(text: str, *, sliced: bool = False) -> str:
    """`%name%`, `!name!` and `%name:x=y%`."""
    given = ((m.group("name").strip().lower(), m.group("value")) for m in SET.finditer(text))
    # One that is built from itself is a loop's, whose value is not in what is written.
    values = {
        name: value for name, value in given if f"!{name}" not in value.lower() and f"%{name}" not in value.lower()
    }
    grown = 0

    def change(found: re.Match[str]) -> str:
        nonlocal grown
        name = found.group("name").lower()
        how = found.group("how")
        if sliced != (how or "").startswith("~"):
            return found.group()
        value = values.get(name)
        if value is None and how:
            value = KNOWN.get(name)
        if value is None or grown > 500_000:
            return found.group()
        value = modified(value.rstrip(" ") if found.group("mark") == "%" and not how else value, how)
        grown += len(value)
        return value

    return USE.sub(change, text)


def modified(value: str, how: str | None) -> str:
    if not how:
        return value
    if how.startswith("~"):
        first, _, length = how[1:].partition(",")
        start = int(first)
        start = max(0, len(value) + start) if start < 0 else start
        if not length:
            return value[start:]
        count = int(length)
        return value[start : start + count] if count >= 0 else value[start:count]
    old, _, new = how.partition("=")
    if len(value) * max(1, len(new)) > 500_000:
        return value
    return re.sub(re.escape(old), lambda _: new, value, flags=re.IGNORECASE) if old else value


_INNER_QUOTES = re.compile(r"(?<![\w\"=])(?=[\w\"]{3,80}(?:\.exe)?(?:\s|$))(?:\w+\"\w*\"\w+|\"\w{1,3}\"\w+|(?:\w+\"\"\w*)+|\w+(?:\"\w{1,4}\"\w*)+)(?=[\s.]|$)")  # fmt: skip


def cmd_quotes(text: str) -> str:
    """Quotes inside a word: `p"owe"rshell`, `w""script`."""
    return _INNER_QUOTES.sub(lambda m: m.group().replace('"', ""), text)
