"""A layer in the Navigator's format 4.5, with the attributes that its specification requires."""

from __future__ import annotations

from perilune.pipeline import load_rules
from perilune.report.navigator import layer
from tests.detection.test_coverage import rule


def test_a_layer_has_what_the_format_requires() -> None:
    made = layer(
        [rule("a", "attack.t1059.011"), rule("b", "attack.t1059.011")], {"T1059.011": "Lua"}, "18.1", name="x", by="y 1"
    )
    assert made["versions"] == {"attack": "18", "navigator": "5.1.0", "layer": "4.5"}
    assert (made["name"], made["domain"]) == ("x", "enterprise-attack")
    (technique,) = made["techniques"]  # type: ignore[misc]
    assert technique["techniqueID"] == "T1059.011"
    assert (technique["score"], technique["enabled"]) == (2, True)
    assert technique["comment"].splitlines() == ["Lua", "a", "b"]
    gradient = made["gradient"]
    assert isinstance(gradient, dict) and gradient["maxValue"] == 2 and len(gradient["colors"]) == 2


def test_the_packs_layer_shows_all_thirteen_and_bounds_its_comments() -> None:
    made = layer(load_rules().rules, {}, "18.1", name="x", by="y 1")
    shown = {one["techniqueID"]: one for one in made["techniques"]}  # type: ignore[attr-defined]
    assert {f"T1059.{number:03}" for number in range(1, 14)} <= set(shown)
    assert shown["T1059.011"]["comment"].endswith("more")
    assert max(len(one["comment"].splitlines()) for one in shown.values()) <= 22
