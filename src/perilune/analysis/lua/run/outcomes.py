"""All runs of a program as one trace: the outcome, what was seen, what was not."""

from __future__ import annotations

import re
from collections.abc import Iterator

from perilune.analysis.lua.run.attempts import MOST_SEARCHED, RAN, Done, Story
from perilune.model.lua import Event, Form, Identity, Outcome, Pass, Trace

_TAMPER = re.compile(r"(?i)\btamper|debugger detected|anti-?debug|hook detected|sandbox detected")


def summed_up(story: Story, layers: tuple[str, ...], identity: Identity) -> Trace:
    passes = tuple(
        Pass(
            number, str(RAN[done.one.runtime]), done.one.why, done.end, done.written.end.steps if done.written.end else 0,
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
        RAN[best.one.runtime],
        _merged(order),
        tuple({c.code: c for done in reversed(order) for c in done.written.chunks}.values()),
        tuple(dict.fromkeys(s for done in order for s in done.written.strings)),
        passes,
        (*best.written.locked, *layers),
        tuple(dict.fromkeys(_unseen(order))),
        tuple(dict.fromkeys([*story.cut, *_cut(order)])),
    )


def _merged(order: list[Done]) -> tuple[Event, ...]:
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


def _best(done: list[Done]) -> Done:
    """The pass that went furthest: the most calls, then the better end, then the later one."""
    return max(done, key=lambda one: (len(one.written.events) + len(one.written.chunks), -_RANK.index(one.end)))


def _outcome(story: Story, best: Done, identity: Identity) -> tuple[Outcome, str]:
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


def _stalled(best: Done, why: str) -> tuple[Outcome, str]:
    checked = any(one.name.startswith("debug.") for one in best.written.events)
    return Outcome.STALLED, why + (" after it had looked for a debugger" if checked else "")


def _crashed(best: Done, identity: Identity) -> tuple[Outcome, str]:
    what = "damaged or hostile bytecode" if identity.form is Form.BYTECODE else "a fault of the VM"
    return Outcome.PARTIAL, f"the VM crashed ({best.message}): {what}"


def _syntax(best: Done, identity: Identity) -> tuple[Outcome, str]:
    dialect = RAN[best.one.runtime]
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


def _unseen(order: list[Done]) -> Iterator[str]:
    for done in order:
        for note in done.written.notes:
            if note.startswith("module "):
                yield f"module {note[7:]} was not there: what it would have done"
        yield from (
            f"{name} is a stand-in: what it really gives"
            for name in sorted(done.one.roots)
            if done.one.why.endswith(f" {name}")
        )


def _cut(order: list[Done]) -> Iterator[str]:
    for done in order:
        if done.written.end is not None and done.written.end.cut:
            yield f"more {done.written.end.cut} than are kept"
        if any(one.cut for one in done.written.chunks):
            yield "loaded code that is longer than is kept"
        if done.written.torn:
            yield "the last record, which was not written to its end"
