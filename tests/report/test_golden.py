"""The reports of a whole case, as files that people can open and diff."""

from __future__ import annotations

import pytest

from tests.report.regenerate import GOLDEN, reports


@pytest.mark.parametrize("name", sorted(reports()))
def test_a_report_is_as_it_was_reviewed(name: str) -> None:
    expected = (GOLDEN / name).read_text("utf-8")
    assert reports()[name] == expected, "changed on purpose? `python -m tests.report.regenerate` and read the diff"
