"""Blocks of lines: numbers, budgets, and no line lost."""

from __future__ import annotations

import io
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from perilune.ports import Limits, Lost
from perilune.readers.text import Lines, line_blocks


@given(
    st.lists(st.binary(max_size=12).map(lambda b: b.replace(b"\n", b"")), max_size=30),
    st.integers(1, 40),
    st.integers(1, 12),
)
def test_every_line_comes_once_with_its_number(lines: list[bytes], block: int, most: int) -> None:
    limits = replace(Limits(), max_line_bytes=most)
    found: dict[int, bytes] = {}
    lost = 0
    for item in line_blocks(io.BytesIO(b"\n".join(lines)), limits, block):
        if isinstance(item, Lost):
            lost += 1
            continue
        assert isinstance(item, Lines)
        for number, line in enumerate(item.lines, item.first):
            assert number not in found
            found[number] = line
    assert lost == sum(len(line) > most for line in lines)
    for number, line in enumerate(lines, 1):
        assert found.get(number, b"") == (line if len(line) <= most else b"")
