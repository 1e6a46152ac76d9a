"""Every dialect's syntax, damage skipped, depth bounded, time linear."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perilune.analysis.lua import tree
from perilune.analysis.lua.lexer import lex
from perilune.analysis.lua.parse import parse
from tests.analysis.lua.found import lua_files
from tests.analysis.lua.programs import program

VALID = {
    "5.1": "local a, b = ... ; function t.x:y(...) return self, ... end for k, v in next, t do break end",
    "calls without parentheses": "f'x' f\"y\" f[[z]] f{1, a = 2, [3] = 4} a.b:c'x':d{}",
    "5.2 goto": "goto done ::done:: ; ;",
    "5.3 operators": "x = a // b & c | d ~ e << 1 >> ~2",
    "5.4 attributes": "local x <const>, y <close> = 1, f()",
    "5.5 globals": "global x, y = 1, 2 global function f() end global <const> *",
    "GLua": "if !a && b != c || d then continue end",
    "CfxLua": "x += 1 y ..= 'a' z = `hash` w = a?.b",
    "Luau types": "type T<A> = { x: number, [string]: (A) -> B? } local function f<A>(a: A, ...: any): (A, string) return (a :: T<A>) end",
    "Luau choice": "local x: number? = if a then 1 elseif b then 2 else 3",
    "names that are keywords elsewhere": "local continue = 1 goto = 2 type = type(x) export(1)",
}
BROKEN = {
    "a missing end": ("function f() if x then g() ", 0), "a stray end": ("end end f()", 1), "rubbish first": ("]] ?? local x = 1 f()", 2),
    "rubbish between": ("local a = 1 local = = 3 local b = f(a)", 2), "an open table": ("x = { 1, 2, f()", 0),
}  # fmt: skip


@pytest.mark.parametrize("name", VALID)
def test_valid(name: str) -> None:
    parsed = parse(lex(VALID[name]))
    assert parsed.faults == []
    assert parsed.whole


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_broken_is_told_and_the_rest_is_read(name: str) -> None:
    text, least = BROKEN[name]
    parsed = parse(lex(text))
    assert parsed.faults
    assert len(parsed.body.statements) >= least


def test_chains_are_flat() -> None:
    (one,) = parse(lex("x = " + "a.." * 100_000 + "b")).body.statements
    assert isinstance(one, tree.Assignment)
    assert isinstance(one.values[0], tree.Chain) and len(one.values[0].rest) == 100_000


def test_powers_bind_as_in_lua() -> None:
    (one,) = parse(lex("x = -a ^ 2 ^ b * c + d == e and f or g")).body.statements
    assert isinstance(one, tree.Assignment)
    top = one.values[0]
    assert isinstance(top, tree.Chain) and top.rest[0][0] == "or"
    first = top.first
    assert isinstance(first, tree.Chain) and first.rest[0][0] == "and"


HOSTILE = {
    "parentheses": "(" * 200_000, "tables": "{" * 200_000, "functions": "function " * 30_000, "calls": "f(" * 100_000,
    "ifs": "if x then " * 30_000, "concatenation": "a.." * 100_000, "ends": "end " * 75_000, "blocks": "do " * 100_000,
    "unary": "- " * 150_000, "statements": "a()" * 60_000, "comparisons": "a<" * 100_000, "powers": "a^" * 100_000,
    "types": ":a<" * 80_000, "casts": "x=a::" * 60_000, "indexes": "a[" * 100_000, "locals": "local a:" * 40_000,
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_text_takes_linear_time(name: str) -> None:
    started = time.process_time()
    parse(lex(HOSTILE[name]))
    assert time.process_time() - started < 8


@given(
    st.lists(
        st.sampled_from(
            "local function end if then else x = ( ) { } [ ] , .. 'a' 1 for in do while : . return and not <const> :: goto repeat until".split()
        ),
        max_size=60,
    )
)
def test_any_tokens_give_a_tree(words: list[str]) -> None:
    parse(lex(" ".join(words)))


def test_made_up_programs_and_installed_files_have_no_faults() -> None:
    for seed in range(150):
        assert parse(lex(program(seed))).faults == []
    for path in lua_files()[:200]:
        parsed = parse(lex(path.read_bytes().decode("latin-1")))
        assert not parsed.faults or "ldoc" in str(path), path
