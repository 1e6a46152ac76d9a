"""The reference page names every interpreter and capability, as they are."""

from __future__ import annotations

from tests.analysis import reference


def test_the_page_is_current() -> None:
    text = reference.PAGE.read_text(encoding="utf-8")
    assert text == reference.page(text), "run: python -m tests.analysis.reference"
