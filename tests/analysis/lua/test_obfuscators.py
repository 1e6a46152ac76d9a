"""Tools by the shapes that they leave. The texts are made here and only look like it."""

from __future__ import annotations

import random

import pytest

from perilune.analysis import lua
from perilune.model.rules import Level


def _escaped(rng: random.Random, size: int) -> str:
    return '"' + "".join(f"\\{rng.randrange(256):03d}" for _ in range(size)) + '"'


def _samples() -> dict[str, str]:
    rng = random.Random(4)
    strings = ",".join(_escaped(rng, 30) for _ in range(60))
    loop = "while d do if d<8388607 then if d<4194303 then d=s[d]else d=d-1 end else d=nil end end"
    numbers = ",".join(str(rng.randrange(1 << 24)) for _ in range(900))
    return {
        "Prometheus": f"return(function(...)local s={{{strings}}}for a,b in ipairs({{{{1;60}};{{1,-12+33}};{{22,60}}}})do s[b[1]]=s[b[2]]end local d=9 {loop} end)(...)",
        "Luraph": f"-- This file was protected using Luraph Obfuscator v14.4\nreturn(function(...)local IllIlI,lIlIll={{{numbers}}},'LPH!{'A7' * 400}' end)(...)",
        "IronBrew": f"--[[ IronBrew 2.7.0 ]]return(function(a,b)local x=tonumber(c(a,1,2),36) return b('LOL!{'0D3Q00' * 300}')end)(...)" ,
        "MoonSec": f"([[This file was protected with MoonSec V3]]):gsub('.+',(function(a)_x=a end));return(function(a,...)local e=getfenv()or _ENV local t={{{numbers}}} end)(...)",
        "PSU": f"--[[ obfuscated by PSU 4.5 ]]return(function(...)local b='PSU|{'27Z1' * 300}' end)(...)",
        "LuaObfuscator": f"-- Obfuscated with LuaObfuscator.com\nlocal v0={{{numbers}}} local v1=v0[1] return v1",
        "strings written in escapes": f"local a={{{strings}}}\nprint(a[1])",
        "minifier": "local a,b,c,d=1,2,3,4;" + "".join(f"function f{n % 7}(a,b)local c=a+b if c>{n} then d=c else b=c end return d end;" for n in range(60)),
    }  # fmt: skip


@pytest.mark.parametrize("name", _samples())
def test_named_with_evidence(name: str) -> None:
    found = lua.analyze(_samples()[name].encode())
    assert name in [one.name for one in found.obfuscations]
    one = next(one for one in found.obfuscations if one.name == name)
    assert 0.3 <= one.confidence < 1 and one.evidence


@pytest.mark.parametrize("name", _samples())
def test_it_is_a_fact_and_no_verdict(name: str) -> None:
    assert lua.analyze(_samples()[name].encode()).level <= Level.LOW


def test_written_code_is_not_called_obfuscated() -> None:
    text = (
        "-- Adds numbers.\nlocal function add(first, second)\n  return first + second\nend\n"
        + "print(add(1, 2)) -- three\n" * 40
    )
    assert lua.analyze(text.encode()).obfuscations == ()
