"""The pure functions of Lua's library, on known values. Nothing here reaches anything outside the arguments.

Each takes its arguments and gives its results, or None where it cannot be evaluated: wrong types, unknown values, or
more than `MOST` characters.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from typing import Any

from perilune.analysis.lua import patterns
from perilune.analysis.lua.lexer import utf8
from perilune.analysis.lua.numeric import (
    Pure,
    Results,
    bits_of,
    bnot_of,
    integer_of,
    math_of,
    number_of,
    shift_of,
    signed_of,
    text_of,
)
from perilune.analysis.lua.values import UNKNOWN, LuaTable, Ref, Value

MOST = 2_000_000


def _char(a: Sequence[Any]) -> Results:
    codes = [integer_of(one) for one in a]
    if not all(code is not None and 0 <= code < 256 for code in codes):
        return None
    return ["".join(map(chr, codes))]  # type: ignore[arg-type]


def _byte(a: Sequence[Any]) -> Results:
    text = text_of(a[0])
    span = _range(a, text, 1, None)
    return None if text is None or span is None else [ord(c) for c in text[slice(*span)][:8000]]


def _range(a: Sequence[Any], text: str | None, first: int, last: int | None) -> tuple[int, int] | None:
    """Lua's `i, j` from the second argument on as a slice."""
    i = integer_of(a[1]) if len(a) > 1 and a[1] is not None else first
    j = integer_of(a[2]) if len(a) > 2 and a[2] is not None else (i if last is None else last)
    if text is None or i is None or j is None:
        return None
    size = len(text)
    i = max(size + i + 1, 1) if i < 0 else max(i, 1)
    j = size + j + 1 if j < 0 else min(j, size)
    return (i - 1, max(j, i - 1))


def _sub(a: Sequence[Any]) -> Results:
    text = text_of(a[0])
    span = _range(a, text, 1, -1)
    return None if text is None or span is None else [text[slice(*span)]]


def _rep(a: Sequence[Any]) -> Results:
    text, count = text_of(a[0]), integer_of(a[1])
    between = text_of(a[2]) if len(a) > 2 else ""
    if text is None or count is None or between is None or (len(text) + len(between)) * count > MOST:
        return None
    return [between.join([text] * count)] if between else [text * max(0, count)]


def _of_text(function: Callable[[str], Value]) -> Pure:
    def pure(a: Sequence[Any]) -> Results:
        text = text_of(a[0])
        return None if text is None else [function(text)]

    return pure


def _format(a: Sequence[Any]) -> Results:
    text = text_of(a[0])
    if text is None or len(text) > 20_000:
        return None
    out, at, arguments = [], 0, iter(a[1:])
    for match in _DIRECTIVE.finditer(text):
        out.append(text[at : match.start()])
        at = match.end()
        kind = match.group("kind")
        if kind == "%":
            out.append("%")
            continue
        value = next(arguments, UNKNOWN)
        one = _formatted(match.group()[:-1], kind, value)
        if one is None:
            return None
        out.append(one)
    return ["".join(out) + text[at:]]


def _formatted(head: str, kind: str, value: Value) -> str | None:
    if kind in "sq":
        text = text_of(value) if not isinstance(value, bool) else str(value).lower()
        return None if text is None else f'"{text}"' if kind == "q" else (head + "s") % text
    if kind == "c":
        code = integer_of(value)
        return None if code is None else chr(code & 255)
    if kind in "dixXuo":
        number: int | float | None = integer_of(value)
        if number is not None and number < 0 and kind in "xXou":
            number += 1 << 64
    else:
        number = number_of(value)
    if number is None:
        return None
    try:
        return (head + ("d" if kind in "iu" else kind)) % number
    except (ValueError, OverflowError, TypeError):
        return None


_DIRECTIVE = re.compile(r"%[-+ #0]{0,5}\d{0,2}(?:\.\d{0,2})?(?P<kind>[%a-zA-Z])")


def _reverse(text: str) -> Value:
    return text[::-1]


def _plain_find(a: Sequence[Any], text: str, sought: str, start: int) -> Results:
    at = text.find(sought, start)
    return [at + 1, at + len(sought)] if at >= 0 else [None]


def _find(a: Sequence[Any]) -> Results:
    found = _searched(a)
    if found is None:
        return None
    text, sought, start = found
    if (len(a) > 3 and a[3]) or not set(sought) & set("^$*+?.([%-"):
        return _plain_find(a, text, sought, start)
    pattern = patterns.compiled(sought)
    if pattern is None:
        return None
    match = pattern.first(text, start)
    if match is None:
        return [None]
    captures = [] if "(" not in sought else list(match.captures)
    return [match.start + 1, match.end, *captures]


def _searched(a: Sequence[Any]) -> tuple[str, str, int] | None:
    text, sought = text_of(a[0]), text_of(a[1])
    start = integer_of(a[2]) if len(a) > 2 and a[2] is not None else 1
    if text is None or sought is None or start is None:
        return None
    return text, sought, max(0, start - 1 if start > 0 else len(text) + start) if start else 0


def _match(a: Sequence[Any]) -> Results:
    found = _searched(a)
    pattern = patterns.compiled(found[1]) if found else None
    if found is None or pattern is None:
        return None
    match = pattern.first(found[0], found[2])
    return [None] if match is None else list(match.captures)


Replace = Callable[[tuple[str | int, ...]], str | None]


def gsub(a: Sequence[Any], call: Callable[[Any, Sequence[Value]], Value] | None = None) -> Results:
    """`string.gsub`; `call` calls a function of the text, where the caller can."""
    text, sought = text_of(a[0]), text_of(a[1])
    pattern = patterns.compiled(sought) if sought is not None else None
    most = integer_of(a[3]) if len(a) > 3 and a[3] is not None else MOST
    if text is None or pattern is None or most is None:
        return None
    out: list[str] = []
    at = count = size = 0
    for match in pattern.all(text):
        if count >= most:
            break
        new = _replacement(a[2], match.captures, text[match.start : match.end], call)
        if new is None:
            return None
        out += (text[at : match.start], new)
        size += len(new)
        if size > MOST:
            return None
        at = match.end
        count += 1
    return ["".join(out) + text[at:], count]


def _replacement(
    by: Any, captures: tuple[str | int, ...], whole: str, call: Callable[[Any, Sequence[Value]], Value] | None
) -> str | None:
    if isinstance(by, str | int | float) and not isinstance(by, bool):
        return _filled(text_of(by) or "", captures, whole)
    if isinstance(by, LuaTable):
        value = by.get(captures[0])
    elif isinstance(by, Ref):
        pure = PURE.get(by.path)
        results = pure(captures) if pure else None
        value = results[0] if results else UNKNOWN
    elif call is not None:
        value = call(by, captures)
    else:
        return None
    if value is None or value is False:
        return whole
    return text_of(value)


def _filled(by: str, captures: tuple[str | int, ...], whole: str) -> str | None:
    if "%" not in by:
        return by
    out: list[str] = []
    parts = iter(range(len(by)))
    for n in parts:
        if by[n] != "%" or n + 1 >= len(by):
            out.append(by[n])
            continue
        sign = by[next(parts)]
        if sign == "0":
            out.append(whole)
        elif sign.isdigit():
            if int(sign) > len(captures):
                return None
            out.append(str(captures[int(sign) - 1]))
        else:
            out.append(sign)
    return "".join(out)


def _concat(a: Sequence[Any]) -> Results:
    table, between = a[0], text_of(a[1]) if len(a) > 1 and a[1] is not None else ""
    if not isinstance(table, LuaTable) or between is None:
        return None
    first = integer_of(a[2]) if len(a) > 2 and a[2] is not None else 1
    last = integer_of(a[3]) if len(a) > 3 and a[3] is not None else table.length
    if first is None or last is None or last - first > MOST or (table.open and len(a) < 4):
        return None
    texts = [text_of(table.get(n)) for n in range(first, last + 1)]
    if not all(text is not None for text in texts):
        return None
    found = between.join(texts)  # type: ignore[arg-type]
    return [found] if len(found) <= MOST else None


def _unpack(a: Sequence[Any]) -> Results:
    if not isinstance(a[0], LuaTable) or a[0].open:
        return None
    first = integer_of(a[1]) if len(a) > 1 and a[1] is not None else 1
    last = integer_of(a[2]) if len(a) > 2 and a[2] is not None else a[0].length
    if first is None or last is None or last - first > 300_000:
        return None
    return [a[0].get(n) for n in range(first, last + 1)]


def _tonumber(a: Sequence[Any]) -> Results:
    if len(a) > 1 and a[1] is not None:
        text, base = text_of(a[0]), integer_of(a[1])
        try:
            return [int(text.strip(), base)] if text and len(text) < 200 and base and 2 <= base <= 36 else [None]
        except ValueError:
            return [None]
    return [number_of(a[0])]


def _tostring(a: Sequence[Any]) -> Results:
    value = a[0]
    if isinstance(value, bool):
        return [str(value).lower()]
    if value is None:
        return ["nil"]
    text = text_of(value)
    return None if text is None else [text]


def _type(a: Sequence[Any]) -> Results:
    value = a[0]
    for name, kind in (("boolean", bool), ("string", str), ("number", int | float), ("table", LuaTable)):
        if isinstance(value, kind):
            return [name]
    return ["nil"] if value is None else None


def _select(a: Sequence[Any]) -> Results:
    if a[0] == "#":
        return [len(a) - 1]
    at = integer_of(a[0])
    if at is None or at == 0:
        return None
    return list(a[at:]) if at > 0 else list(a[len(a) + at :])


def _utf8_char(a: Sequence[Any]) -> Results:
    codes = [integer_of(one) for one in a]
    if any(code is None or not 0 <= code < 1 << 31 for code in codes):
        return None
    return ["".join(utf8(code) for code in codes if code is not None)]


def _strings() -> dict[str, Pure]:
    return {
        "char": _char, "byte": _byte, "sub": _sub, "rep": _rep, "reverse": _of_text(_reverse), "lower": _of_text(str.lower),
        "upper": _of_text(str.upper), "len": _of_text(len), "format": _format, "find": _find, "match": _match, "gsub": gsub,
    }  # fmt: skip


def _all() -> dict[str, Pure]:
    found: dict[str, Pure] = {f"string.{name}": pure for name, pure in _strings().items()}
    found |= {
        "table.concat": _concat, "table.unpack": _unpack, "unpack": _unpack, "tonumber": _tonumber, "tostring": _tostring,
        "type": _type, "select": _select, "utf8.char": _utf8_char, "math.floor": math_of(math.floor), "math.ceil": math_of(math.ceil),
        "math.abs": math_of(abs), "math.fmod": math_of(math.fmod), "math.max": math_of(max), "math.min": math_of(min),
        "math.pow": math_of(math.pow), "math.sqrt": math_of(math.sqrt), "math.ldexp": math_of(lambda m, e: math.ldexp(m, int(e))),
    }  # fmt: skip
    xor, conj, disj = (bits_of(f, 32) for f in (int.__xor__, int.__and__, int.__or__))
    for library, wrap in (("bit32", lambda pure: pure), ("bit", signed_of)):
        found |= {
            f"{library}.bxor": wrap(xor), f"{library}.band": wrap(conj), f"{library}.bor": wrap(disj), f"{library}.bnot": wrap(bnot_of),
            f"{library}.lshift": wrap(shift_of(1)), f"{library}.rshift": wrap(shift_of(-1)),
            f"{library}.arshift": wrap(shift_of(-1, arithmetic=True)), f"{library}.tobit": wrap(conj),
        }  # fmt: skip
    return found


PURE: dict[str, Pure] = _all()
STRING_METHODS: dict[str, Pure] = _strings()


def call_pure(name: str, arguments: Sequence[Value]) -> Results:
    """What a pure function gives for known arguments, or None."""
    pure = PURE.get(name)
    if pure is None or any(one is UNKNOWN for one in arguments):
        return None
    try:
        return pure(arguments)
    except (IndexError, RecursionError):
        return None
