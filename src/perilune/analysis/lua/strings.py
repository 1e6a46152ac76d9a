"""What the strings of a program say: indicators in them, and what the command lines among them do."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from perilune.analysis import indicators as finder
from perilune.model.analysis import Capability, Indicator, Layer, Sign
from perilune.model.lua import Call, Literal

if TYPE_CHECKING:
    from perilune.analysis.lua.work import Work

MOST_TEXT = 4_000
MOST_COMMANDS = 12
_WORTH = frozenset("./\\@:")
_SEPARATOR = "\n"


def indicators(literals: Sequence[Literal], layers: Sequence[Layer]) -> list[Indicator]:
    """The indicators in the strings, not in comments; each at its string, or at its place in it where it is literal."""
    kept = [
        one
        for one in literals
        if (len(one.text) > 5 and not _WORTH.isdisjoint(one.text)) or len(one.text) in (32, 40, 64)
    ]
    starts = [0]
    parts = []
    for one in kept:
        parts.append(_clean(one.text))
        starts.append(starts[-1] + len(parts[-1]) + 1)
    found: list[Indicator] = []
    joined = _SEPARATOR.join(parts)
    for at in range(0, max(1, len(joined)), finder.MAX_TEXT):
        hits = finder.find([Layer(0, "given", None, at, 0, joined[at : at + finder.MAX_TEXT])])
        moved = (replace(hit, start=hit.start + at, end=hit.end + at) for hit in hits)
        found.extend(_placed(hit, kept, starts, layers) for hit in moved)
    return list({(one.kind, one.value): one for one in reversed(found)}.values())[::-1]


def _clean(text: str) -> str:
    return text[:MOST_TEXT].replace("\0", "\n")


def _placed(one: Indicator, literals: Sequence[Literal], starts: Sequence[int], layers: Sequence[Layer]) -> Indicator:
    place = max(0, min(bisect_right(starts, one.start) - 1, len(literals) - 1))
    literal = literals[place]
    offset = one.start - starts[place]
    raw = layers[literal.layer].text[literal.start : literal.end]
    if (inside := raw.find(literal.text[offset : offset + one.end - one.start])) >= 0:
        start = literal.start + inside
        return replace(one, layer=literal.layer, start=start, end=start + one.end - one.start)
    return replace(one, layer=literal.layer, start=literal.start, end=literal.end)


_COMMANDS = frozenset(
    ("os.execute", "io.popen", "posix.popen", "vim.fn.system", "ngx.pipe.spawn", "resty.shell.run", "luci.sys.exec")
)


def commands(work: Work, known: Sequence[Capability]) -> list[Capability]:
    """What the command lines given to a shell do, as the room for command lines reads them; each becomes a layer."""
    from perilune import analysis

    lines: dict[str, Call] = {}  # each line once, at the place where it stands in the code if it was read there
    for call in work.calls:
        if call.name in _COMMANDS and call.arguments and call.arguments[0] and not call.arguments[0].startswith("="):
            lines.setdefault(call.arguments[0], call)
    found: dict[str, Capability] = {}
    ids = {one.id for one in known}
    for text, call in list(lines.items())[:MOST_COMMANDS]:
        read = analysis.analyze(text[:MOST_TEXT])
        base = len(work.layers)
        for layer in read.layers:
            top = layer.parent is None
            work.layers.append(
                replace(
                    layer,
                    number=base + layer.number,
                    kind="command" if top else layer.kind,
                    parent=call.layer if top else base + (layer.parent or 0),
                    start=call.start if top else layer.start,
                    end=call.end if top else layer.end,
                )
            )
        for one in read.capabilities:
            if one.weight > 0 and one.id not in ids:
                found.setdefault(one.id, replace(one, signs=tuple(_moved(sign, base) for sign in one.signs)))
    if len(lines) > MOST_COMMANDS:
        work.cut.append(f"{len(lines) - MOST_COMMANDS} more command lines were not read")
    return list(found.values())


def _moved(sign: Sign, base: int) -> Sign:
    return replace(sign, layer=sign.layer + base)
