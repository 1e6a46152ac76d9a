"""An analysis of Lua laid out for reading: what matters most first, each part within its budget.

The terminal and the HTML report draw the same view. It holds raw text; whoever draws it makes it harmless.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from perilune.model.analysis import Capability, Layer
from perilune.model.lua import Call, Event, Literal, LuaAnalysis, Obfuscation, Unit, argument_text
from perilune.report.lua_text import Places

LEAST = 0.05  # the weight from which on a capability is told; below, it is only counted
_WRITTEN = ("literal", "constant")


@dataclass(frozen=True, slots=True)
class Seen:
    """One place that shows a capability: where, what, and the code around it in three parts."""

    place: str
    text: str
    code: tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class Behaviour:
    """Something that it does, as a sentence, and where that was seen."""

    capability: Capability
    sentence: str
    how: str  # `read`, `seen running`, both, or nothing where nothing was run
    seen: tuple[Seen, ...]
    more: int


@dataclass(frozen=True, slots=True)
class LuaView:
    behaviours: tuple[Behaviour, ...]
    also: tuple[str, ...]
    inner: tuple[Layer, ...]
    calls: tuple[tuple[str, str, str], ...]  # place, call, how it was recognised
    built: tuple[str, ...]
    obfuscations: tuple[Obfuscation, ...]
    compiled: tuple[Unit, ...]
    missing: tuple[str, ...]


def lay_out(found: LuaAnalysis, *, signs: int = 3) -> LuaView:
    places = Places(found)
    running = _running(found)
    told = sorted((one for one in found.capabilities if one.weight >= LEAST), key=lambda one: -one.weight)
    return LuaView(
        behaviours=tuple(_behaviour(one, places, signs, running) for one in told),
        also=tuple(one.says for one in found.capabilities if 0 <= one.weight < LEAST),
        inner=tuple(layer for layer in found.layers if layer.parent is not None and layer.kind != "run"),
        calls=tuple((places(c.layer, c.start), c.text(200), _how(c)) for c in found.calls if c.via != "run"),
        built=built_strings(found.literals),
        obfuscations=found.obfuscations,
        compiled=tuple(unit for unit in found.units if unit.chunk is not None),
        missing=(*found.unseen, *found.cut),
    )


def _behaviour(one: Capability, places: Places, most: int, running: frozenset[int]) -> Behaviour:
    says = one.says or one.title
    seen = tuple(Seen(places(s.layer, s.start), s.text, places.line(s)) for s in one.signs[:most])
    return Behaviour(one, f"{says[:1].upper()}{says[1:]}", how_seen(one, running), seen, max(0, len(one.signs) - most))


def how_seen(one: Capability, running: frozenset[int]) -> str:
    """Whether it was read, seen in a controlled run, or both; nothing where there was no run to tell it from."""
    if not running:
        return ""
    ran = {sign.layer in running for sign in one.signs}
    return "read, and seen running" if len(ran) > 1 else "seen running" if True in ran else "read"


def _running(found: LuaAnalysis) -> frozenset[int]:
    """The layers of what runs recorded, and of what was found in them."""
    layers = {run.record for run in found.runs if run.record is not None}
    for layer in found.layers:
        if layer.parent in layers:
            layers.add(layer.number)
    return frozenset(layers)


def event_text(one: Event) -> str:
    """`io.popen("id")  [carries network]`."""
    marked = f"  ← marked data: {', '.join(one.carries)}" if one.carries else ""
    return f"{one.name}({', '.join(argument_text(a, 200) for a in one.arguments)}){marked}"


def _how(call: Call) -> str:
    return "" if call.via == "plain" else call.via


def built_strings(literals: Sequence[Literal]) -> tuple[str, ...]:
    """Strings that do not stand in the text but are put together by it, each once."""
    built = dict.fromkeys(one.text for one in literals if one.how not in _WRITTEN)
    return tuple(text for text in built if len(text) > 5 and not text.isdigit())
