"""Rewritings of code in other languages: escapes, character codes, concatenation, reversal, replacement."""

# ruff: noqa: E501 - a pattern or a table row broken in two is harder to read than a long one

from __future__ import annotations

import html as _html
import re
from collections.abc import Callable

from perilune.analysis import decoders
from perilune.analysis.edits import Edit, Literal, apply, follow, joined, literals, quoted, without_parentheses

_ESCAPE = re.compile(r"\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|u\{([0-9a-fA-F]{1,6})\}|x\{([0-9a-fA-F]{1,6})\}|([0-7]{3})|z\s*|(.))", re.DOTALL)  # fmt: skip
_LUA_ESCAPE = re.compile(r"\\(?:(\d{1,3})|x([0-9a-fA-F]{2})|u\{([0-9a-fA-F]{1,6})\}|z\s*|(.))", re.DOTALL)
_CODED = re.compile(r"\\(?:x[0-9a-fA-F{]|u[0-9a-fA-F{]|[0-7]{3})")
_LUA_CODED = re.compile(r"\\(?:\d{1,3}|x[0-9a-fA-F]|u\{|z\s)")
_LEAST = 2  # escapes in one literal: a single one is how people write a tab


def escapes(text: str) -> str:
    r"""`\x68`, `\150`, `\u0068` in literals as the characters that they are."""
    return _unescaped(text, _CODED, _ESCAPE, _escape)


def lua_escapes(text: str) -> str:
    r"""Lua's `\104`, which is decimal, and its `\x68`, `\u{68}`, `\z`."""
    return _unescaped(text, _LUA_CODED, _LUA_ESCAPE, _lua_escape)


def _unescaped(
    text: str, coded: re.Pattern[str], pattern: re.Pattern[str], change: Callable[[re.Match[str]], str]
) -> str:
    edits = []
    for literal in literals(text, doubled=False):
        if literal.quote == "[" or len(coded.findall(literal.value[:4000])) < _LEAST:
            continue
        body = pattern.sub(change, literal.value)
        edits.append(Edit(literal.start, literal.end, literal.quote + _safe(body, literal.quote) + literal.quote))
    return apply(text, edits)


def _safe(body: str, quote: str) -> str:
    """The decoded text escaped again where it would end its own literal."""
    return re.sub(r"(\\.)|(" + re.escape(quote) + r")|(\n)", lambda m: m.group(1) or ("\\n" if m.group(3) else "\\" + quote), body, flags=re.DOTALL)  # fmt: skip


def _escape(found: re.Match[str]) -> str:
    for group, base in ((1, 16), (2, 16), (3, 16), (4, 16), (5, 8)):
        digits = found.group(group)
        if digits:
            return _char(int(digits, base), found.group())
    return "" if found.group(6) is None else found.group()


def _lua_escape(found: re.Match[str]) -> str:
    decimal, two, many, char = found.groups()
    if decimal:
        return _char(int(decimal), found.group())
    if two or many:
        return _char(int(two or many, 16), found.group())
    return "" if char is None else found.group()


def _char(code: int, written: str) -> str:
    """The character of a code, if it may stand in a text."""
    if code == 92:
        return "\\\\"
    if 32 <= code < 0xD800 or code in (9, 10) or 0xE000 <= code < 0x110000:
        return chr(code)
    return written


_NUMBERS = r"(?:0[xX][0-9a-fA-F]+|\d{1,7})(?:\s*,\s*(?:0[xX][0-9a-fA-F]+|\d{1,7}))*+"
_CODES = re.compile(
    rf"""(?ix)(?<![\w$])(?:
      string\.char\( | (?:window\.)?string\.from(?:char|code)?(?:code|point)\((?:\.\.\.|this\s*,\s*)?\[? | string\.fromcharcode\.apply\((?:null|this|\s*string\s*),\s*\[
    | (?:''|"")\.join\(\s*(?:map\(\s*chr\s*,\s*|chr\(\s*\w\s*\)\s*for\s+\w\s+in\s*)[\[(] | bytes\(\[ | bytearray\(\[ | chr[wb]?\$?\( | char\(
    | pack\s*\(?\s*['"][cCUW]\*?['"]\s*,\s*\(?
    ) \s* (?P<numbers>{_NUMBERS}) \s* (?:\]\s*\)+|\)+)(?:\s*\.\s*decode\(\s*[^)]{{0,20}}\)|\.tostring\(\s*\))?"""
)
_RUBY_PACK = re.compile(rf"\[\s*(?P<numbers>{_NUMBERS})\s*\]\s*\.\s*(?:pack\(?\s*['\"][cCU]\*['\"]\s*\)?|map\([^()]{{0,80}}fromCharCode[^()]{{0,40}}(?:\([^()]*\))?[^()]*\)(?:\.join\(\s*(?:''|\"\")\s*\))?)")  # fmt: skip


def char_codes(text: str) -> str:
    """`string.char(104,105)`, `String.fromCharCode(…)`, `chr(…)`, `''.join(map(chr,[…]))`, `pack('C*',…)`."""
    text = _CODES.sub(_codes, text)
    return _RUBY_PACK.sub(_codes, text)


def _codes(found: re.Match[str]) -> str:
    numbers = [int(n, 16) if n[:2] in ("0x", "0X") else int(n) for n in re.findall(r"0[xX][0-9a-fA-F]+|\d+", found.group("numbers"))]  # fmt: skip
    value = decoders.numbers_text(numbers)
    if value is None or not all(c.isprintable() or c in "\t\r\n" for c in value):
        return found.group()
    whole = found.group()
    surplus = whole.count(")") - whole.count("(")
    return quoted(value, doubled=False, like='"') + ")" * max(0, surplus)


_BETWEEN = re.compile(r"\s*(?:\+|\.\.|&(?:\s*_\s*\r?\n)?|\.|\\\r?\n|<>)\s*|[ \t]+")


def concatenation(text: str) -> str:
    """`'a'+'b'` (JavaScript, Python, Ruby), `"a" & "b"` (VBScript, AutoIt), `"a".."b"` (Lua), `"a"."b"` (PHP, Perl)."""
    return without_parentheses(joined(text, _BETWEEN, doubled=False), doubled=False)


_ASSIGN = re.compile(r"(?:^|(?<=[;\s{(]))(?:local\s+|var\s+|let\s+|const\s+|my\s+|dim\s+|set\s+)?(?P<name>[$@]?[A-Za-z_]\w{0,60})\s*=\s*(?=['\"])", re.MULTILINE)  # fmt: skip
_SET = r"(?<![\w$.\"'])"
_AFTER = re.compile(r"\s*(?:[;,:)}]|--|#|//|\r?\n|\Z|local\b|[A-Za-z_][\w.:]*\s*(?:=|\())")


def variables(text: str) -> str:
    """Names that are set once, to a literal, replaced by it where they are used bare."""
    strings = {one.start: one for one in literals(text, doubled=False)}
    values: dict[str, Literal] = {}
    twice: set[str] = set()
    for found in _ASSIGN.finditer(text):
        literal = strings.get(found.end())
        name = found.group("name")
        if name in values or literal is None or not _AFTER.match(text, literal.end):
            twice.add(name)
        else:
            values[name] = literal
    usable = {
        name: one for name, one in values.items() if name not in twice and len(one.value) < 50_000 and len(name) > 0
    }
    if not usable or len(usable) > 400:
        return text
    inside = _inside(text)
    edits: list[Edit] = []
    grown = 0
    for found in re.finditer(r"(?<![\w$.\\])[$@]?[A-Za-z_]\w{0,60}(?![\w]|\s*=(?!=)|\s*[:{])", text):
        literal = usable.get(found.group())
        if literal is None or found.start() < literal.end or inside(found.start()):
            continue
        grown += len(literal.value)
        if grown > 500_000:
            break
        edits.append(Edit(found.start(), found.end(), text[literal.start : literal.end]))
    return apply(text, edits)


def _inside(text: str) -> Callable[[int], bool]:
    """Says of ever greater places whether they are inside a literal."""
    ends = iter([(one.start, one.end) for one in literals(text, doubled=False)])
    current = next(ends, None)

    def inside(at: int) -> bool:
        nonlocal current
        while current is not None and current[1] <= at:
            current = next(ends, None)
        return current is not None and current[0] <= at

    return inside


_MEMBER = re.compile(r"(?<=[\w\])])\[\s*(['\"])([A-Za-z_]\w{0,60})\1\s*\]")


def member(text: str) -> str:
    """`os['execute']` as `os.execute`."""
    return _MEMBER.sub(r".\2", text)


_STR = r"(?:'(?:[^'\\]|\\.)*+'|\"(?:[^\"\\]|\\.)*+\")"
_REPLACE = re.compile(
    rf"\s*\)?\s*[.:]\s*(?:replace(?:all)?|gsub)\s*\(\s*(?:(?P<old>{_STR})|/(?P<rx>[^/\\\n]{{1,40}})/[gim]*)\s*,\s*(?P<new>{_STR})\s*\)",
    re.IGNORECASE,
)
_MAP = re.compile(
    r"\s*\)?\s*:\s*gsub\s*\(\s*['\"](?:\.|%\w|%a|\[[^\]]{1,20}\])['\"]\s*,\s*\{(?P<map>[^{}]{1,20000})\}\s*\)"
)
_MAP_ENTRY = re.compile(r"(?:\[\s*['\"](?P<k>.)['\"]\s*\]|(?P<n>[A-Za-z_]))\s*=\s*['\"](?P<v>[^'\"]{0,4})['\"]")
_FUNCTION_REPLACE = re.compile(rf"(?<![\w.])(?P<name>replace|str_replace)\s*\(\s*(?P<a>{_STR})\s*,\s*(?P<b>{_STR})\s*,\s*(?P<c>{_STR})\s*\)", re.IGNORECASE)  # fmt: skip
_SPECIAL = re.compile(r"[.^$*+?()\[\]{}|%\\]")


def replace(text: str) -> str:
    """`.replace('x','')`, Lua's `:gsub` with a literal or a map, VBScript's `Replace(s,a,b)`, PHP's `str_replace`."""

    def change(literal: Literal, found: re.Match[str]) -> str | None:
        old = found.group("old")
        old = found.group("rx") if old is None else old[1:-1]
        new = found.group("new")[1:-1]
        if not old or _SPECIAL.search(old) or len(literal.value) * max(1, len(new)) > 4_000_000:
            return None
        return literal.value.replace(old, new)

    def mapped(literal: Literal, found: re.Match[str]) -> str | None:
        table = {(m.group("k") or m.group("n")): m.group("v") for m in _MAP_ENTRY.finditer(found.group("map"))}
        return "".join(table.get(c, c) for c in literal.value) if table else None

    if "gsub" in text:
        text = follow(without_parentheses(text, doubled=False), _MAP, mapped, doubled=False)
    text = follow(text, _REPLACE, change, doubled=False)
    return _FUNCTION_REPLACE.sub(_function_replaced, text)


def _function_replaced(found: re.Match[str]) -> str:
    a, b, c = (found.group(n)[1:-1] for n in "abc")
    old, new, subject = (a, b, c) if found.group("name").lower() == "str_replace" else (b, c, a)
    return quoted(subject.replace(old, new), doubled=False, like='"') if old else found.group()


_TAIL_REVERSED = re.compile(
    r"\s*\)?\s*(?:\[\s*::\s*-1\s*\]|\.split\(\s*(?:''|\"\")\s*\)\s*\.reverse\(\s*\)\s*\.join\(\s*(?:''|\"\")\s*\)|:reverse\(\s*\)|\.reverse\b(?:\(\s*\))?)"
)
_CALL_REVERSED = re.compile(
    rf"(?<![\w.])(?:strreverse|strrev|string\.reverse|_stringreverse|scalar\s+reverse|reverse|(?:''|\"\")\.join\(\s*reversed)\s*\(?\s*(?P<value>{_STR})\s*\)?(?P<more>\s*\))?",
    re.IGNORECASE,
)


def reversal(text: str) -> str:
    """`"cba"[::-1]`, `.split('').reverse().join('')`, `("cba"):reverse()`, `StrReverse("cba")`, `strrev('cba')`."""
    text = follow(text, _TAIL_REVERSED, lambda literal, _: _plain(literal.value)[::-1], doubled=False)
    return _CALL_REVERSED.sub(_call_reversed, text)


def _call_reversed(found: re.Match[str]) -> str:
    value = quoted(_plain(found.group("value")[1:-1])[::-1], doubled=False, like=found.group("value")[0])
    whole = found.group()
    return value + ")" * max(0, whole.count(")") - whole.count("("))


def _plain(value: str) -> str:
    """A literal's text with the escapes of quotes and backslashes undone."""
    return re.sub(r"\\(['\"\\])", r"\1", value)


_ROT13 = re.compile(
    rf"(?:codecs\.(?:de|en)code\(\s*(?P<a>{_STR})\s*,\s*['\"]rot[_-]?13['\"]\s*\)|str_rot13\(\s*(?P<b>{_STR})\s*\))",
    re.IGNORECASE,
)


def rot13(text: str) -> str:
    """`codecs.decode('…','rot13')` and `str_rot13('…')`."""
    return _ROT13.sub(
        lambda m: quoted(decoders.rot13((m.group("a") or m.group("b"))[1:-1]), doubled=False, like='"'), text
    )


_URL_RUN = re.compile(r"(?:%[0-9a-fA-F]{2}){3,}+(?:[\w./:?=&+-]{0,3}%[0-9a-fA-F]{2})*+")
_HTML_RUN = re.compile(r"(?:&#(?:x[0-9a-fA-F]{1,6}|\d{1,7});){3,}+(?:[^&<>]{0,3}&#(?:x[0-9a-fA-F]{1,6}|\d{1,7});)*+")
_UNICODE_RUN = re.compile(r"(?:(?:\\u|%u)[0-9a-fA-F]{4}){3,}+(?:[\w ./:-]{0,3}(?:\\u|%u)[0-9a-fA-F]{4})*+")
_UNICODE = re.compile(r"(?:\\u|%u)([0-9a-fA-F]{4})")


def url(text: str) -> str:
    """Runs of `%68`; a few in a URL are as common as water, so three without a gap are asked for."""
    return _URL_RUN.sub(_unquoted, text)


def _unquoted(found: re.Match[str]) -> str:
    data = re.sub(
        rb"%([0-9a-fA-F]{2})", lambda m: bytes([int(m.group(1), 16)]), found.group().encode("utf-8", "replace")
    )
    try:
        return _good(data.decode("utf-8"), found.group())
    except UnicodeDecodeError:
        return found.group()


def html(text: str) -> str:
    return _HTML_RUN.sub(lambda m: _good(_html.unescape(m.group()), m.group()), text)


def unicode(text: str) -> str:
    return _UNICODE_RUN.sub(
        lambda m: _good(_UNICODE.sub(lambda n: _char(int(n.group(1), 16), n.group()), m.group()), m.group()), text
    )


def _good(decoded: str, written: str) -> str:
    """What was decoded, if a text could say it."""
    return decoded if decoded and all(c.isprintable() or c in "\t\r\n" for c in decoded) else written
