"""Lua programs made up at random from a seed: every construct of the language, valid in 5.1 to 5.4 and LuaJIT."""

from __future__ import annotations

import random

NAMES = ("a", "b", "value", "list", "os", "string", "self")


def program(seed: int) -> str:
    rng = random.Random(seed)
    return "\n".join(_statement(rng, 3) for _ in range(rng.randrange(3, 14))) + "\n"


def _name(rng: random.Random) -> str:
    return rng.choice(NAMES)


def _statement(rng: random.Random, depth: int) -> str:
    kind = rng.randrange(11 if depth else 4)
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
    body = "\n".join(_statement(rng, depth - 1) for _ in range(rng.randrange(1, 4)))
    other = _statement(rng, depth - 1)
    test = _expression(rng, depth - 1)
    return {
        4: f"if {test} then\n{body}\nelseif {_expression(rng, 1)} then\n{other}\nelse\n{body}\nend",
        5: f"for i = {rng.randrange(9)}, {_expression(rng, 1)}, {rng.choice(('1', '-2', 'b'))} do\n{body}\nend",
        6: f"for k, v in pairs({_name(rng)}) do\n{body}\nif k then break end\nend",
        7: f"while {test} do\n{body}\nend",
        8: f"repeat\n{body}\nuntil {test}",
        9: f"local function f{rng.randrange(9)}(a, ...)\n{body}\nreturn {_expression(rng, 1)}, a\nend",
        10: f"function value.{_name(rng)}:m(x)\n{body.replace('...', 'x')}\nreturn self\nend",
    }[kind]


def _expression(rng: random.Random, depth: int) -> str:
    kind = rng.randrange(12 if depth else 5)
    if kind < 5:
        numbers = ("0", "1", "-7", "3.5", "1e9", "255", "65536", "2147483648", "0x7f", "1e308", "-0.25", "131072")
        return (
            _name(rng),
            rng.choice(numbers),
            _text(rng),
            rng.choice(("nil", "true", "false")),
            f"{_name(rng)}.{_name(rng)}",
        )[kind]
    a, b = _expression(rng, depth - 1), _expression(rng, depth - 1)
    return {
        5: f"({a} {rng.choice(('+', '-', '*', '/', '%', '^', '..'))} {b})",
        6: f"({a} {rng.choice(('<', '<=', '>', '>=', '==', '~='))} {b})",
        7: f"({a} {rng.choice(('and', 'or'))} {b})",
        8: f"{rng.choice(('not ', '-', '#'))}{_name(rng)}",
        9: f"{{{a}, {b}; x = {a}, [{rng.randrange(99)}] = {b}}}",
        10: f"{_name(rng)}({a})[{rng.randrange(300)}]",
        11: f"function(p, q) local u = {_name(rng)}; return u, p, {b if '...' not in b else 'q'} end",
    }[kind]


def _text(rng: random.Random) -> str:
    return rng.choice(
        (
            '"plain"',
            "'with \"quotes\"'",
            '"tab\\t\\000zero\\255"',
            "[[long\ntext]]",
            '""',
            f'"{"x" * rng.randrange(300)}"',
        )
    )
