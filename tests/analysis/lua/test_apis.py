"""The table of APIs is whole, its patterns compile, and every capability can be shown and said."""

from __future__ import annotations

import re

import pytest

from perilune.analysis.lua.apis import Apis, packaged, parse
from perilune.analysis.lua.says import sentence
from perilune.errors import ContentError
from perilune.model.analysis import Capability, Sign
from perilune.model.lua import Call, Literal

DEFINITIONS = list(packaged().definitions.values())


@pytest.mark.parametrize("one", DEFINITIONS, ids=lambda one: one.id)
def test_definition(one: object) -> None:
    from perilune.analysis.lua.apis import Definition

    assert isinstance(one, Definition)
    assert re.fullmatch(r"[a-z][a-z0-9-]+", one.id)
    assert one.says[0].islower() and not one.says.endswith(".")
    assert all(re.fullmatch(r"T\d{4}(\.\d{3})?", technique) for technique in one.techniques)
    assert one.weight > 0
    for need in one.needs:
        assert set(need) <= packaged().definitions.keys()
    if one.family != "context" and one.weight >= 0.5:
        assert one.techniques
    shown = sentence(
        Capability(one.id, one.title, one.family, one.techniques, one.weight, "", (Sign(0, 0, 1, 'f("x")', "plain"),)),
        packaged(),
    )
    assert "{" not in shown


def test_every_mark_that_is_asked_for_can_be_made() -> None:
    gives = {one.gives for one in DEFINITIONS if one.gives}
    takes = {one.takes for one in DEFINITIONS if one.takes}
    possible = {"hidden-call", "unpacked-code"} | {f"{a}-data-to-{b}" for a in gives for b in takes}
    assert {mark for one in DEFINITIONS for mark in one.marks} <= possible


def _apis(text: str) -> Apis:
    import yaml

    return Apis([parse(one, "test") for one in yaml.safe_load(text)])


def test_arguments_needs_and_wildcards() -> None:
    apis = _apis("""
- {id: a, title: A, says: does a, family: context, weight: 1, calls: [{name: f, argument: 0, matches: '^x'}, 'g.*']}
- {id: b, title: B, says: does b, family: context, weight: 1, needs: [a], strings: 'secret'}
""")
    assert [c.id for c in apis.find([Call("f", 0, 0, 1, ("xy",))], [], [])] == ["a"]
    assert apis.find([Call("f", 0, 0, 1, (None,))], [], []) == []
    assert [c.id for c in apis.find([Call("g.h", 0, 0, 1)], [Literal("a secret", 0, 5, 9)], [])] == ["a", "b"]
    assert apis.find([], [Literal("a secret", 0, 5, 9)], []) == []


@pytest.mark.parametrize(
    ("document", "what"),
    [("x", "a capability is a mapping"), ({"id": "a"}, "missing: title"), ({"id": "a", "title": "A", "says": "x", "family": "none", "weight": 1, "odd": 1}, "no such key: odd")],
)  # fmt: skip
def test_faults_are_named(document: object, what: str) -> None:
    with pytest.raises(ContentError, match=what):
        parse(document, "test")


def test_a_capability_that_another_makes_needless_is_left_out() -> None:
    apis = _apis("""
- {id: a, title: A, says: does a, family: context, weight: 1, calls: [f], unless: [b]}
- {id: b, title: B, says: does b, family: context, weight: 1, calls: [g]}
""")
    assert [c.id for c in apis.find([Call("f", 0, 0, 1)], [], [])] == ["a"]
    assert [c.id for c in apis.find([Call("f", 0, 0, 1), Call("g", 0, 0, 1)], [], [])] == ["b"]
