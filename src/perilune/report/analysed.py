"""What a finding's command line really does, laid out for reading: decoded layers, what it can do, indicators."""

from __future__ import annotations

from dataclasses import dataclass

from perilune.model.analysis import Analysis, Capability, Indicator, Layer, LayerState, Weighed
from perilune.model.rules import Level

BYTES = 24  # of a binary that are written as hex


@dataclass(frozen=True, slots=True)
class Peeled:
    """A decoded layer. `how` names its decoding and where it comes from; `text` is empty where nothing was won."""

    number: int
    how: str
    text: str


@dataclass(frozen=True, slots=True)
class Analysed:
    """An analysis inside a budget; each `…_cut` counts what is not written out."""

    score: int
    level: Level
    techniques: tuple[str, ...]
    reasons: tuple[Weighed, ...]
    layers: tuple[Peeled, ...]
    layers_cut: int
    capabilities: tuple[Capability, ...]
    capabilities_cut: int
    indicators: tuple[Indicator, ...]
    indicators_cut: int
    not_looked_at: tuple[str, ...]


def lay_out(found: Analysis | None, layers: int, rows: int) -> Analysed | None:
    """An analysis for a report; None where it has nothing to say beyond the text itself."""
    if found is None:
        return None
    peeled = [_peeled(one) for one in found.layers[1:]]
    can = sorted((one for one in found.capabilities if one.weight > 0), key=lambda one: -one.weight)
    if not peeled and not can and not found.indicators:
        return None
    # Decoded last is what was hidden deepest; the first say how it got there.
    kept = (
        peeled if len(peeled) <= layers else [*peeled[: layers // 2], *peeled[len(peeled) - (layers - layers // 2) :]]
    )
    return Analysed(
        found.score, found.level, found.techniques, tuple(one for one in found.reasons if one.capability)[:rows],
        tuple(kept), len(peeled) - len(kept), tuple(can[:rows]), max(0, len(can) - rows),
        found.indicators[:rows], max(0, len(found.indicators) - rows), found.cut[:4],
    )  # fmt: skip


def _peeled(layer: Layer) -> Peeled:
    how = [f"{layer.kind} of layer {layer.parent}"]
    if layer.language:
        how.append(layer.language)
    if layer.state is not LayerState.WHOLE:
        how.append(layer.state.value)
    if layer.note:
        how.append(layer.note)
    if not layer.binary:
        return Peeled(layer.number, ", ".join(how), layer.text)
    start = layer.text[:BYTES].encode("latin-1", "replace").hex(" ")
    return Peeled(layer.number, ", ".join((*how, f"{len(layer.text):,} bytes")), start)


def about(one: Indicator) -> str:
    """What is known of an indicator: its kind, where it leads, on which list it stands, with the entry and its age."""
    words = [one.kind.value]
    if one.scope.value not in ("", "public"):
        words.append(one.scope.value)
    if one.defanged:
        words.append("written defanged")
    for listing in one.listings[:4]:
        age = f", {listing.age_days} days old" if listing.age_days is not None else ""
        words.append(f"{'known benign' if listing.benign else 'listed'}: {listing.list} ({listing.entry}{age})")
    return "; ".join(words)
