"""The analysis of a finding's text as JSON: what a case needs of it, inside a budget that it names."""

from __future__ import annotations

from perilune.cli.analyze_output import capability_object, indicator_object, layer_object
from perilune.model.analysis import Analysis

MOST_LAYERS = 16
MOST_ROWS = 60
MOST_SIGNS = 4

Plain = dict[str, object]


def analysed_object(found: Analysis | None) -> Plain | None:
    """A finding's analysis; `analyze --json` has the whole of it for a text."""
    if found is None:
        return None
    return {
        "score": found.score,
        "severity": found.level.word,
        "techniques": list(found.techniques),
        "reasons": [{"odds": r.odds, "text": r.text, "capability": r.capability or None} for r in found.reasons],
        "layers": [layer_object(one) for one in found.layers[:MOST_LAYERS]],
        "capabilities": [
            capability_object(one) | {"signs": capability_object(one)["signs"][:MOST_SIGNS]}  # type: ignore[index]
            for one in found.capabilities[:MOST_ROWS]
        ],
        "indicators": [indicator_object(one) for one in found.indicators[:MOST_ROWS]],
        "not_listed": {
            "layers": max(0, len(found.layers) - MOST_LAYERS),
            "capabilities": max(0, len(found.capabilities) - MOST_ROWS),
            "indicators": max(0, len(found.indicators) - MOST_ROWS),
        },
        "not_looked_at": list(found.cut),
    }
