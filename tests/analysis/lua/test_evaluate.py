"""The evaluator computes as Lua does, reaches nothing, and always ends."""

from __future__ import annotations

import shutil
import subprocess
import time

import pytest

from perilune.analysis.lua.apis import packaged
from perilune.analysis.lua.evaluate import Evaluate
from perilune.analysis.lua.lexer import lex
from perilune.analysis.lua.parse import parse

# Each prints one line; Lua itself is the judge of what it is.
PROGRAMS = {
    "arithmetic": "print(7 // 2 .. ' ' .. -7 % 3 .. ' ' .. 2 ^ 10 .. ' ' .. 1e15 .. ' ' .. (5 & 3 | 8 ~ 1) .. ' ' .. (1 << 4 >> 2))",
    "comparison": "print(tostring(1 < 2 and 'a' < 'b' and not (1 == '1')) .. tostring(nil == false))",
    "loops": "local s = 0 for i = 10, 1, -3 do s = s + i end while s < 100 do s = s * 2 if s > 60 then break end end repeat s = s - 1 until s % 7 == 0 print(s)",
    "closures": "local function c() local n = 0 return function() n = n + 1 return n end end local a, b = c(), c() a() a() print(a() .. b())",
    "varargs": "local function f(...) local a, b = ... return select('#', ...), b, ... end local n, b, x = f(4, 5, 6) print(n .. b .. x)",
    "methods": "local o = {n = 2} function o:add(k) self.n = self.n + k return self end print(o:add(3):add(4).n)",
    "metatables": "local b = {hi = function() return 'hi' end} local t = setmetatable({}, {__index = b, __call = function(_, x) return x * 2 end}) print(t.hi() .. t(21))",
    "patterns": "print((('k1=v1, k2=v2'):gsub('(%w+)=(%w+)', '%2=%1')) .. ('abc'):find('b') .. ('x12y'):match('%d+') .. (('abc'):gsub('%w', '%0%0', 2)))",
    "gsub with a function": "print((('hello world'):gsub('%w+', function(w) return w:sub(1, 1):upper() .. w:sub(2) end)))",
    "gmatch": "local t = {} for k, v in ('a=1,b=2'):gmatch('(%w)=(%w)') do t[#t + 1] = v .. k end print(table.concat(t, ';'))",
    "tables": "local t = {1, 2, nil, 4} table.insert(t, 1, 0) local r = table.remove(t, 2) t[#t + 1] = 9 local u = {table.unpack({3, 4})} print(r .. u[2])",
    "strings": "print(('%5.2f|%-4d|%x|%s'):format(3.14159, 7, 255, 'q') .. ('ab'):rep(3, '-') .. ('abc'):byte(-1) .. #'xyz' .. ('abcdef'):sub(-3, -2))",
    "errors": "local ok = pcall(function() error('x') end) local ok2, v = pcall(function() return 5 end) print(tostring(ok) .. tostring(ok2) .. v)",
    "numbers in text": "print('10' + 5 .. '|' .. 10 .. '|' .. 0x10 .. '|' .. tonumber('ff', 16) .. '|' .. tonumber('0x1p4'))",
    "code in a string": "print(load('return (...) + 1')(41))",
}  # fmt: skip


def _evaluated(text: str, steps: int = 200_000) -> Evaluate:
    machine = Evaluate(text, 0, packaged(), steps)
    machine.start(parse(lex(text)).body)
    return machine


@pytest.mark.parametrize("name", PROGRAMS)
def test_as_lua_itself(name: str) -> None:
    lua = shutil.which("lua5.3")
    if lua is None:
        pytest.skip("lua5.3 is not installed")
    text = PROGRAMS[name]
    wanted = subprocess.run([lua, "-e", text], capture_output=True, text=True, check=True).stdout.rstrip("\n")
    machine = _evaluated(
        text.replace("print(", "os.execute('' .. ", 1)
        if text.startswith("print(")
        else text.replace(" print(", " os.execute('' .. ", 1)
    )
    (call,) = (call for call in machine.found.calls if call.name == "os.execute")
    assert _loose(call.arguments[0] or "") == _loose(wanted)


def _loose(text: str) -> str:
    """5.3 tells 1024.0 from 1024; the evaluator serves all versions and does not."""
    return text.replace(".0", "").replace("1e+15", "1000000000000000")


ENDLESS = {
    "a loop": "while true do end", "recursion": "local function f() return f() end f()", "calling back": "local function f(g) g(g) g(g) end f(f)",
    "growing text": "local s = 'x' while true do s = s .. s end", "repeated": "local s = ('x'):rep(1e9) while #s do s = s:rep(9) end",
    "growing table": "local t = {} for i = 1, 1e12 do t[i] = i end", "patterns": "local s = ('a'):rep(30000) .. 'b' for i = 1, 1e9 do s:find(('.-'):rep(40) .. 'c') end",
    "pcall": "local function f() pcall(f) f() end f()", "metatables": "local t = {} setmetatable(t, {__index = t}) print(t.x)",
    "load": "local s = 'return 1' while true do load(s) end", "insert": "local t = {} while true do table.insert(t, 1, 1) end",
    "concat": "local t = {} for i = 1, 5000 do t[i] = 'xxxxxxxxxx' end while true do local s = table.concat(t) end",
    "gsub": "local s = ('a'):rep(100000) while true do s:gsub('a', 'bb') end", "format": "while true do ('%99d'):format(1) end",
}  # fmt: skip


@pytest.mark.parametrize("name", ENDLESS)
def test_everything_ends(name: str) -> None:
    started = time.process_time()
    _evaluated(ENDLESS[name])
    assert time.process_time() - started < 6


def test_nothing_of_python_is_reachable() -> None:
    machine = _evaluated(
        "local x = ('').__class__ local y = os.__globals__ local z = _G.__builtins__ os.execute(tostring(x) .. tostring(y))"
    )
    assert all(a is None or a.startswith(("=", "nil")) for call in machine.found.calls for a in call.arguments)


def test_both_sides_of_an_unknown_condition() -> None:
    machine = _evaluated("if os.getenv('A') == os.time() then os.execute('a') else os.execute('b') end")
    assert [call.arguments[0] for call in machine.found.calls if call.name == "os.execute"] == ["a", "b"]
