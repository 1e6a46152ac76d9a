"""Writes the expected rows of every input here anew: `python -m tests.readers.golden`. Review the diff."""

from __future__ import annotations

from tests.readers.test_golden import INPUTS, expected, rendered

for path in INPUTS:
    expected(path).write_text(rendered(path), encoding="utf-8")
    print(expected(path).name)
