"""Runs a program again where the run before says what it lacked, and sums the runs up in one trace."""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import lru_cache
from importlib.resources import files
from typing import Protocol

from perilune.analysis.lua.run import rewrite
from perilune.analysis.lua.run.records import Written, read
from perilune.analysis.lua.run.spawn import Ran
from perilune.model.lua import Dialect, Event, Form, Identity, Outcome, Pass, Trace

_RUNTIMES: dict[Dialect, tuple[str, ...]] = {
    Dialect.LUA: ("luajit21", "lua54"), Dialect.LUA51: ("lua51", "luajit21"), Dialect.LUA52: ("lua52", "lua54"),
    Dialect.LUA53: ("lua53", "lua54"), Dialect.LUA54: ("lua54",), Dialect.LUA55: ("lua55",), Dialect.LUAJIT: ("luajit21",),
    Dialect.LUAJIT20: ("luajit20",), Dialect.LUAJIT21: ("luajit21",), Dialect.LUAU: ("luajit21", "lua54"),
    Dialect.GLUA: ("luajit21",), Dialect.CFXLUA: ("lua54",),
}  # fmt: skip
_OTHERS = ("luajit21", "lua54", "lua55")  # tried where the first cannot read a source
_RAN = {
    "lua51": Dialect.LUA51, "lua52": Dialect.LUA52, "lua53": Dialect.LUA53, "lua54": Dialect.LUA54, "lua55": Dialect.LUA55,
    "luajit20": Dialect.LUAJIT20, "luajit21": Dialect.LUAJIT21,
}  # fmt: skip

_ROOTS: dict[Dialect, str] = {
    Dialect.GLUA: "timer http hook net util file player game engine team sql concommand",
    Dialect.CFXLUA: "json exports Config MySQL",
    Dialect.LUAU: "game workspace script task wait spawn delay typeof Enum Vector3 CFrame Color3 UDim2 tick shared plugin",
}

_WINDOWS_WORDS = (
    b"powershell", b"schtasks", b"cmd /c", b"cmd.exe", b"appdata", b"userprofile", b"kernel32", b"user32", b"hkey_", b"hkcu",
    b"windows_nt", b"systemroot", b".exe",
)  # fmt: skip
_DRIVE = re.compile(rb"(?<![a-z])[a-z]:\\{1,2}[a-z]")
_LACKS = re.compile(r"attempt to [a-z ]+?(?:a nil value )?\(?(?:global|field|upvalue|local|method) '(\w+)'")
_NIL = re.compile(r"attempt to (?:index|call|concatenate|perform|get length|compare)\b.*\bnil\b|nil value")
_TAMPER = re.compile(r"(?i)\btamper|debugger detected|anti-?debug|hook detected|sandbox detected")


MOST_CODE_SEARCHED = 1_000_000
MOST_SEARCHED, MOST_SEARCHED_ALL = 400, 200_000  # characters of one text, and of all, that are looked at for signs


class Runs(Protocol):
    """What passes need of a zygote."""

    layers: tuple[str, ...]

    def run(self, runtime: str, code: bytes, options: list[str], seconds: float, most: int) -> Ran: ...


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
class _Try:
    """How a pass differs from others."""

    runtime: str
    persona: str
    roots: frozenset[str]
    flags: frozenset[str] = frozenset()
    why: str = ""


@dataclass(slots=True)
class _Done:
    """A pass, what it wrote and how it ended: the word of the record, or what happened to the process."""

    one: _Try
    written: Written
    ran: Ran
    end: str
    message: str


@dataclass(slots=True)
class _Story:
    code: bytes
    name: str
    limits: Limits
    runtimes: tuple[str, ...]
    done: list[_Done] = field(default_factory=list)
    cut: list[str] = field(default_factory=list)


@lru_cache(maxsize=1)
def _known_roots() -> frozenset[bytes]:
    text = (files("perilune") / "content" / "lua" / "roots.txt").read_bytes()
    return frozenset(word for line in text.splitlines() for word in line.partition(b"#")[0].split())


_WORDS = re.compile(rb"[A-Za-z_]\w{2,40}")


def roots_in(code: bytes) -> frozenset[str]:
    """Globals that only one host has, where the text names them: they are there from the first pass on."""
    there = _known_roots().intersection(_WORDS.findall(code))
    return frozenset(name.decode() for name in there if _as_global(name).search(code))


@lru_cache(maxsize=200)
def _as_global(name: bytes) -> re.Pattern[bytes]:
    """The name where it is no field: looked behind after it, because only a pattern that begins with letters is fast."""
    return re.compile(name + rb"(?<![\w.:]" + name + rb")(?!\w)")


def _is_windows(data: bytes) -> bool:
    """Whether it names what only Windows has. Words first: looking for one is a hundred times faster than a pattern."""
    text = data.lower()
    return any(word in text for word in _WINDOWS_WORDS) or (b":\\" in text and _DRIVE.search(text) is not None)


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
    story = _Story(text, _file_name(name), limits, runtimes)
    roots = roots_in(code) | frozenset(_ROOTS.get(identity.dialect, "").split())
    persona = "windows" if _is_windows(code[:MOST_CODE_SEARCHED]) else "linux"
    ends = time.monotonic() + limits.seconds
    following: _Try | None = _Try(runtimes[0], persona, roots)
    while following is not None:
        if len(story.done) >= limits.passes or time.monotonic() >= ends:
            story.cut.append(f"it was run {len(story.done)} times; one more might have shown more")
            break
        story.done.append(_pass(zygote, story, following, ends))
        following = _next(story)
    return _summed_up(story, zygote.layers, identity)


def _no_runtime(identity: Identity) -> str:
    if identity.form is Form.MODIFIED:
        return "compiled for a changed Lua that no runtime here can load"
    if identity.form in (Form.NONE, Form.CARRIER):
        return "this is no Lua that could be run by itself"
    return f"there is no runtime for {identity.dialect}"


def _file_name(name: str) -> str:
    last = re.split(r"[\\/]", name)[-1][:80]
    return last if last.isprintable() and last.isascii() and last else "script.lua"


def _pass(zygote: Runs, story: _Story, one: _Try, ends: float) -> _Done:
    limits = story.limits
    seconds = max(0.1, min(limits.pass_seconds, ends - time.monotonic()))
    options = [story.name, str(limits.steps), one.persona, str(int(time.time())), ",".join(sorted(one.roots))]
    options.append(",".join(sorted(one.flags)))
    ran = zygote.run(one.runtime, story.code, options, seconds, limits.trace)
    written = read(ran.written, len(story.done) + 1, limits.events)
    end, message = _ended(written, ran)
    return _Done(one, written, ran, end, message)


def _ended(written: Written, ran: Ran) -> tuple[str, str]:
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
    return written.end.how, written.end.s


def _next(story: _Story) -> _Try | None:
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


def _other_runtime(story: _Story, last: _Done) -> _Try | None:
    at = story.runtimes.index(last.one.runtime)
    if last.end != "syntax" or at + 1 >= len(story.runtimes):
        return None
    following = story.runtimes[at + 1]
    return replace(last.one, runtime=following, why=f"{_RAN[last.one.runtime]} could not read it")


def _with_root(last: _Done) -> _Try | None:
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


def _with_arguments(last: _Done) -> _Try | None:
    """With arguments for loaded code, where it ended because it was given none."""
    nameless = last.end == "error" and _NIL.search(last.message) and last.written.chunks
    if not nameless:
        return None
    return replace(last.one, flags=last.one.flags | {"arguments"}, why="with arguments for the code that it loads")


_HEX = re.compile(rb"\\\\?x[0-9a-fA-F]{2}|\\\\?u\{|\bgoto\b")


def _in_jit(story: _Story) -> _Try | None:
    """Lua 5.1 reads `\\x41` as `x41`, silently: what it read in that way has to be read by another."""
    last = story.done[-1]
    if last.one.runtime != "lua51" or "luajit21" not in story.runtimes:
        return None
    if not _HEX.search(story.code) and not any(_HEX.search(one.code) for one in last.written.chunks):
        return None
    return replace(last.one, runtime="luajit21", why="Lua 5.1 does not know its escapes")


def _unasked(story: _Story) -> _Try | None:
    """Without the request that it looks for: what it does when nobody asks."""
    last = story.done[-1]
    asked = any("request" in one.carries for done in story.done for one in done.written.events)
    if not asked or "no request" in last.one.flags:
        return None
    return replace(last.one, flags=last.one.flags | {"no request"}, why="without a request")


def _on_windows(last: _Done) -> _Try | None:
    if last.one.persona == "windows":
        return None
    texts = [*last.written.strings, *(text for one in last.written.events for text in one.arguments)]
    seen = "\n".join(text[:MOST_SEARCHED] for text in texts)[:MOST_SEARCHED_ALL].encode("latin-1", "replace")
    if _is_windows(seen) or any(_is_windows(one.code[:MOST_SEARCHED_ALL]) for one in last.written.chunks[:20]):
        return replace(last.one, persona="windows", why="as on Windows")
    return None


def _summed_up(story: _Story, layers: tuple[str, ...], identity: Identity) -> Trace:
    passes = tuple(
        Pass(
            number, str(_RAN[done.one.runtime]), done.one.why, done.end, done.written.end.steps if done.written.end else 0,
            round(done.ran.cpu_ms, 2),
        )
        for number, done in enumerate(story.done, 1)
    )  # fmt: skip
    refused = next((done for done in story.done if done.end == "unlocked"), None)
    if refused is not None:
        return Trace(Outcome.NOT_EXECUTED, f"isolation unavailable: {refused.message}", passes=passes)
    best = _best(story.done)
    outcome, reason = _outcome(story, best, identity)
    if outcome is Outcome.NOT_EXECUTED:
        return Trace(outcome, reason, passes=passes)
    order = [best, *(done for done in story.done if done is not best)]
    return Trace(
        outcome,
        reason,
        _RAN[best.one.runtime],
        _merged(order),
        tuple({c.code: c for done in reversed(order) for c in done.written.chunks}.values()),
        tuple(dict.fromkeys(s for done in order for s in done.written.strings)),
        passes,
        (*best.written.locked, *layers),
        tuple(dict.fromkeys(_unseen(order))),
        tuple(dict.fromkeys([*story.cut, *_cut(order)])),
    )


def _merged(order: list[_Done]) -> tuple[Event, ...]:
    """The calls of the best pass, and after them what only others showed."""
    seen: dict[tuple[str, tuple[str, ...]], Event] = {}
    for done in order:
        for one in done.written.events:
            seen.setdefault((one.name, one.arguments), one)
    return tuple(seen.values())


_RANK = (
    "returned",
    "exit",
    "waits",
    "callback",
    "steps",
    "late",
    "memory",
    "full",
    "error",
    "crashed",
    "forbidden",
    "broken",
    "syntax",
)


def _best(done: list[_Done]) -> _Done:
    """The pass that went furthest: the most calls, then the better end, then the later one."""
    return max(done, key=lambda one: (len(one.written.events) + len(one.written.chunks), -_RANK.index(one.end)))


def _outcome(story: _Story, best: _Done, identity: Identity) -> tuple[Outcome, str]:
    forged = sum(done.written.forged for done in story.done)
    for done in story.done:
        if done.end == "forbidden":
            return Outcome.TAMPERED, "it made a system call that the cage forbids, and was ended"
    if forged:
        return Outcome.TAMPERED, f"it wrote {forged} records into the trace that no stub writes"
    told = [*(text for event in best.written.events for text in event.arguments), best.message]
    if best.end in ("error", "steps", "late") and any(_TAMPER.search(text[:MOST_SEARCHED]) for text in told):
        return Outcome.TAMPERED, f"it found that it is watched: {best.message or 'it went on for ever'}"
    return _ORDINARY[best.end](best, identity)


def _stalled(best: _Done, why: str) -> tuple[Outcome, str]:
    checked = any(one.name.startswith("debug.") for one in best.written.events)
    return Outcome.STALLED, why + (" after it had looked for a debugger" if checked else "")


def _crashed(best: _Done, identity: Identity) -> tuple[Outcome, str]:
    what = "damaged or hostile bytecode" if identity.form is Form.BYTECODE else "a fault of the VM"
    return Outcome.PARTIAL, f"the VM crashed ({best.message}): {what}"


def _syntax(best: _Done, identity: Identity) -> tuple[Outcome, str]:
    dialect = _RAN[best.one.runtime]
    if identity.form is Form.BYTECODE:
        return Outcome.NOT_EXECUTED, f"{dialect} as built here cannot load it: {best.message}"
    return Outcome.NOT_EXECUTED, f"{dialect} cannot read it: {best.message}"


_ORDINARY = {
    "returned": lambda best, identity: (Outcome.EXPLAINED, "it ran to its end"),
    "callback": lambda best, identity: (
        Outcome.EXPLAINED,
        f"it ran to its end; a function called later ended by an error: {best.message}",
    ),
    "exit": lambda best, identity: (Outcome.EXPLAINED, "it ended itself"),
    "waits": lambda best, identity: (Outcome.EXPLAINED, f"it ran until it would wait for ever: {best.message}"),
    "steps": lambda best, identity: _stalled(best, "it used up its instructions"),
    "late": lambda best, identity: _stalled(best, "it used up its time"),
    "memory": lambda best, identity: _stalled(best, "it used up its memory"),
    "full": lambda best, identity: (Outcome.PARTIAL, "it wrote more than a trace may hold"),
    "error": lambda best, identity: (Outcome.PARTIAL, f"it ended by an error: {best.message}"),
    "crashed": _crashed,
    "forbidden": lambda best, identity: (Outcome.TAMPERED, ""),
    "broken": lambda best, identity: (Outcome.PARTIAL, f"the stubs failed: {best.message}"),
    "syntax": _syntax,
}


def _unseen(order: list[_Done]) -> Iterator[str]:
    for done in order:
        for note in done.written.notes:
            if note.startswith("module "):
                yield f"module {note[7:]} was not there: what it would have done"
        yield from (
            f"{name} is a stand-in: what it really gives"
            for name in sorted(done.one.roots)
            if done.one.why.endswith(f" {name}")
        )


def _cut(order: list[_Done]) -> Iterator[str]:
    for done in order:
        if done.written.end is not None and done.written.end.cut:
            yield f"more {done.written.end.cut} than are kept"
        if any(one.cut for one in done.written.chunks):
            yield "loaded code that is longer than is kept"
        if done.written.torn:
            yield "the last record, which was not written to its end"
