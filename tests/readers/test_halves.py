"""Events of which only the head is decoded give the rows that the same events give as dictionaries."""

from __future__ import annotations

import json
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perilune.ports import Halves, Limits, Records
from perilune.readers.heads import Heads
from perilune.readers.mappings import Mappings, packaged, parse
from perilune.readers.normalize import Normalizer
from perilune.readers.windows import Kinds, shape

SYSMON, SECURITY = "Microsoft-Windows-Sysmon", "Microsoft-Windows-Security-Auditing"
PLAIN = st.none() | st.text(max_size=6) | st.integers(-(2**40), 2**63) | st.booleans()
NESTED = st.lists(PLAIN, max_size=2) | st.dictionaries(st.sampled_from(["a", "#text"]), PLAIN, max_size=2)
NAMES = st.sampled_from(
    [
        "UtcTime",
        "Image",
        "CommandLine",
        "ProcessId",
        "User",
        "Level",
        "Hashes",
        "Other",
        "Data",
        "#attributes",
        '\x01 "é',
    ]
)
BODIES = st.dictionaries(NAMES, PLAIN, max_size=6) | st.dictionaries(NAMES, PLAIN | st.just(1.5) | NESTED, max_size=6)
PROVIDERS = st.sampled_from([{"#attributes": {"Name": name}} for name in (SYSMON, SECURITY, "Other")])
SYSTEMS = st.fixed_dictionaries(
    {
        "Provider": PROVIDERS,
        "EventID": st.sampled_from([1, 3, 13, 4688, 7, {"#attributes": {"Qualifiers": 4}, "#text": 5}]),
    },
    optional={
        "Level": st.sampled_from([None, 0, 1, 4, 1.5, True]),
        "Computer": PLAIN,
        "Security": st.sampled_from([None, {"#attributes": {"UserID": "S-1-5-18"}}, {"#attributes": None}, 7]),
        "TimeCreated": st.sampled_from([None, {"#attributes": {"SystemTime": "2026-03-02T08:15:30.123456Z"}}]),
    },
)


def rows_of(normalizer: Normalizer) -> list[dict[str, Any]]:
    return [{"table": table.name, **row} for table in normalizer.flush() for row in table.data.to_pylist()]


def shaped(text: str) -> dict[str, Any]:
    """The event as the way over dictionaries has it."""
    found = shape(orjson.loads(text)["Event"])
    assert found is not None
    Kinds().name(found["System"])  # type: ignore[arg-type]  # which makes its EventID a number
    return found


def both(texts: list[str], mappings: Mappings) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The rows by halves and by dictionaries of those events that can be halved."""
    heads, limits = Heads(mappings), Limits()
    one, other = Normalizer(mappings, limits), Normalizer(mappings, limits)
    one.begin("f", "evtx"), other.begin("f", "evtx")
    events = heads.decode(texts)
    for number, (event, kind, text) in enumerate(zip(events, heads.kinds(events), texts, strict=True), 1):
        if kind is not None:
            halves = Halves(kind, [event], [number], len(text))
            assert list(one.add(halves)) == []
            assert list(other.add(Records(kind, [shaped(text)], [number], len(text)))) == []
    return rows_of(one), rows_of(other)


@settings(deadline=None, max_examples=300)
@given(st.lists(st.tuples(SYSTEMS, BODIES), min_size=1, max_size=8))
def test_equal_to_dictionaries(events: list[tuple[dict[str, Any], dict[str, Any]]]) -> None:
    texts = [orjson.dumps({"Event": {"System": system, "EventData": body}}).decode() for system, body in events]
    halves, whole = both(texts, packaged())
    assert halves == whole


def event(body: dict[str, object], **system: object) -> str:
    head = {"Provider": {"#attributes": {"Name": "Other"}}, "EventID": 7, **system}
    return json.dumps({"Event": {"System": head, "EventData": body}}, separators=(",", ":"))


def test_control_characters_are_written_alike() -> None:
    halves, whole = both([event({"a": "\x0f"}).replace("\\u000f", "\\u000F")], packaged())
    assert halves == whole
    assert json.loads(halves[0]["AdditionalFields"]) == {"a": "\x0f"}


def test_what_was_added_stands_before_the_rest() -> None:
    texts = [event({"a": 1}, Level=4), event({"Level": 9}, Level=4)]
    halves, _ = both(texts, packaged())
    assert [row["AdditionalFields"] for row in halves] == ['{"Level":4,"a":1}', '{"Level":9}']


@pytest.mark.parametrize("columns", ["FileName: EventData.Image.deep", "FileName: RenderingInfo.Message"])
def test_a_map_that_looks_elsewhere_takes_dictionaries(columns: str) -> None:
    text = f"about: x\nmaps:\n  - kind: windows:*\n    table: XScriptEvents\n    columns: {{{columns}}}\n"
    (one,) = parse(text, "own.yml")
    halves, whole = both([event({"Image": "x"})], Mappings({"windows:*": one}))
    assert halves == whole
    assert len(halves) == 1
