"""From bytes to everything that is known of them: identify, read, follow what is inside, sum up."""

from __future__ import annotations

import gc
import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from perilune.analysis import indicators as finder
from perilune.analysis import score
from perilune.analysis.lists import Lists
from perilune.analysis.lua import carriers, controlled, identify, obfuscators, says, sources, strings
from perilune.analysis.lua.apis import Apis, packaged
from perilune.analysis.lua.bytecode import luau
from perilune.analysis.lua.controlled import Execute
from perilune.analysis.lua.run import marks
from perilune.analysis.lua.work import MOST_SOURCE, Program, Waiting, Work
from perilune.model.analysis import Capability, Indicator
from perilune.model.lua import Dialect, Evidence, Form, Identity, LuaAnalysis, Run, Unit

_HOSTS = ("nginx", "redis", "nmap", "wireshark", "neovim", "wow", "roblox", "fivem", "gmod", "prosody", "haproxy")


def analyze(
    data: bytes,
    name: str | None = None,
    *,
    apis: Apis | None = None,
    execute: Execute | None = None,
    lists: Lists | None = None,
) -> LuaAnalysis:
    """Explains a file, a script or a piece of either.

    Args:
        data: the file's bytes; nothing of them is run here.
        name: of the file, which may say something about it.
        apis: what functions can do, instead of the packaged table.
        execute: runs a program in a cage and tells what it did (`cage.run`); without it, reading is all.
        lists: local indicator lists to look its indicators up in.
    """
    work = Work(apis or packaged())
    work.follow(Waiting(data or b"\n", "given", name=name or ""))
    with _collector_paused():
        _explained(work)
    runs = tuple(controlled.run_all(work, execute, name or "")) if execute is not None else ()
    with _collector_paused():
        _explained(work)
    return _summed_up(data, name or "", work, runs, lists)


@contextmanager
def _collector_paused() -> Iterator[None]:
    """No search for cycles while trees grow: it finds none and took a third of the time on 1.8 MB of tables."""
    running = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if running:
            gc.enable()


def _explained(work: Work) -> None:
    """Everything that waits, and what that unpacks."""
    while work.waiting:
        one = work.waiting.popleft()
        before = len(work.units)
        _one(work, one)
        work.programs += [Program(unit, one) for unit in work.units[before : before + 1]]


def _one(work: Work, one: Waiting) -> None:
    identity = identify.by_magic(one.data)
    header = luau.recognised(one.data) if identity is None else None
    if identity is not None or header is not None:
        _compiled(work, one, identity or header)
    elif not one.sure and carriers.has_places(one.data) and not sources.parses(one):
        _carrier(work, one)
    elif sources.is_source(one):
        sources.explain(work, one)
    else:
        _carrier(work, one)


def _compiled(work: Work, one: Waiting, found: Identity | luau.Luau | None) -> None:
    from perilune.analysis.lua.bytecode import explain  # late: most files are source

    if isinstance(found, Identity):
        explain.explain(work, one, found)
    elif found is not None:
        explain.explain_luau(work, one, found)


def _listed(work: Work, indicators: Sequence[Indicator]) -> list[Capability]:
    """That an indicator is on a list weighs as it does for command lines."""
    from perilune.analysis.capabilities import packaged as catalogue

    hits = [one for one in indicators if any(not listing.benign for listing in one.listings)]
    return [one for one in catalogue().find(work.layers, (), hits) if one.id == "listed-indicator"] if hits else []


def _carrier(work: Work, one: Waiting) -> None:
    kept = [piece for piece in carriers.pieces(one.data, work.cut) if one.kind == "given" or piece.sure]
    if not kept and one.parent is not None:
        return
    binary = b"\0" in one.data[:8000]
    number = work.add(one, one.data[:MOST_SOURCE].decode("latin-1"), binary=binary)
    evidence = tuple(Evidence(f"{p.kind}: {p.note or 'Lua inside'}", p.start, p.end) for p in kept[:20])
    form = Form.CARRIER if kept else Form.NONE
    work.units.append(Unit(number, Identity(form, Dialect.LUA, 0.9 if kept else 0.0, evidence)))
    for piece in kept:
        work.follow(
            Waiting(
                piece.data,
                piece.kind,
                number,
                piece.start,
                piece.end,
                piece.note,
                piece.note,
                piece.sure,
                one.depth + 1,
            )
        )


def _summed_up(data: bytes, name: str, work: Work, runs: tuple[Run, ...], lists: Lists | None) -> LuaAnalysis:
    capabilities = work.apis.find(work.calls, work.literals, work.marks)
    capabilities += strings.commands(work, capabilities)
    capabilities = [replace(one, says=says.sentence(one, work.apis)) for one in capabilities]
    indicators = strings.indicators(work.literals, work.layers)
    if lists is not None:
        indicators = finder.with_listings(indicators, lists)
        capabilities += _listed(work, indicators)
    indicators = marks.marked(indicators, work.layers, {one.record for one in runs if one.record is not None})
    points, level, reasons = score.weigh(capabilities, "Most Lua is harmless")
    hosts = [one.id for one in capabilities if one.id in _HOSTS]
    units = [
        replace(u, identity=replace(u.identity, host=hosts[0])) if hosts and not u.identity.host else u
        for u in work.units
    ]
    obfuscations = obfuscators.find(work)
    return LuaAnalysis(
        name=name,
        sha256=hashlib.sha256(data).hexdigest(),
        size=len(data),
        units=tuple(units),
        layers=tuple(work.layers),
        calls=tuple(work.calls),
        literals=tuple(work.literals),
        capabilities=tuple(capabilities),
        indicators=tuple(indicators),
        obfuscations=tuple(obfuscations),
        reasons=reasons,
        score=points,
        level=level,
        unseen=tuple(work.unseen),
        cut=tuple(dict.fromkeys(work.cut)),
        runs=runs,
        decoys=marks.seen(one.trace for one in runs),
    )
