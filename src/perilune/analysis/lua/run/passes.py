"""Runs a program, and again where the run before says what it lacked."""

from __future__ import annotations

import re
import time
from typing import Protocol

from perilune.analysis.lua.run import rewrite
from perilune.analysis.lua.run.attempts import Done, Limits, Story, Try, ended, next_try
from perilune.analysis.lua.run.looks import is_windows, roots_in
from perilune.analysis.lua.run.outcomes import summed_up
from perilune.analysis.lua.run.records import read
from perilune.analysis.lua.run.spawn import Ran
from perilune.model.lua import Dialect, Form, Identity, Outcome, Trace

_RUNTIMES: dict[Dialect, tuple[str, ...]] = {
    Dialect.LUA: ("luajit21", "lua54"), Dialect.LUA51: ("lua51", "luajit21"), Dialect.LUA52: ("lua52", "lua54"),
    Dialect.LUA53: ("lua53", "lua54"), Dialect.LUA54: ("lua54",), Dialect.LUA55: ("lua55",), Dialect.LUAJIT: ("luajit21",),
    Dialect.LUAJIT20: ("luajit20",), Dialect.LUAJIT21: ("luajit21",), Dialect.LUAU: ("luajit21", "lua54"),
    Dialect.GLUA: ("luajit21",), Dialect.CFXLUA: ("lua54",),
}  # fmt: skip
_OTHERS = ("luajit21", "lua54", "lua55")  # tried where the first cannot read a source
_ROOTS: dict[Dialect, str] = {
    Dialect.GLUA: "timer http hook net util file player game engine team sql concommand",
    Dialect.CFXLUA: "json exports Config MySQL",
    Dialect.LUAU: "game workspace script task wait spawn delay typeof Enum Vector3 CFrame Color3 UDim2 tick shared plugin",
}
MOST_CODE_SEARCHED = 1_000_000  # characters that are looked at for signs of Windows


class Runs(Protocol):
    """What passes need of a zygote."""

    layers: tuple[str, ...]

    def run(self, runtime: str, code: bytes, options: list[str], seconds: float, most: int) -> Ran: ...


def run(zygote: Runs, code: bytes, identity: Identity, name: str, limits: Limits) -> Trace:
    """Runs the program as often as that shows more, and sums up."""
    runtimes = _RUNTIMES.get(identity.dialect, ())
    if not runtimes or identity.form in (Form.NONE, Form.CARRIER, Form.MODIFIED):
        return Trace(Outcome.NOT_EXECUTED, _no_runtime(identity))
    if identity.form is Form.BYTECODE:
        runtimes = runtimes[:1]
    else:
        runtimes += tuple(one for one in _OTHERS if one not in runtimes)
    text = rewrite.plain(code, identity.dialect) if identity.form is Form.SOURCE else code
    story = Story(text, _file_name(name), limits, runtimes)
    roots = roots_in(code) | frozenset(_ROOTS.get(identity.dialect, "").split())
    persona = "windows" if is_windows(code[:MOST_CODE_SEARCHED]) else "linux"
    ends = time.monotonic() + limits.seconds
    following: Try | None = Try(runtimes[0], persona, roots)
    while following is not None:
        if len(story.done) >= limits.passes or time.monotonic() >= ends:
            story.cut.append(f"it was run {len(story.done)} times; one more might have shown more")
            break
        story.done.append(_pass(zygote, story, following, ends))
        following = next_try(story)
    return summed_up(story, zygote.layers, identity)


def _no_runtime(identity: Identity) -> str:
    if identity.form is Form.MODIFIED:
        return "compiled for a changed Lua that no runtime here can load"
    if identity.form in (Form.NONE, Form.CARRIER):
        return "this is no Lua that could be run by itself"
    return f"there is no runtime for {identity.dialect}"


def _file_name(name: str) -> str:
    last = re.split(r"[\\/]", name)[-1][:80]
    return last if last.isprintable() and last.isascii() and last else "script.lua"


def _pass(zygote: Runs, story: Story, one: Try, ends: float) -> Done:
    limits = story.limits
    seconds = max(0.1, min(limits.pass_seconds, ends - time.monotonic()))
    options = [story.name, str(limits.steps), one.persona, str(int(time.time())), ",".join(sorted(one.roots))]
    options.append(",".join(sorted(one.flags)))
    ran = zygote.run(one.runtime, story.code, options, seconds, limits.trace)
    written = read(ran.written, len(story.done) + 1, limits.events)
    end, message = ended(written, ran)
    return Done(one, written, ran, end, message)
