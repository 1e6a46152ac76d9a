"""An analysis of Lua in the shape that every text's has, so that a hunt can treat both alike."""

from __future__ import annotations

from perilune.model.analysis import Analysis, Layer
from perilune.model.lua import Form, LuaAnalysis
from perilune.model.rules import Level

MOST_LINES = 2_000
TOLD = frozenset((Form.BYTECODE, Form.MODIFIED))


def as_analysis(found: LuaAnalysis) -> Analysis:
    """The same as an `Analysis`, with one more layer: each known call in full, and the strings that stand nowhere else.

    A rule that looks for `os.execute(` finds it there, whatever the code calls it and whether it is compiled; and what
    the analysis concludes, where that is medium or above.
    """
    spoken = _spoken(found)
    layers = [*found.layers]
    if spoken:
        layers.append(Layer(len(layers), "lua-calls", 0, 0, len(found.layers[0].text), spoken, "lua"))
    return Analysis(
        layers=tuple(layers),
        commands=(),
        indicators=found.indicators,
        capabilities=found.capabilities,
        reasons=found.reasons,
        score=found.score,
        level=found.level,
        cut=found.cut,
        work=sum(len(layer.text) for layer in found.layers),
    )


def _spoken(found: LuaAnalysis) -> str:
    compiled = any(unit.identity.form in TOLD for unit in found.units)
    calls = [call.text(2_000) for call in found.calls if compiled or call.via != "plain"]
    strings = [
        one.text for one in found.literals if len(one.text) > 3 and (compiled or one.how not in ("literal", "constant"))
    ]
    written = "" if compiled else found.layers[0].text
    lines = [*calls, *(text for text in strings if text not in written)][:MOST_LINES]
    return "\n".join(dict.fromkeys([*_concluded(found), *lines]))


def _concluded(found: LuaAnalysis) -> list[str]:
    if found.level < Level.MEDIUM:
        return []
    names = ", ".join(dict.fromkeys(one.id for one in found.capabilities))
    return [f"-- analysis: {found.level.word}, {found.score}", f"-- capabilities: {names}"]
