"""Cases as a layer of the ATT&CK Navigator: each technique weighed by the heaviest finding that names it."""

from __future__ import annotations

from collections.abc import Iterable

from perilune.model.case import Case
from perilune.report.attack import technique_name, technique_page
from perilune.report.navigator import LAYER
from perilune.report.text import shorten, visible

_SHOWN = 12  # lines of a comment


def layer(cases: Iterable[Case], attack: str, *, name: str, by: str) -> dict[str, object]:
    """The layer as plain data.

    Args:
        attack: the version of ATT&CK that the packaged names are from.
        name: the layer's title.
        by: the program and its version.
    """
    scores: dict[str, int] = {}
    told: dict[str, dict[str, None]] = {}
    for case in cases:
        for finding in case.findings:
            for technique in finding.techniques:
                if technique_page(technique):  # what is no technique has no place in the matrix
                    scores[technique] = max(scores.get(technique, 0), finding.score)
                    line = f"{case.id or 'case'} on {shorten(case.host, 60)}: {shorten(finding.rule_title, 120)}"
                    told.setdefault(technique, {})[visible(line)] = None
    return {
        "name": visible(shorten(name, 200)),
        "versions": {"attack": attack.partition(".")[0], "navigator": "5.1.0", "layer": LAYER},
        "domain": "enterprise-attack",
        "description": f"Techniques that the cases' findings name, by the heaviest score; written by {by}.",
        "sorting": 3,
        "hideDisabled": False,
        "techniques": [_technique(one, scores[one], list(told[one])) for one in sorted(scores)],
        "gradient": {"colors": ["#fff3d6", "#c62828"], "minValue": 0, "maxValue": 100},
        "legendItems": [],
        "metadata": [],
        "links": [],
        "showTacticRowBackground": False,
        "selectTechniquesAcrossTactics": True,
        "selectSubtechniquesWithParent": False,
        "selectVisibleTechniques": False,
    }


def _technique(technique: str, score: int, told: list[str]) -> dict[str, object]:
    more = [f"and {len(told) - _SHOWN} more"] if len(told) > _SHOWN else []
    return {
        "techniqueID": technique,
        "score": score,
        "comment": "\n".join([technique_name(technique), *told[:_SHOWN], *more]).strip(),
        "enabled": True,
        "metadata": [],
        "links": [],
        "showSubtechniques": "." in technique,
    }
