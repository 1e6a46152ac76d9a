"""One run after another: how they differ, how each ended, and what the next one is to do differently."""

from __future__ import annotations

import os
import re
import signal
from dataclasses import dataclass, field, replace
from typing import Protocol

from perilune.analysis.lua.run.looks import is_windows
from perilune.analysis.lua.run.records import Written
from perilune.analysis.lua.run.spawn import Ran
from perilune.model.lua import Dialect

RAN = {
    "lua51": Dialect.LUA51, "lua52": Dialect.LUA52, "lua53": Dialect.LUA53, "lua54": Dialect.LUA54, "lua55": Dialect.LUA55,
    "luajit20": Dialect.LUAJIT20, "luajit21": Dialect.LUAJIT21,
}  # fmt: skip
_LACKS = re.compile(r"attempt to [a-z ]+?(?:a nil value )?\(?(?:global|field|upvalue|local|method) '(\w+)'")
_NIL = re.compile(r"attempt to (?:index|call|concatenate|perform|get length|compare)\b.*\bnil\b|nil value")
MOST_SEARCHED, MOST_SEARCHED_ALL = 400, 200_000  # characters of one text, and of all, that are looked at for signs


class Limits(Protocol):
    """What passes need of a budget."""

    @property
    def pass_seconds(self) -> float: ...
    @property
    def seconds(self) -> float: ...
    @property
    def steps(self) -> int: ...
    @property
    def passes(self) -> int: ...
    @property
    def trace(self) -> int: ...
    @property
    def events(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Try:
    """How a pass differs from others."""

    runtime: str
    persona: str
    roots: frozenset[str]
    flags: frozenset[str] = frozenset()
    why: str = ""


@dataclass(slots=True)
class Done:
    """A pass, what it wrote and how it ended: the word of the record, or what happened to the process."""

    one: Try
    written: Written
    ran: Ran
    end: str
    message: str


@dataclass(slots=True)
class Story:
    code: bytes
    name: str
    limits: Limits
    runtimes: tuple[str, ...]
    done: list[Done] = field(default_factory=list)
    cut: list[str] = field(default_factory=list)


def ended(written: Written, ran: Ran) -> tuple[str, str]:
    if ran.full:
        return "full", ""
    if ran.late:
        return "late", ""
    if os.WIFSIGNALED(ran.status):
        number = os.WTERMSIG(ran.status)
        return {signal.SIGSYS: "forbidden", signal.SIGXCPU: "late", signal.SIGKILL: "late"}.get(
            number, "crashed"
        ), f"signal {number}"  # type: ignore[call-overload]
    if written.refused or not written.locked:
        return "unlocked", written.refused or "the child did not say that it was locked"
    if written.end is None:
        return "crashed", "it ended without a word"
    if written.end.how == "error" and written.end.s.endswith("not enough memory"):
        return "memory", ""
    return written.end.how, written.end.s


def next_try(story: Story) -> Try | None:
    """What the next pass is to do differently, or None where another one would show nothing new."""
    last = story.done[-1]
    tried = [done.one for done in story.done]
    for following in (
        _other_runtime(story, last),
        _with_root(last),
        _with_arguments(last),
        _in_jit(story),
        _on_windows(last),
        _unasked(story),
    ):
        if following is not None and replace(following, why="") not in [replace(one, why="") for one in tried]:
            return following
    return None


def _other_runtime(story: Story, last: Done) -> Try | None:
    at = story.runtimes.index(last.one.runtime)
    if last.end != "syntax" or at + 1 >= len(story.runtimes):
        return None
    following = story.runtimes[at + 1]
    return replace(last.one, runtime=following, why=f"{RAN[last.one.runtime]} could not read it")


def _with_root(last: Done) -> Try | None:
    """With one more global, where the lack of it ended the run."""
    if last.end not in ("error", "callback") or not _NIL.search(last.message):
        return None
    unknown = set(last.written.end.u) if last.written.end else set()
    named = _LACKS.search(last.message)
    name = named.group(1) if named and named.group(1) in unknown else ""
    if not name:
        name = next((n.removeprefix("last unknown ") for n in last.written.notes if n.startswith("last unknown ")), "")
    if not re.fullmatch(r"[A-Za-z_]\w{0,60}", name) or name in last.one.roots:
        return None
    return replace(last.one, roots=last.one.roots | {name}, why=f"with a stand-in for {name}")


def _with_arguments(last: Done) -> Try | None:
    """With arguments for loaded code, where it ended because it was given none."""
    nameless = last.end == "error" and _NIL.search(last.message) and last.written.chunks
    if not nameless:
        return None
    return replace(last.one, flags=last.one.flags | {"arguments"}, why="with arguments for the code that it loads")


_HEX = re.compile(rb"\\\\?x[0-9a-fA-F]{2}|\\\\?u\{|\bgoto\b")


def _in_jit(story: Story) -> Try | None:
    """Lua 5.1 reads `\\x41` as `x41`, silently: what it read in that way has to be read by another."""
    last = story.done[-1]
    if last.one.runtime != "lua51" or "luajit21" not in story.runtimes:
        return None
    if not _HEX.search(story.code) and not any(_HEX.search(one.code) for one in last.written.chunks):
        return None
    return replace(last.one, runtime="luajit21", why="Lua 5.1 does not know its escapes")


def _unasked(story: Story) -> Try | None:
    """Without the request that it looks for: what it does when nobody asks."""
    last = story.done[-1]
    asked = any("request" in one.carries for done in story.done for one in done.written.events)
    if not asked or "no request" in last.one.flags:
        return None
    return replace(last.one, flags=last.one.flags | {"no request"}, why="without a request")


def _on_windows(last: Done) -> Try | None:
    if last.one.persona == "windows":
        return None
    texts = [*last.written.strings, *(text for one in last.written.events for text in one.arguments)]
    seen = "\n".join(text[:MOST_SEARCHED] for text in texts)[:MOST_SEARCHED_ALL].encode("latin-1", "replace")
    if is_windows(seen) or any(is_windows(one.code[:MOST_SEARCHED_ALL]) for one in last.written.chunks[:20]):
        return replace(last.one, persona="windows", why="as on Windows")
    return None
