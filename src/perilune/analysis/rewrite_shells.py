"""Rewritings of POSIX shells: what a shell takes off before it runs the rest."""

# ruff: noqa: E501 - a pattern or a table row broken in two is harder to read than a long one

from __future__ import annotations

import fnmatch
import re
from bisect import bisect_right
from collections.abc import Callable
from functools import lru_cache

from perilune.analysis import decoders, pipes, posix
from perilune.analysis.edits import Edit, apply

_ANSI = re.compile(r"\$'((?:[^'\\]|\\.)*+)'", re.DOTALL)
_SAFE = re.compile(r"[\w./:=@%+,-]+")


def ansi_c(text: str) -> str:
    r"""`$'\x69\x64'` as the word that it is."""
    return _ANSI.sub(lambda m: _word(posix.unescape(m.group(1))), text)


def _word(value: str) -> str:
    """A text as one shell word."""
    if _SAFE.fullmatch(value):
        return value
    return "'" + value.replace("'", "'\\''") + "'"


_IFS = re.compile(r"\$\{IFS[^}]{0,20}\}(?:\$\d)?|\$IFS(?:\$\d|\b)")


def ifs(text: str) -> str:
    """`cat${IFS}/etc/passwd`: a blank without a blank."""
    if re.search(r"(?:^|[\s;])IFS=", text):
        return text  # a script that sets it means it
    return _IFS.sub(" ", text)


_EMPTY = re.compile(r"(?<=[A-Za-z/])(?:\$[@*1-9](?![\w])|\$\{[@*1-9]\}|\$[@*1-9](?=[a-z])|\$\(\)|``)(?=[A-Za-z/])")


def empty_expansion(text: str) -> str:
    """`c$@at` and `w``get`: expansions that are empty, inside a word."""
    return _EMPTY.sub("", text)


_ASSIGN = re.compile(r"(?:^|(?<=[\s;&|({]))(?:export\s+|local\s+|readonly\s+|declare\s+)?(?P<name>[A-Za-z_]\w{0,40})=(?P<value>'[^']*'|\"[^\"$`\\]*\"|[\w./:@%+,~?*=-]*)(?=[\s;&|)}]|$)", re.MULTILINE)  # fmt: skip
_POSIX_KNOWN = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "PWD": "/",
    "SHELL": "/bin/bash",
    "BASH": "/bin/bash",
    "LS_COLORS": "rs=0:di=01;34:ln=01;36",
}
_USED = re.compile(r"\$(?:(?P<n>[A-Za-z_]\w{0,40})|\{(?P<b>!?[A-Za-z_]\w{0,40})(?P<how>:\s?-?\d+(?::-?\d+)?|//?[^}/]{1,40}(?:/[^}]{0,40})?|%%?[^}]{1,40}|##?[^}]{1,40}|@[A-Z]|,,|\^\^)?\})")  # fmt: skip


def posix_slices(text: str) -> str:
    """`${a:1:2}` and `${PATH:0:1}`."""
    return posix_variables(text, sliced=True)


def posix_variables(text: str, *, sliced: bool = False) -> str:
    """`a=cu;b=rl;$a$b` and `${a//x/}`: set once to a literal, or the same on every machine."""
    values: dict[str, tuple[str, int]] = {}
    count: dict[str, int] = {}
    for found in _ASSIGN.finditer(text):
        name = found.group("name")
        count[name] = count.get(name, 0) + 1
        value = found.group("value")
        values[name] = (value[1:-1] if value[:1] in ("'", '"') else value, found.end())
    usable = {n: v for n, v in values.items() if count[n] == 1 and len(v[0]) < 50_000}
    single = _single_quoted(text)
    edits: list[Edit] = []
    grown = 0
    for found in _USED.finditer(text):
        name, how = found.group("n") or found.group("b"), found.group("how") or ""
        if sliced != (how[:1] == ":"):
            continue
        value, after = usable.get(name, ("", -1))
        if after < 0 and how and name in _POSIX_KNOWN and name not in count:
            value, after = _POSIX_KNOWN[name], 0
        if after < 0 or found.start() < after or any(a < found.start() < b for a, b in single):
            continue
        changed = _expansion(value, how)
        if changed is None:
            continue
        grown += len(changed)
        if grown > 500_000:
            break
        edits.append(Edit(found.start(), found.end(), changed))
    return apply(text, edits)


def _single_quoted(text: str) -> list[tuple[int, int]]:
    """Where `$` means nothing. Bounded, because it is looked through for every use."""
    found = [m.span() for m in re.finditer(r"'[^']*'|\"(?:[^\"\\]|\\.)*+\"", text[:50_000]) if m.group()[0] == "'"]
    return found[:50]


def _expansion(value: str, how: str) -> str | None:
    if not how:
        return value
    if how[0] == ":" and (found := re.fullmatch(r":\s?(-?\d+)(?::(-?\d+))?", how)):
        first = int(found.group(1))
        first = max(0, len(value) + first) if first < 0 else first
        if found.group(2) is None:
            return value[first:]
        length = int(found.group(2))
        return value[first : first + length] if length >= 0 else value[first:length]
    if how[0] == "/":
        old, _, new = how.lstrip("/").partition("/")
        if re.search(r"[*?\[]", old) or len(value) * max(1, len(new)) > 500_000:
            return None
        return value.replace(old, new) if how.startswith("//") else value.replace(old, new, 1)
    if how[0] in "%#":
        cut = how.lstrip("%#")
        if re.search(r"[*?\[]", cut):
            return None
        return value.removesuffix(cut) if how[0] == "%" else value.removeprefix(cut)
    return value.lower() if how == ",," else value.upper() if how == "^^" else None


_SUBSTITUTION = re.compile(r"\$\((?!\()(?P<a>[^()`]{3,20000})\)|`(?P<b>[^`]{3,20000})`")


def substitution(text: str) -> str:
    r"""`$(printf '\x69\x64')` and `$(echo aWQ= | base64 -d)`, where all of it is literal."""

    def change(found: re.Match[str]) -> str:
        inner = found.group("a") or found.group("b")
        value = _output(inner)
        return found.group() if value is None else value

    return _SUBSTITUTION.sub(change, text)


def _output(inner: str) -> str | None:
    if not re.search(r"printf|\becho\b|<<<|\bcat\b", inner):
        return None
    segments = posix.split(inner)
    evaluated = pipes.evaluate(segments)
    if len(evaluated) == 1 and not evaluated[0].language:
        data = evaluated[0].data
    elif len(segments) == 1 and not segments[0].subs and not any("$" in w.text for w in segments[0].words):
        plain = pipes.literal_output(segments[0])
        if plain is None:
            return None
        data = plain
    else:
        return None
    read = decoders.read(data.rstrip(b"\n"))
    return read.text if read else None


_QUOTED = re.compile(r"\"(?:[^\"\\]|\\.)*+\"|'[^']*'")
_EMPTY_QUOTES = re.compile(r"(?<=[A-Za-z/.])(?:''|\"\")(?=[A-Za-z/.])")
_PIECES = re.compile(
    r"(?<![\w'\"=$\\-])(?=[\w'\"/.]{3,80})(?:[\w/.]*(?:'[\w/.]{1,3}'|\"[\w/.]{1,3}\"))+[\w/.]*(?=[\s;|&)]|$)"
)
_ESCAPED_LETTER = re.compile(r"(?<![\\\w'\"\[{$(^.|*+?-])(?=(?:\w*\\\w){2})((?:\w*\\[A-Za-z])+\w*)(?=[\s;|&)]|$)|(?<=[a-z])\\(?=[a-z]+(?:[\s;|&]|$))(?<=(?<![\w\\'\"/])\w\\)")  # fmt: skip


def posix_quotes(text: str) -> str:
    r"""Quotes and backslashes inside a word: `c''url`, `w'g'et`, `c\at`."""
    # Inside a quoted text with blanks the quotes are another language's.
    sentences = [m.span() for m in _QUOTED.finditer(text) if any(c in " \t(" for c in m.group())]

    def outside(change: Callable[[re.Match[str]], str]) -> Callable[[re.Match[str]], str]:
        starts = [start for start, _ in sentences]

        def changed(found: re.Match[str]) -> str:
            at = bisect_right(starts, found.start()) - 1
            return found.group() if at >= 0 and found.start() < sentences[at][1] else change(found)

        return changed

    edits = [
        Edit(m.start(), m.end(), outside(change)(m))
        for pattern, change in (
            (_EMPTY_QUOTES, lambda m: ""),
            (_PIECES, _without_quotes),
            (_ESCAPED_LETTER, lambda m: m.group().replace("\\", "")),
        )
        for m in pattern.finditer(text)
    ]
    return apply(text, [edit for edit in edits if edit.text != text[edit.start : edit.end]])


def _without_quotes(found: re.Match[str]) -> str:
    whole = found.group()
    plain = whole.replace("'", "").replace('"', "")
    # A single quoted word ('ab') is how people write; a word cut up by quotes is not.
    return plain if len(whole) - len(plain) >= 4 or whole[0] not in "'\"" or whole[-1] not in "'\"" else whole


_BRACE = re.compile(r"(?:^|(?<=[;&|\n(`'\"]))(\s*)\{([\w./-]+(?:,[^\s{},]*)+)\}(?=\s*(?:[;&|\n)`'\"<>]|$))")


def brace(text: str) -> str:
    """`{cat,/etc/passwd}` where a command stands: blanks without blanks."""
    return _BRACE.sub(lambda m: m.group(1) + " ".join(m.group(2).split(",")), text)


# Programs and files that globs are written to reach: what is looked for with `/???/c?t`.
_TARGETS = """
/bin/cat /bin/bash /bin/sh /bin/ls /bin/nc /bin/ping /bin/chmod /bin/rm /bin/cp /bin/dash /bin/zsh /usr/bin/id /usr/bin/nc
/usr/bin/curl /usr/bin/wget /usr/bin/python /usr/bin/python3 /usr/bin/perl /usr/bin/whoami /usr/bin/base64 /usr/bin/nc.traditional
/usr/bin/tail /usr/bin/head /usr/bin/socat /usr/bin/ncat /usr/bin/lua /usr/bin/find /usr/bin/env /usr/bin/sudo
/etc/passwd /etc/shadow /etc/hosts /etc/sudoers /etc/group /etc/crontab
""".split()
_GLOB = re.compile(r"(?<![\w./*?'\"\[-])/(?=[^\s;|&'\"]*[?\[])[\w?*\[\]!-]{2,10}/[\w./?*\[\]!-]{1,40}")


def glob(text: str) -> str:
    """`/???/c?t /???/p??s??`: paths that only one well-known file fits."""
    return _GLOB.sub(lambda m: _matched(m.group()), text)


@lru_cache(maxsize=256)
def _matched(pattern: str) -> str:
    fits = [target for target in _TARGETS if fnmatch.fnmatchcase(target, pattern)]
    return fits[0] if len(fits) == 1 else pattern
