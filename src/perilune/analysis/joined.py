"""One analysis put into another: the script that a command line runs becomes layers of that command line's analysis."""

from __future__ import annotations

from dataclasses import replace

from perilune.model.analysis import Analysis, Layer

KIND = "script-file"


def with_script(found: Analysis, start: int, end: int, script: Analysis, note: str) -> Analysis:
    """What the script does is added to what the command line does; the higher score, with its reasons, is kept.

    Args:
        found: of the command line.
        start: where the script's name begins in it.
        end: where it ends.
        script: of the script's text.
        note: which file it is, and how sure that is.
    """
    base = len(found.layers)
    top = replace(script.layers[0], number=base, kind=KIND, parent=0, start=start, end=end, note=note)
    inner = [replace(one, number=base + one.number, parent=base + (one.parent or 0)) for one in script.layers[1:]]
    known = {one.id for one in found.capabilities}
    added = [
        replace(one, signs=tuple(replace(sign, layer=base + sign.layer) for sign in one.signs))
        for one in script.capabilities
        if one.id not in known
    ]
    heavier = script if script.score > found.score else found
    layers: tuple[Layer, ...] = (*found.layers, top, *inner)
    return replace(
        found,
        layers=layers,
        capabilities=(*found.capabilities, *added),
        indicators=(*found.indicators, *(replace(one, layer=base + one.layer) for one in script.indicators)),
        score=heavier.score,
        level=heavier.level,
        reasons=heavier.reasons,
        cut=(*found.cut, *script.cut),
        work=found.work + script.work,
    )
