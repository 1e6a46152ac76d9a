"""Lua's operators on known values; UNKNOWN where an operand is not known or Lua would raise an error."""

from __future__ import annotations

import math
from collections.abc import Callable

from perilune.analysis.lua.library import MOST
from perilune.analysis.lua.numeric import integer_of, number_of, text_of
from perilune.analysis.lua.values import UNKNOWN, LuaTable, Tainted, Value, is_constant, is_unknown, tags_of


def binary(operator: str, left: Value, right: Value) -> Value:
    """One arithmetic, bitwise, comparing or concatenating operator. `and` and `or` are the caller's."""
    if operator == "..":
        return concatenated([left, right])
    if operator in ("==", "~="):
        return _equal(operator, left, right)
    if is_unknown(left) or is_unknown(right):
        return tainted(left, right)
    if operator in ("<", "<=", ">", ">="):
        return _ordered(operator, left, right)
    a, b = number_of(left), number_of(right)
    if a is None or b is None:
        return tainted(left, right)
    try:
        return _ARITHMETIC[operator](a, b)
    except (KeyError, ZeroDivisionError, OverflowError, ValueError, TypeError):
        return UNKNOWN


def tainted(*values: Value) -> Value:
    """Unknown, with what the operands come from."""
    tags = frozenset().union(*(tags_of(value) for value in values))
    return Tainted(tags) if tags else UNKNOWN


def concatenated(values: list[Value]) -> Value:
    """`a .. b .. c` at once: a chain of 100,000 parts must not copy 100,000 times."""
    texts = []
    for value in values:
        text = text_of(value)
        if text is None:
            return tainted(*values)
        texts.append(text)
    found = "".join(texts)
    return found if len(found) <= MOST else UNKNOWN


def unary(operator: str, value: Value) -> Value:
    if operator == "not":
        return UNKNOWN if is_unknown(value) else value is None or value is False
    if operator == "#":
        if isinstance(value, str):
            return len(value)
        return value.length if isinstance(value, LuaTable) and not value.open else UNKNOWN
    number = number_of(value) if is_constant(value) else None
    if number is None:
        return UNKNOWN
    if operator == "-":
        return -number
    whole = integer_of(number)
    return _wrapped(~whole) if whole is not None else UNKNOWN


def _equal(operator: str, left: Value, right: Value) -> Value:
    if not (is_constant(left) and is_constant(right)):
        return UNKNOWN if is_unknown(left) or is_unknown(right) or left is not right else operator == "=="
    same = left == right and isinstance(left, bool) == isinstance(right, bool)
    return same == (operator == "==")


def _ordered(operator: str, left: Value, right: Value) -> Value:
    if isinstance(left, bool) or isinstance(right, bool):
        return UNKNOWN
    if operator in (">", ">="):
        left, right, operator = right, left, {">": "<", ">=": "<="}[operator]
    if isinstance(left, str) and isinstance(right, str):
        return left < right if operator == "<" else left <= right
    if isinstance(left, int | float) and isinstance(right, int | float):
        return left < right if operator == "<" else left <= right
    return UNKNOWN


def _wrapped(value: int) -> int:
    value &= (1 << 64) - 1
    return value - (1 << 64) if value >> 63 else value


def _integers(function: Callable[[int, int], int]) -> Callable[[int | float, int | float], int]:
    def both(a: int | float, b: int | float) -> int:
        x, y = integer_of(a), integer_of(b)
        if x is None or y is None:
            raise ValueError
        return _wrapped(function(x, y))

    return both


def _shifted(a: int, by: int) -> int:
    if abs(by) > 63:
        return 0
    return a << by if by >= 0 else (a & (1 << 64) - 1) >> -by


def _whole(
    function: Callable[[int | float, int | float], int | float],
) -> Callable[[int | float, int | float], int | float]:
    def both(a: int | float, b: int | float) -> int | float:
        found = function(a, b)
        return _wrapped(found) if isinstance(found, int) else found

    return both


def _power(a: int | float, b: int | float) -> float:
    return math.pow(a, b)


def _divided(a: int | float, b: int | float) -> float:
    found = a / b
    return int(found) if found.is_integer() and abs(found) < 2**53 else found


_ARITHMETIC: dict[str, Callable[[int | float, int | float], int | float]] = {
    "+": _whole(lambda a, b: a + b), "-": _whole(lambda a, b: a - b), "*": _whole(lambda a, b: a * b),
    "/": _divided, "%": _whole(lambda a, b: a % b), "//": _whole(lambda a, b: a // b), "^": _power,
    "&": _integers(int.__and__), "|": _integers(int.__or__), "~": _integers(int.__xor__),
    "<<": _integers(_shifted), ">>": _integers(lambda a, b: _shifted(a, -b)),
}  # fmt: skip
