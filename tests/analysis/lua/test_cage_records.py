"""What a child wrote is hostile: whatever the bytes are, reading them gives records and counts, and never raises."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perilune.analysis.lua.run.records import MOST_TEXT, read

LOCKED = b'{"k":"locked","l":["seccomp"]}\n'
CALL = b'{"k":"call","n":"os.execute","a":["id"],"t":1.5}\n'
END = b'{"k":"end","how":"returned","s":"","steps":5}\n'

_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(1 << 70), 1 << 70) | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from("knatmhdcslxu"), inner, max_size=5),
    max_leaves=4,
)
_KINDS = ("locked", "unlocked", "call", "more", "code", "string", "note", "end", "?")
_RECORDS = st.builds(lambda kind, rest: {**rest, "k": kind}, st.sampled_from(_KINDS), st.dictionaries(st.sampled_from(("n", "a", "t", "m", "h", "d", "c", "ok", "cut", "s", "x", "u", "how", "steps", "l")), _VALUES))  # fmt: skip


@settings(max_examples=80, deadline=None)
@given(
    st.lists(st.binary(max_size=30) | _RECORDS.map(lambda one: json.dumps(one).encode()), max_size=20), st.booleans()
)
def test_anything_can_be_read(lines: list[bytes], locked: bool) -> None:
    found = read((LOCKED if locked else b"") + b"\n".join(lines), 1, 10)
    assert len(found.events) <= 10 and len(found.chunks) <= 10 and len(found.strings) <= 10
    assert all(len(text) <= MOST_TEXT for one in found.events for text in one.arguments)
    assert all(math.isfinite(one.at) and one.times >= 1 for one in found.events)
    if not found.locked:
        assert not found.events and not found.chunks and found.end is None


@pytest.mark.parametrize(
    "line",
    [b'{"x":' + b"[" * 200_000, b"[" * 200_000, b'{"k":"call","n":"x","a":[' + b"[" * 100_000, b'{"a":' + b'{"a":' * 100_000, b'"' + b"x" * 3_000_000],
    ids=["deep field", "deep", "deep argument", "deep object", "long"],
)  # fmt: skip
def test_deep_and_long_lines_are_only_counted(line: bytes) -> None:
    found = read(LOCKED + line + b"\n" + CALL + END, 1, 10)
    assert found.forged == 1 and len(found.events) == 1 and found.end is not None


def test_the_order_is_part_of_it() -> None:
    assert read(CALL + LOCKED + END, 1, 10).forged == 1
    assert read(LOCKED + END + CALL, 1, 10).forged == 1
    assert read(LOCKED + LOCKED, 1, 10).forged == 1
    assert read(LOCKED + END + END, 1, 10).forged == 1
    whole = read(LOCKED + CALL + END, 1, 10)
    assert (whole.forged, whole.torn, len(whole.events)) == (0, False, 1)
    assert read(LOCKED + CALL + END[:20], 1, 10).torn


def test_more_than_is_kept_is_no_forgery() -> None:
    found = read(LOCKED + CALL * 50 + END, 1, 10)
    assert len(found.events) == 10 and found.forged == 0 and found.end is not None
