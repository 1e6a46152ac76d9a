"""Dialects that no VM here reads run all the same: what differs is said otherwise, on the same lines."""

from __future__ import annotations

import pytest

from perilune.analysis.lua.run.rewrite import plain
from perilune.model.lua import Dialect, Outcome
from tests.analysis.lua.programs import program
from tests.analysis.lua.test_cage import READY, WHY, calls, run

needs_cage = pytest.mark.skipif(not READY, reason=f"no cage here: {WHY}")


@needs_cage
@pytest.mark.parametrize(
    ("dialect", "code", "given"),
    [
        (Dialect.GLUA, "// a comment\nif 1 != 2 && !false then /* and\n another */ os.execute('x') end", "x"),
        (Dialect.GLUA, "local n = 0 for i = 1, 5 do if i == 2 then continue end n = n + i end os.execute(n)", "13"),
        (Dialect.LUAU, "local n: number, s: {[string]: any}? = 1, {} local function f<T>(a: T, ...: any): T return a :: any end n += f(2) * 3 os.execute(n)", "7"),
        (Dialect.LUAU, "type A = { x: number } export type B<T> = A | T local t = { s = 'a' } t.s ..= 'b' os.execute(t.s)", "ab"),
        (Dialect.LUAU, "local n = 0 while n < 9 do n += 1 do if n % 2 == 0 then continue end end repeat if n > 3 then continue end n += 1 until true end os.execute(n)", "9"),
        (Dialect.CFXLUA, "local n = 1 n += 2 n <<= 3 os.execute(n)", "24"),
    ],
    ids=["operators", "continue", "types", "more types", "loops in loops", "assignments"],
)  # fmt: skip
def test_it_runs(dialect: Dialect, code: str, given: str) -> None:
    found = run(code, dialect)
    assert (found.outcome, calls(found)) == (Outcome.EXPLAINED, [("os.execute", given)]), found.reason


def test_an_error_names_the_line_of_the_given_text() -> None:
    code = "// one\n/* two\n three */\nlocal x: number = 1\nx += nothing.at.all"
    assert plain(code.encode(), Dialect.LUAU).count(b"\n") == 4
    if READY:
        assert run(code, Dialect.LUAU).passes[0].end == "error"
        assert ":5:" in run(code, Dialect.LUAU).reason or run(code, Dialect.LUAU).outcome is Outcome.EXPLAINED


@pytest.mark.parametrize("seed", range(40))
def test_plain_lua_stays_as_it_is(seed: int) -> None:
    code = program(seed).encode()
    assert plain(code, Dialect.LUA) == code
    assert plain(code, Dialect.LUAU) == code


@pytest.mark.parametrize(
    "code", [b"", b"\xff" * 100, b"a += ", b"continue", b"x: ", b"!" * 50, b"/*", b"local x <" * 200]
)
def test_anything_is_taken(code: bytes) -> None:
    for dialect in (Dialect.GLUA, Dialect.LUAU, Dialect.CFXLUA):
        assert isinstance(plain(code, dialect), bytes)
