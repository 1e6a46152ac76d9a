"""Numbers and texts as Lua turns them into each other, and its pure functions on numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from perilune.analysis.lua.lexer import number_value
from perilune.analysis.lua.values import Value, number_text

Results = list[Value] | None
Pure = Callable[[Sequence[Any]], Results]


def text_of(value: Value) -> str | None:
    """A string, or a number as Lua turns it into one."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return number_text(value)


def integer_of(value: Value) -> int | None:
    number = number_of(value)
    if isinstance(number, int):
        return number
    return int(number) if number is not None and number.is_integer() else None


def number_of(value: Value) -> int | float | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return value
    if isinstance(value, str) and len(value) < 64:
        stripped = value.strip()
        negative = stripped.startswith("-")
        found = number_value(stripped[negative:]) if stripped[negative:] else None
        return -found if negative and found is not None else found
    return None


def bits_of(function: Callable[[int, int], int], width: int, start: int | None = None) -> Pure:
    mask = (1 << width) - 1

    def pure(a: Sequence[Any]) -> Results:
        numbers = [integer_of(one) for one in a]
        if not numbers or any(one is None for one in numbers):
            return None
        value = numbers[0] & mask  # type: ignore[operator]
        for one in numbers[1:]:
            value = function(value, one & mask) & mask  # type: ignore[operator]
        return [value]

    return pure


def shift_of(sign: int, *, arithmetic: bool = False, signed: bool = False) -> Pure:
    def pure(a: Sequence[Any]) -> Results:
        value, by = integer_of(a[0]), integer_of(a[1])
        if value is None or by is None:
            return None
        by = (by & 31 if signed else by) * sign
        value &= 0xFFFFFFFF
        if arithmetic and value >> 31:
            value -= 1 << 32
        if abs(by) > 31:
            return [0]
        return [(value << by if by >= 0 else value >> -by) & 0xFFFFFFFF]

    return pure


def bnot_of(a: Sequence[Any]) -> Results:
    value = integer_of(a[0])
    return None if value is None else [~value & 0xFFFFFFFF]


def signed_of(pure: Pure) -> Pure:
    """LuaJIT's `bit` gives signed numbers."""

    def wrapped(a: Sequence[Any]) -> Results:
        found = pure(a)
        if not found or not isinstance(found[0], int):
            return found
        return [found[0] - (1 << 32) if found[0] >> 31 else found[0]]

    return wrapped


def math_of(function: Callable[..., Any]) -> Pure:
    def pure(a: Sequence[Any]) -> Results:
        numbers = [number_of(one) for one in a]
        if not numbers or any(one is None for one in numbers):
            return None
        try:
            value = function(*numbers)
        except (ValueError, OverflowError, ZeroDivisionError, TypeError):
            return None
        return [value]

    return pure
