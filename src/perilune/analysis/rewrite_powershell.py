"""Rewritings of PowerShell: the operators that obfuscators build strings with, evaluated on literals."""

# ruff: noqa: E501 - a pattern or a table row broken in two is harder to read than a long one

from __future__ import annotations

import re
from collections.abc import Callable

from perilune.analysis import decoders
from perilune.analysis.edits import Edit, Literal, apply, bare, follow, joined, literals, quoted, without_parentheses

_STR = r"(?:'(?:[^']|'')*+'|\"(?:[^\"`$]|`.|\"\")*+\")"
_TICK = re.compile(r"`(?=[A-Za-z])(?![abefnrtuv0](?![\w`-]*[\w-]{2}))")
_TICK_IN_WORD = re.compile(r"(?<=[\w`.-])`(?=[A-Za-z])|`(?=[B-DG-MO-QSW-Zcdg-moqswxyzA-Z])")


def backtick(text: str) -> str:
    """A backtick before a letter that it does not turn into a control character means nothing.

    Inside a word it is taken out before any letter: no command or member name holds a tab, whatever `` `t `` means.
    """
    return _TICK_IN_WORD.sub("", text)


_NUMBER = r"(?:0[xX][0-9a-fA-F]+|\d+)"
_CHAR = re.compile(rf"\[char\]\s*(?:\(\s*({_NUMBER})\s*\)|({_NUMBER}))(?:\s*\.\s*tostring\(\s*\))?", re.IGNORECASE)
_CHARS = re.compile(rf"(?:-join\s*)?(?:\[string\]::join\(\s*(?:''|\"\")\s*,\s*\(?)?\[char\[\]\]\s*@?\(\s*({_NUMBER}(?:\s*,\s*{_NUMBER})*)\s*\)(?:\s*-join\s*(?:''|\"\"))?", re.IGNORECASE)  # fmt: skip
_BLOCK = r"\|\s*(?:%|foreach(?:-object)?)\s*(?:-process\s*)?\{(?P<block>[^{}]{0,300}\[char\][^{}]{0,200})\}"
_AFTER_BLOCK = r"(?:\s*\)){0,4}(?:\s*-join\s*(?:''|\"\"))?"
_MAPPED = re.compile(
    rf"\(?\s*(?P<numbers>{_NUMBER}(?:\s*,\s*{_NUMBER})+)\s*\)?\s*{_BLOCK}{_AFTER_BLOCK}", re.IGNORECASE
)
_SPLIT_MAPPED = re.compile(rf"(?P<splits>(?:\s*\)?\s*(?:\.split\([^)]{{0,200}}\)|-[ci]?split\s*{_STR}))*)\s*\)?\s*{_BLOCK}{_AFTER_BLOCK}", re.IGNORECASE)  # fmt: skip
_BASE = re.compile(r"toint(?:16|32|64)\s*\([^,]*,\s*(16|8|2)\s*\)", re.IGNORECASE)
_XOR = re.compile(rf"-bxor\s*(?:({_NUMBER})|['\"]([^'\"]{{1,64}})['\"])", re.IGNORECASE)
_SEPARATOR = re.compile(r"[^0-9A-Fa-fxX]+")
_NON_DIGITS = re.compile(r"\D+")


def char(text: str) -> str:
    """`[char]73`, `[char[]](73,69)`, `73,69|%{[char]$_}`, `'73_69'.split('_')|%{[char][int]$_}`, with -bxor."""
    text = _CHAR.sub(_one_char, text)
    text = _CHARS.sub(lambda m: _literal(_integers(m.group(1))) or m.group(), text)
    text = _MAPPED.sub(_mapped, text)
    edits = []
    for literal in literals(text, doubled=True):
        found = _SPLIT_MAPPED.match(text, literal.end)
        if found and (value := _decoded_codes(literal.value, found)):
            start = literal.start - (text[literal.start - 1 : literal.start] == "(")
            edits.append(Edit(start, found.end(), quoted(value, doubled=True)))
    return apply(text, edits)


def _one_char(found: re.Match[str]) -> str:
    return _literal(_integers(found.group(1) or found.group(2))) or found.group()


def _mapped(found: re.Match[str]) -> str:
    value = _literal(_xored(_integers(found.group("numbers")), found.group("block")))
    if value is None:
        return found.group()
    around = found.group().replace(found.group("block"), "")
    return value + ")" * max(0, around.count(")") - around.count("("))


def _decoded_codes(value: str, found: re.Match[str]) -> str | None:
    base = _BASE.search(found.group("block"))
    digits = _SEPARATOR if base and base.group(1) == "16" else _NON_DIGITS
    pieces = [piece for piece in digits.split(value) if piece]
    if len(pieces) < 2:
        return None
    try:
        numbers = [int(piece, int(base.group(1)) if base else 10) for piece in pieces]
    except ValueError:
        return None
    return decoders.numbers_text(_xored(numbers, found.group("block")))


def _xored(numbers: list[int], block: str) -> list[int]:
    found = _XOR.search(block)
    if not found:
        return numbers
    key = [int(found.group(1), 0)] if found.group(1) else [ord(c) for c in found.group(2)]
    return [n ^ key[at % len(key)] for at, n in enumerate(numbers)]


def _integers(text: str) -> list[int]:
    return [int(n, 16) if n[:2] in ("0x", "0X") else int(n[:12]) for n in re.findall(_NUMBER, text)]


def _literal(numbers: list[int]) -> str | None:
    value = decoders.numbers_text(numbers)
    return None if value is None else quoted(value, doubled=True)


_PLUS = re.compile(r"\s*\+\s*(?:\[string\]\s*)?")


def concatenation(text: str) -> str:
    return without_parentheses(joined(text, _PLUS, doubled=True), doubled=True)


_FORMAT = re.compile(rf"\s*\)?\s*-f\s*\(?\s*(?P<values>{_STR}(?:\s*,\s*{_STR})*+)\s*\)?", re.IGNORECASE)
_SLOT = re.compile(r"\{(\d{1,3})(?:,-?\d+)?(?::[^}]*)?\}")


def format_operator(text: str) -> str:
    """`'{1}{0}' -f 'b','a'`."""

    def change(literal: Literal, found: re.Match[str]) -> str | None:
        if "{" not in literal.value:
            return None
        values = [one.value for one in literals(found.group("values"), doubled=True)]
        slots = [int(n) for n in _SLOT.findall(literal.value)]
        if not slots or max(slots) >= len(values):
            return None
        return _SLOT.sub(lambda m: values[int(m.group(1))], literal.value)

    return _unwrapped(text, _FORMAT, change)


def _unwrapped(text: str, tail: re.Pattern[str], change: Callable[[Literal, re.Match[str]], str | None]) -> str:
    return follow(text, tail, change, doubled=True)


_JOIN_LEFT = re.compile(rf"-join\s*@?\(\s*({_STR}(?:\s*,\s*{_STR})*+)\s*\)", re.IGNORECASE)
_JOIN_RIGHT = re.compile(rf"\(\s*({_STR}(?:\s*,\s*{_STR})++)\s*\)\s*-join\s*({_STR})", re.IGNORECASE)
_JOIN_METHOD = re.compile(
    rf"\[string\]::join\(\s*({_STR})\s*,\s*@?\(?\s*({_STR}(?:\s*,\s*{_STR})*+)\s*\)?\s*\)", re.IGNORECASE
)
_JOIN_EMPTY = re.compile(r"\s*-join\s*(?:''|\"\")", re.IGNORECASE)
_CONCAT_METHOD = re.compile(rf"\[string\]::concat\(\s*({_STR}(?:\s*,\s*{_STR})*+)\s*\)", re.IGNORECASE)


def join(text: str) -> str:
    """`-join('a','b')`, `('a','b')-join''`, `[string]::join('',('a','b'))`."""
    text = _JOIN_LEFT.sub(lambda m: _glued(m.group(1), ""), text)
    text = _CONCAT_METHOD.sub(lambda m: _glued(m.group(1), ""), text)
    text = _JOIN_RIGHT.sub(lambda m: _glued(m.group(1), bare(m.group(2))), text)
    text = _JOIN_METHOD.sub(lambda m: _glued(m.group(2), bare(m.group(1))), text)
    return follow(text, _JOIN_EMPTY, lambda literal, _: literal.value, doubled=True)


def _glued(list_text: str, glue: str) -> str:
    return quoted(glue.join(one.value for one in literals(list_text, doubled=True)), doubled=True)


_BACKWARDS = re.compile(r"\s*\)?\s*\[\s*-1\s*\.\.\s*-?\s*(?:\(\s*['\"]?.{0,40}?length\s*\)?|\d+)\s*\](?:\s*-join\s*(?:''|\"\"))?", re.IGNORECASE)  # fmt: skip
_MATCHES = re.compile(r"\s*,\s*(['\"])\.\1\s*,\s*['\"]righttoleft['\"]\s*\)(?:\s*\|\s*(?:%|foreach(?:-object)?)\s*\{[^{}]{0,60}\})?(?:\s*\))?(?:\s*-join\s*(?:''|\"\"))?", re.IGNORECASE)  # fmt: skip
_MATCHES_HEAD = re.compile(r"(?:-join\s*)?\(?\s*\[regex\]::matches\(\s*$", re.IGNORECASE)
_REVERSED = re.compile(r"(?P<name>\$\w{1,40})\s*=\s*(?:\[char\[\]\]\s*)?(?P<literal>" + _STR + r")(?:\s*\.\s*tochararray\(\s*\))?\s*;\s*\[array\]::reverse\(\s*(?P=name)\s*\)", re.IGNORECASE)  # fmt: skip


def reversal(text: str) -> str:
    """`'cba'[-1..-3]-join''`, `[array]::reverse`, and matching from right to left."""
    text = _unwrapped(text, _BACKWARDS, lambda literal, _: literal.value[::-1])
    text = _REVERSED.sub(lambda m: f"{m.group('name')}={quoted(bare(m.group('literal'))[::-1], doubled=True)}", text)
    edits = []
    for literal in literals(text, doubled=True):
        tail = _MATCHES.match(text, literal.end)
        head = _MATCHES_HEAD.search(text, max(0, literal.start - 60), literal.start) if tail else None
        if tail and head:
            edits.append(Edit(head.start(), tail.end(), quoted(literal.value[::-1], doubled=True)))
    return apply(text, edits)


# What these hold on nearly every machine; obfuscators take single letters of them.
KNOWN = {
    "pshome": r"C:\Windows\System32\WindowsPowerShell\v1.0",
    "shellid": "Microsoft.PowerShell",
    "verbosepreference": "SilentlyContinue",
    "env:comspec": r"C:\WINDOWS\system32\cmd.exe",
    "env:public": r"C:\Users\Public",
    "env:systemroot": r"C:\WINDOWS",
    "env:windir": r"C:\WINDOWS",
    "env:programfiles": r"C:\Program Files",
    "env:programdata": r"C:\ProgramData",
    "executioncontext": "System.Management.Automation.EngineIntrinsics",
    "maximumdrivecount": "4096",
}
_KNOWN_INDEX = re.compile(r"\(?\s*\$\{?(?P<name>[a-z:]{4,24})\}?(?:\s*\.\s*['\"]?tostring['\"]?\(\s*\))?\s*\)?\s*\[\s*(?P<at>-?\d+(?:\s*,\s*-?\d+)*)\s*\](?P<join>\s*-join\s*(?:''|\"\"))?", re.IGNORECASE)  # fmt: skip
_INDEX = re.compile(r"\s*\)?\s*\[\s*(?P<at>-?\d+(?:\s*,\s*-?\d+)*)\s*\](?:\s*-join\s*(?:''|\"\"))?")
_SUBSTRING = re.compile(r"\s*\)?\s*\.\s*substring\(\s*(\d+)\s*(?:,\s*(\d+)\s*)?\)", re.IGNORECASE)


def index(text: str) -> str:
    """`$pshome[4]+$pshome[30]+'x'`, `'abc'[1,0]-join''`, `.substring(1,2)`."""
    text = _KNOWN_INDEX.sub(_known_letters, text)
    text = _unwrapped(text, _INDEX, lambda literal, found: _letters(literal.value, found.group("at")))
    return _unwrapped(text, _SUBSTRING, _substring)


def _known_letters(found: re.Match[str]) -> str:
    value = KNOWN.get(found.group("name").lower())
    letters = _letters(value, found.group("at")) if value else None
    if letters is None:
        return found.group()
    opened = found.group().lstrip().startswith("(") and ")" not in found.group().split("[")[0]
    return ("(" if opened else "") + quoted(letters, doubled=True)


def _letters(value: str, places: str) -> str | None:
    picked = [int(n) for n in places.split(",")]
    if any(not -len(value) <= n < len(value) for n in picked):
        return None
    return "".join(value[n] for n in picked)


def _substring(literal: Literal, found: re.Match[str]) -> str | None:
    first = int(found.group(1))
    last = first + int(found.group(2)) if found.group(2) else len(literal.value)
    return literal.value[first:last] if first <= last <= len(literal.value) else None


_NAMES = r"\$(?:\{(?P<b>[^}]{1,60})\}|(?:(?:global|script|local):)?(?P<n>[A-Za-z_]\w{0,60}))"
_ASSIGN = re.compile(_NAMES + r"\s*=\s*(?=['\"])", re.IGNORECASE)
_AFTER_VALUE = re.compile(r"\s*(?:[;|\r\n)}]|\Z)")
_USE = re.compile(_NAMES + r"(?!\s*(?:[+*/-]?=(?!=)|\+\+|--))(?![\w:])")


def variables(text: str) -> str:
    """Variables that are set once, to a literal, replaced by it."""
    values: dict[str, tuple[str, int]] = {}
    count: dict[str, int] = {}
    strings = {one.start: one for one in literals(text, doubled=True)}
    for found in _ASSIGN.finditer(text):
        literal = strings.get(found.end())
        if literal is None:
            continue
        name = (found.group("b") or found.group("n")).lower()
        count[name] = count.get(name, 0) + 1
        if _AFTER_VALUE.match(text, literal.end) and not (literal.quote == '"' and "$" in literal.value):
            values[name] = (literal.value, literal.end)
    usable = {name: one for name, one in values.items() if count[name] == 1 and len(one[0]) < 100_000}
    if not usable:
        return text
    edits: list[Edit] = []
    grown = 0
    for found in _USE.finditer(text):
        name = (found.group("b") or found.group("n")).lower()
        if name not in usable or found.start() < usable[name][1]:
            continue
        value = usable[name][0]
        grown += len(value)
        if grown > 500_000:
            break
        inside = _inside(text, found.start(), strings)
        edits.append(Edit(found.start(), found.end(), value if inside else quoted(value, doubled=True)))
    return apply(text, edits)


def _inside(text: str, at: int, strings: dict[int, Literal]) -> bool:
    """Whether a place is inside a double-quoted literal, where the variable's bare value goes."""
    quote = text.rfind('"', max(0, at - 2000), at)
    while quote >= 0:
        literal = strings.get(quote)
        if literal is not None:
            return literal.end > at
        quote = text.rfind('"', max(0, at - 2000), quote)
    return False


_NAME = r"[A-Za-z][\w.:\\-]{1,60}"
_CALL = re.compile(rf"(?<![\w)\].'\"])[&.]\s*\(?\s*(['\"])({_NAME})\1\s*\)?")
_MEMBER = re.compile(rf"(?<=[\w)\]'\"])(\.|::)\s*\(?(['\"])({_NAME})\2\)?(?=\s*\(|\s*\.\s*invoke)")
_PIPED = re.compile(rf"\|\s*&?\s*\(?\s*(['\"])({_NAME})\1\s*\)?\s*(?=$|[;|)}}\r\n])")


def invocation(text: str) -> str:
    """`& 'iex'`, `.('iex')`, `|&('iex')` and `.'DownloadString'(` as the names that they are."""
    text = _PIPED.sub(r"| \2", text)
    text = _CALL.sub(r" \2 ", text)
    return _MEMBER.sub(r"\1\3", text)
