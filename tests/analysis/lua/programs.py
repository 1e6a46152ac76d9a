"""Lua programs made up at random from a seed: every construct of the language, valid in 5.1 to 5.4 and LuaJIT."""

from __future__ import annotations

import random
from collections.abc import Sequence
from functools import lru_cache

NAMES = ("a", "b", "value", "list", "os", "string", "self")


@lru_cache(maxsize=1_000)
def program(seed: int) -> str:
    rng = random.Random(seed)
    return "\n".join(_statement(rng, 3) for _ in range(3 + int(rng.random() * 11))) + "\n"


def _one(rng: random.Random, among: Sequence[str]) -> str:
    return among[int(rng.random() * len(among))]  # `choice` takes four times as long, and this is most of the work


def _name(rng: random.Random) -> str:
    return _one(rng, NAMES)


def _statement(rng: random.Random, depth: int) -> str:
    kind = int(rng.random() * (11 if depth else 4))
    if kind == 0:
        return f"local {_name(rng)}, {_name(rng)} = {_expression(rng, depth)}, {_expression(rng, depth)}"
    if kind == 1:
        return f"{_name(rng)}.{_name(rng)}[ {_expression(rng, 1)} ] = {_expression(rng, depth)}"
    if kind == 2:
        return (
            f"{_name(rng)}({_expression(rng, depth)}, ...)"
            if depth == 3
            else f"{_name(rng)}:{_name(rng)}({_expression(rng, 1)})"
        )
    if kind == 3:
        return f"{_name(rng)} = {_expression(rng, depth)}"
    body = "\n".join(_statement(rng, depth - 1) for _ in range(1 + int(rng.random() * 3)))
    other = _statement(rng, depth - 1)
    test = _expression(rng, depth - 1)
    return {
        4: f"if {test} then\n{body}\nelseif {_expression(rng, 1)} then\n{other}\nelse\n{body}\nend",
        5: f"for i = {int(rng.random() * 9)}, {_expression(rng, 1)}, {_one(rng, ('1', '-2', 'b'))} do\n{body}\nend",
        6: f"for k, v in pairs({_name(rng)}) do\n{body}\nif k then break end\nend",
        7: f"while {test} do\n{body}\nend",
        8: f"repeat\n{body}\nuntil {test}",
        9: f"local function f{int(rng.random() * 9)}(a, ...)\n{body}\nreturn {_expression(rng, 1)}, a\nend",
        10: f"function value.{_name(rng)}:m(x)\n{body.replace('...', 'x')}\nreturn self\nend",
    }[kind]


def _expression(rng: random.Random, depth: int) -> str:
    kind = int(rng.random() * (12 if depth else 5))
    if kind < 5:
        numbers = ("0", "1", "-7", "3.5", "1e9", "255", "65536", "2147483648", "0x7f", "1e308", "-0.25", "131072")
        return (
            _name(rng),
            _one(rng, numbers),
            _text(rng),
            _one(rng, ("nil", "true", "false")),
            f"{_name(rng)}.{_name(rng)}",
        )[kind]
    a, b = _expression(rng, depth - 1), _expression(rng, depth - 1)
    return {
        5: f"({a} {_one(rng, ('+', '-', '*', '/', '%', '^', '..'))} {b})",
        6: f"({a} {_one(rng, ('<', '<=', '>', '>=', '==', '~='))} {b})",
        7: f"({a} {_one(rng, ('and', 'or'))} {b})",
        8: f"{_one(rng, ('not ', '-', '#'))}{_name(rng)}",
        9: f"{{{a}, {b}; x = {a}, [{int(rng.random() * 99)}] = {b}}}",
        10: f"{_name(rng)}({a})[{int(rng.random() * 300)}]",
        11: f"function(p, q) local u = {_name(rng)}; return u, p, {b if '...' not in b else 'q'} end",
    }[kind]


def _text(rng: random.Random) -> str:
    return _one(
        rng,
        (
            '"plain"',
            "'with \"quotes\"'",
            '"tab\\t\\000zero\\255"',
            "[[long\ntext]]",
            '""',
            f'"{"x" * int(rng.random() * 300)}"',
        ),
    )
