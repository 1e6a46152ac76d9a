"""Each analogue is explained alike as source, as stripped bytecode of its version, and in every wrapping."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from perilune.analysis import lua
from perilune.analysis.lua.apis import packaged
from perilune.model.lua import Form, LuaAnalysis
from perilune.model.rules import Level
from tests.analysis.lua.wrap import WRAPPINGS

HERE = Path(__file__).parent / "corpus"
ANALOGUES: list[dict[str, Any]] = yaml.safe_load((HERE / "analogues.yml").read_text(encoding="utf-8"))
# How the code is hidden belongs to the wrapping, not to what the code does.
CONCEALING = frozenset(("dynamic-code", "dynamic-code-computed", "hidden-code", "hidden-call"))


def _source(one: dict[str, Any]) -> bytes:
    return (HERE / f"{one['name']}.lua").read_bytes()


def _intents(found: LuaAnalysis) -> set[str]:
    return {one.id for one in found.capabilities if one.id in packaged().definitions}


def _techniques(found: LuaAnalysis, ids: set[str]) -> set[str]:
    return {t for one in found.capabilities if one.id in ids for t in one.techniques}


def _indicators(found: LuaAnalysis) -> set[str]:
    return {f"{one.kind} {one.value}" for one in found.indicators}


@pytest.mark.parametrize("one", ANALOGUES, ids=lambda one: one["name"])
def test_source(one: dict[str, Any]) -> None:
    found = lua.analyze(_source(one), "notes.txt")
    assert found.identity.form is Form.SOURCE
    assert _intents(found) == set(one["intents"])
    assert _techniques(found, _intents(found)) == set(one["techniques"])
    assert _indicators(found) == set(one["indicators"])
    assert found.level >= Level[one["least"].upper()]


@pytest.mark.parametrize("one", ANALOGUES, ids=lambda one: one["name"])
def test_stripped_bytecode_under_any_name(one: dict[str, Any]) -> None:
    found = lua.analyze((HERE / "compiled" / f"{one['name']}.luac").read_bytes(), "readme.txt")
    assert (found.identity.form, str(found.identity.dialect)) == (Form.BYTECODE, one["compiled"])
    chunk = found.units[0].chunk
    assert chunk is not None and chunk.header.stripped and not chunk.faults
    assert _intents(found) == set(one["intents"])
    assert _techniques(found, _intents(found)) == set(one["techniques"])
    assert _indicators(found) == set(one["indicators"])
    assert found.level >= Level[one["least"].upper()]


@pytest.mark.parametrize("wrapping", WRAPPINGS)
@pytest.mark.parametrize("one", ANALOGUES, ids=lambda one: one["name"])
def test_wrapped(one: dict[str, Any], wrapping: str) -> None:
    found = lua.analyze(WRAPPINGS[wrapping](_source(one)), "userdata.txt")
    wanted = set(one["intents"]) - CONCEALING
    assert _intents(found) - CONCEALING == wanted
    assert _techniques(found, wanted) == {
        t for c in packaged().definitions.values() if c.id in wanted for t in c.techniques
    }
    assert _indicators(found) == set(one["indicators"])
    assert "hidden-code" in _intents(found)
    assert found.level >= Level[one["least"].upper()]


def test_twice_wrapped() -> None:
    source = (HERE / "cron_dropper.lua").read_bytes()
    found = lua.analyze(WRAPPINGS["string.char"](WRAPPINGS["xor table"](source)), "import.ui")
    assert {"shell-download", "persistence-unix"} <= _intents(found)
    assert [layer.parent for layer in found.layers[:3]] == [None, 0, 1]


@pytest.mark.parametrize("wrapping", WRAPPINGS)
def test_harmless_code_stays_harmless_when_wrapped(wrapping: str) -> None:
    source = b"local t = {}\nfor i = 1, 10 do t[i] = i * i end\nprint(table.concat(t, ', '))\nreturn t\n"
    found = lua.analyze(WRAPPINGS[wrapping](source), "x.lua")
    assert _intents(found) <= CONCEALING
    assert found.level <= Level.MEDIUM


@pytest.mark.parametrize("one", ANALOGUES, ids=lambda one: one["name"])
def test_every_span_lies_in_its_layer(one: dict[str, Any]) -> None:
    found = lua.analyze(WRAPPINGS["string.char"](_source(one)))
    sizes = [len(layer.text) for layer in found.layers]
    for call in found.calls:
        assert 0 <= call.start <= call.end <= sizes[call.layer]
    for capability in found.capabilities:
        for sign in capability.signs:
            assert 0 <= sign.start <= sign.end <= sizes[sign.layer]
    for indicator in found.indicators:
        assert 0 <= indicator.start <= indicator.end <= sizes[indicator.layer]
    for layer in found.layers[1:]:
        assert layer.parent is not None and layer.parent < layer.number
        assert 0 <= layer.start <= layer.end <= sizes[layer.parent]
