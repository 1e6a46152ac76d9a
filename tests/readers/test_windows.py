"""Windows events of every shape, and scripts put together from their parts."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perilune.readers import Limits
from perilune.readers.windows import Kinds, ScriptBlocks, shape


def block(number: int, total: int, text: str, script: str = "s1", computer: str = "ws1") -> dict[str, Any]:
    data = {"MessageNumber": number, "MessageTotal": total, "ScriptBlockText": text, "ScriptBlockId": script}
    return {"System": {"Computer": computer}, "EventData": data}


def join(events: list[dict[str, Any]], limits: Limits | None = None) -> tuple[list[tuple[str, int, int, int]], int]:
    """Text, first record, parts seen and parts in all of each script; and how many were incomplete."""
    blocks = ScriptBlocks(limits or Limits())
    done = [one for number, event in enumerate(events, 1) for one in blocks.add(event, number)]
    done += blocks.rest()
    found = [
        (
            event["EventData"]["ScriptBlockText"],
            number,
            event["EventData"]["PartsSeen"],
            event["EventData"]["PartsTotal"],
        )  # type: ignore[index,call-overload]
        for event, number, _ in done
    ]
    return found, sum(problem.count for problem in blocks.problems())


def test_parts_in_any_order() -> None:
    events = [block(n, 9, f"part {n} ") for n in range(1, 10)]
    random.Random(3).shuffle(events)
    assert join(events) == ([("".join(f"part {n} " for n in range(1, 10)), 1, 9, 9)], 0)


def test_scripts_of_two_machines_stay_apart() -> None:
    events = [block(1, 2, "a"), block(1, 2, "x", computer="ws2"), block(2, 2, "b"), block(2, 2, "y", computer="ws2")]
    assert join(events) == ([("ab", 1, 2, 2), ("xy", 2, 2, 2)], 0)


def test_missing_parts_are_counted_and_the_rest_is_kept() -> None:
    assert join([block(1, 3, "a"), block(3, 3, "c")]) == ([("ac", 1, 2, 3)], 1)


def test_the_window_is_bounded() -> None:
    events = [block(1, 2, "a"), *(block(1, 1, "x", f"other{n}") for n in range(20)), block(2, 2, "b")]
    found, incomplete = join(events, replace(Limits(), max_join_window=5))
    assert ("a", 1, 1, 2) in found
    assert ("b", 22, 1, 2) in found
    assert incomplete == 2
    found, incomplete = join(events, replace(Limits(), max_join_bytes=0))
    assert incomplete == 2


def test_a_script_has_a_longest_text() -> None:
    events = [block(n, 100, "x" * 100) for n in range(1, 101)]
    (found,), incomplete = join(events, replace(Limits(), max_text_chars=1000))
    assert len(found[0]) == 1000
    assert incomplete == 1


@pytest.mark.parametrize("number", [None, "x", -1, 0, 2**70, [], {}])
def test_odd_part_numbers(number: object) -> None:
    event = block(1, 2, "a")
    event["EventData"]["MessageNumber"] = number
    found, _ = join([event, block(2, 2, "b")])
    assert "".join(text for text, *_ in found) in ("ab", "ba")


@pytest.mark.parametrize(
    ("system", "kind"),
    [
        ({"Provider": {"#attributes": {"Name": "P"}}, "EventID": 7}, "windows:P/7"),
        ({"Provider": {"#attributes": {"Name": "P"}}, "EventID": "7"}, "windows:P/7"),
        ({"Provider": {"#attributes": {"Name": "P"}}, "EventID": {"#text": 7, "#attributes": {}}}, "windows:P/7"),
        ({"Provider": {"Name": "P"}, "EventID": 7}, "windows:P/7"),
        ({"Provider": "P", "EventID": 7}, "windows:P/7"),
        ({}, "windows:None/None"),
        ({"Provider": [], "EventID": []}, "windows:?"),
    ],
)
def test_kinds(system: dict[str, Any], kind: str) -> None:
    kinds = Kinds()
    assert kinds.name(system) == kinds.name(system) == kind


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["System", "EventData", "UserData", "Data", "#text", "#attributes", "x"]), inner
        )
    ),
    max_leaves=20,
)


@given(JSON)
def test_any_value_is_shaped_or_refused(value: Any) -> None:
    event = shape(value)
    if event is not None:
        assert isinstance(event["System"], dict)
        assert isinstance(event["EventData"], dict)
        assert Kinds().name(event["System"]).startswith("windows:")
