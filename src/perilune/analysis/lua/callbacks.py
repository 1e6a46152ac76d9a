"""The functions of Lua's library that call back, change tables or iterate, for the evaluator."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from perilune.analysis.lua import patterns, tree
from perilune.analysis.lua.library import gsub
from perilune.analysis.lua.machine import Closure, Env, LuaError
from perilune.analysis.lua.numeric import integer_of, number_of, text_of
from perilune.analysis.lua.values import UNKNOWN, LuaTable, Ref, Value, is_unknown

if TYPE_CHECKING:
    from perilune.analysis.lua.compute import Compute as Evaluate

__all__ = ["SPECIAL", "iterate", "number_of"]

Results = list[Value] | None
Special = Callable[["Evaluate", list[Value], int, int], Results]


def iterate(machine: Evaluate, values: list[Value]) -> Iterator[list[Value]] | None:
    """The rounds of a generic `for`, or None where they are not known."""
    first, second, third = values
    if isinstance(first, _Iterator):
        return iter(first.rows)
    if isinstance(first, Ref) and first.path == "next" and isinstance(second, LuaTable) and not second.open:
        return iter([[_key(k), v] for k, v in list(second.items.items())])
    return _called(machine, first, second, third) if isinstance(first, Closure) else None


def _called(machine: Evaluate, function: Value, state: Value, control: Value) -> Iterator[list[Value]]:
    for _ in range(100_000):
        row = machine.apply(function, [state, control])
        if not row or row[0] is None or is_unknown(row[0]) or isinstance(row[0], Ref):
            return
        control = row[0]
        yield row


class _Iterator:
    """What pairs, ipairs and gmatch give."""

    def __init__(self, rows: list[list[Value]]) -> None:
        self.rows = rows


def _key(key: object) -> Value:
    return key[1] if isinstance(key, tuple) else key


def _pairs(machine: Evaluate, a: list[Value], start: int, end: int) -> Results:
    if not a or not isinstance(a[0], LuaTable) or a[0].open:
        return None
    return [_Iterator([[_key(k), v] for k, v in a[0].items.items()])]


def _ipairs(machine: Evaluate, a: list[Value], start: int, end: int) -> Results:
    if not a or not isinstance(a[0], LuaTable) or a[0].open:
        return None
    return [_Iterator([[n, v] for n, v in enumerate(a[0].array(), 1)])]


def _gmatch(machine: Evaluate, a: list[Value], start: int, end: int) -> Results:
    text, sought = (text_of(a[0]), text_of(a[1])) if len(a) > 1 else (None, None)
    pattern = patterns.compiled(sought) if sought is not None else None
    if text is None or pattern is None:
        return None
    rows: list[list[Value]] = []
    for match in pattern.all(text):
        machine.steps -= 1
        rows.append(list(match.captures))
        if len(rows) > 200_000:
            return None
    return [_Iterator(rows)]


def _gsub(machine: Evaluate, a: list[Value], start: int, end: int) -> Results:
    if len(a) < 3 or any(is_unknown(one) for one in a[:3]):
        return None

    def call(function: Value, captures: object) -> Value:
        results = machine.apply(function, list(captures))  # type: ignore[call-overload]
        return results[0] if results else None

    results = gsub(a, call)
    if results is not None:
        machine._keep(results, start, end)
    return results


def _insert(machine: Evaluate, a: list[Value], start: int, end: int) -> Results:
    if len(a) < 2 or not isinstance(a[0], LuaTable):
        return []
    table = a[0]
    if len(a) == 2:
        table.set(table.length + 1, a[1])
        return []
    at = integer_of(a[1])
    if at is None or not 1 <= at <= table.length + 1:
        table.open = True
        return []
    machine.steps -= table.length - at + 1
    for n in range(table.length, at - 1, -1):
        table.set(n + 1, table.get(n))
    table.set(at, a[2])
    return []


def _remove(machine: Evaluate, a: list[Value], start: int, end: int) -> Results:
    if not a or not isinstance(a[0], LuaTable):
        return None
    table = a[0]
    at = integer_of(a[1]) if len(a) > 1 else table.length
    if at is None or not 1 <= at <= table.length:
        return [None]
    found = table.get(at)
    last = table.length
    machine.steps -= last - at
    for n in range(at, last):
        table.set(n, table.get(n + 1))
    table.set(last, None)
    return [found]


def _pcall(machine: Evaluate, a: list[Value], start: int, end: int) -> Results:
    if not a:
        return [False]
    try:
        return [True, *machine.apply(a[0], a[1:], start, end)]
    except LuaError:
        return [False, UNKNOWN]


def _xpcall(machine: Evaluate, a: list[Value], start: int, end: int) -> Results:
    return _pcall(machine, a[:1] + a[2:], start, end)


def _error(machine: Evaluate, a: list[Value], start: int, end: int) -> Results:
    raise LuaError


def _assert(machine: Evaluate, a: list[Value], start: int, end: int) -> Results:
    return a


def _loads(name: str) -> Special:
    return lambda machine, a, start, end: _load(machine, name, a, start, end)


def _load(machine: Evaluate, name: str, a: list[Value], start: int, end: int) -> Results:
    """Constant code is kept as a chunk; its functions are evaluated for their values, its calls told elsewhere."""
    from perilune.analysis.lua.sources import read

    code = a[0] if a else None
    if not isinstance(code, str):
        return None
    machine.steps -= len(code) // 4
    if not machine.quiet:
        machine.record(Ref(name), a, start, end)
    if code.startswith("\x1b") or len(code) > 400_000:
        return [UNKNOWN]
    _, parsed = read(code)
    if parsed.faults:
        return [None, "syntax error"]
    return [Closure(tree.Function([], True, parsed.body, 0, 0), Env({}), True)]


def _setmetatable(machine: Evaluate, a: list[Value], start: int, end: int) -> Results:
    if a and isinstance(a[0], LuaTable):
        a[0].meta = a[1] if len(a) > 1 and isinstance(a[1], LuaTable) else None
    return a[:1]


def _getmetatable(machine: Evaluate, a: list[Value], start: int, end: int) -> Results:
    if a and isinstance(a[0], LuaTable):
        return [a[0].meta]
    table = LuaTable()
    table.set("__index", Ref("string"))
    return [table] if a and isinstance(a[0], str) else [UNKNOWN]


def _rawget(machine: Evaluate, a: list[Value], start: int, end: int) -> Results:
    if len(a) < 2:
        return None
    if isinstance(a[0], LuaTable):
        return [UNKNOWN if is_unknown(a[1]) else a[0].get(a[1])]
    return [machine.field(a[0], a[1])]


def _rawset(machine: Evaluate, a: list[Value], start: int, end: int) -> Results:
    if len(a) > 2 and isinstance(a[0], LuaTable) and not is_unknown(a[1]) and a[1] is not None:
        a[0].set(a[1], a[2])
    return a[:1]


def _next(machine: Evaluate, a: list[Value], start: int, end: int) -> Results:
    if not a or not isinstance(a[0], LuaTable) or a[0].open:
        return None
    keys = list(a[0].items)
    machine.steps -= len(keys)
    if len(a) < 2 or a[1] is None:
        return [_key(keys[0]), a[0].items[keys[0]]] if keys else [None]
    return None


def _wrap(machine: Evaluate, a: list[Value], start: int, end: int) -> Results:
    return a[:1]


def _type(machine: Evaluate, a: list[Value], start: int, end: int) -> Results:
    return ["function"] if a and isinstance(a[0], Closure) else None


def _pack(machine: Evaluate, a: list[Value], start: int, end: int) -> Results:
    table = LuaTable()
    for n, value in enumerate(a, 1):
        table.set(n, value)
    table.set("n", len(a))
    return [table]


def _globals(machine: Evaluate, a: list[Value], start: int, end: int) -> Results:
    return [Ref("_G")]


SPECIAL: dict[str, Special] = {
    "pairs": _pairs, "ipairs": _ipairs, "string.gmatch": _gmatch, "string.gsub": _gsub, "table.insert": _insert, "table.remove": _remove,
    "pcall": _pcall, "xpcall": _xpcall, "error": _error, "assert": _assert, "load": _loads("load"), "loadstring": _loads("loadstring"),
    "setmetatable": _setmetatable, "getmetatable": _getmetatable, "rawget": _rawget, "rawset": _rawset, "next": _next,
    "coroutine.wrap": _wrap, "type": _type, "table.pack": _pack, "getfenv": _globals, "setfenv": _wrap,
}  # fmt: skip
