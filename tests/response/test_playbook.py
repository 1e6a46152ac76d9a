"""Documents become types, or every fault with its path."""

from __future__ import annotations

import json
from importlib.resources import files

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perilune.errors import ContentError
from perilune.response import cacao
from perilune.response.playbook import MAX_BYTES, load_playbook, parse_playbook, responses
from tests.response.build import action_step, document, key

GOOD = document(
    {
        "start:a": {"type": "start", "on_completion": "action:a"},
        "action:a": action_step("do", {"action": "isolate-host", "each": "hosts"}, on_completion="end:a"),
        "end:a": {"type": "end"},
    }
)


def test_a_good_document_is_typed() -> None:
    playbook = load_playbook(json.dumps(GOOD), "x")
    step = playbook.workflow[key("action:a")]
    assert isinstance(step, cacao.ActionStep)
    assert isinstance(step.commands[0], cacao.Manual)
    assert responses(playbook)[key("action:a")].action == "isolate-host"


def test_every_fault_is_found_at_once_with_its_path() -> None:
    bad = json.loads(json.dumps(GOOD))
    bad["created"] = "yesterday"
    bad["workflow"][key("start:a")]["type"] = "begin"
    bad["workflow"][key("action:a")]["commands"][0]["type"] = "telepathy"
    bad["playbook_variables"] = {"__x__": {"value": "1"}}
    faults = {fault.path: fault.what for fault in parse_playbook(json.dumps(bad)).faults}
    assert "$.created" in faults
    assert "known are start, end, action" in faults[f"$.workflow[{key('start:a')!r}].type"]
    assert "telepathy" in faults[f"$.workflow[{key('action:a')!r}].commands[0].type"]
    assert "missing required field `type`" in faults["$.playbook_variables['__x__']"]


@pytest.mark.parametrize("extra", ["$.surprise", "workflow", "extension"])
def test_an_unknown_property_is_an_error_wherever_it_stands(extra: str) -> None:
    bad = json.loads(json.dumps(GOOD))
    if extra == "workflow":
        bad["workflow"][key("end:a")]["surprise"] = 1
    elif extra == "extension":
        bad["workflow"][key("action:a")]["step_extensions"][cacao.EXTENSION]["surprise"] = 1
    else:
        bad["surprise"] = 1
    parsed = parse_playbook(json.dumps(bad))
    assert parsed.playbook is None
    assert "surprise" in parsed.faults[0].what


def test_another_version_of_the_specification_is_refused() -> None:
    with pytest.raises(ContentError, match="spec_version"):
        load_playbook(json.dumps(GOOD | {"spec_version": "cacao-1.1"}), "x")


def test_a_document_that_is_too_large_is_not_read() -> None:
    assert "larger" in parse_playbook(b" " * (MAX_BYTES + 1)).faults[0].what


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=20),
        lambda c: st.lists(c, max_size=4) | st.dictionaries(st.sampled_from([*GOOD, "x"]), c, max_size=6),
        max_leaves=20,
    )
)
def test_any_json_is_a_playbook_or_located_faults(value: object) -> None:
    merged = {**GOOD, **value} if isinstance(value, dict) else value
    parsed = parse_playbook(json.dumps(merged))
    assert (parsed.playbook is None) == bool(parsed.faults)
    assert all(fault.path.startswith("$") for fault in parsed.faults)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_playbook_or_faults(data: bytes) -> None:
    assert parse_playbook(data).playbook is None


def test_the_packaged_documents_are_valid() -> None:
    folder = files("perilune") / "content" / "playbooks"
    documents = [one for one in folder.iterdir() if one.name.endswith(".json")]
    assert len(documents) == 7
    for one in documents:
        load_playbook(one.read_text(encoding="utf-8"), one.name)
