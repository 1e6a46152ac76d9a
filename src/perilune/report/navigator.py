"""A layer for the ATT&CK Navigator, version 4.5 of its format: techniques coloured by how many rules name them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from perilune.model.rules import Role, Rule

LAYER = "4.5"
_SHOWN = 20  # titles in a comment


def layer(
    rules: Iterable[Rule], techniques: Mapping[str, str], attack: str, *, name: str, by: str
) -> dict[str, object]:
    """The layer of the techniques that the rules name, as plain data.

    Args:
        rules: known uses among them are left out.
        techniques: names by id; a technique beyond them is shown without a name.
        attack: the version of ATT&CK that the names are from; the Navigator wants its whole number.
        name: the layer's title.
        by: the program and its version.
    """
    titles: dict[str, list[str]] = {}
    for rule in rules:
        if rule.role is Role.DETECTION:
            for technique in rule.techniques:
                titles.setdefault(technique, []).append(rule.title)
    most = max((len(found) for found in titles.values()), default=1)
    return {
        "name": name,
        "versions": {"attack": attack.partition(".")[0], "navigator": "5.1.0", "layer": LAYER},
        "domain": "enterprise-attack",
        "description": f"Rules by technique, written by {by}; names of ATT&CK {attack}.",
        "sorting": 3,
        "hideDisabled": False,
        "techniques": [_technique(one, titles[one], techniques.get(one, "")) for one in sorted(titles)],
        "gradient": {"colors": ["#e8f1fb", "#1f6fb5"], "minValue": 0, "maxValue": most},
        "legendItems": [],
        "metadata": [],
        "links": [],
        "showTacticRowBackground": False,
        "selectTechniquesAcrossTactics": True,
        "selectSubtechniquesWithParent": False,
        "selectVisibleTechniques": False,
    }


def _technique(technique: str, titles: list[str], name: str) -> dict[str, object]:
    shown = sorted(titles)[:_SHOWN]
    more = f"\nand {len(titles) - len(shown)} more" if len(titles) > len(shown) else ""
    return {
        "techniqueID": technique,
        "score": len(titles),
        "comment": "\n".join(filter(None, (name, *shown))) + more,
        "enabled": True,
        "metadata": [],
        "links": [],
        "showSubtechniques": technique.startswith("T1059"),
    }
