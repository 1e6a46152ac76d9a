"""The table of analogues in `docs/reference/lua.md`: `python -m tests.analysis.lua.test_reference` writes it anew.

Every cell is what `test_corpus.py` proves of each form: the intents, techniques and indicators of `corpus/analogues.yml`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from perilune.analysis.lua.apis import packaged
from tests.analysis.lua.test_corpus import ANALOGUES, CONCEALING
from tests.analysis.lua.wrap import WRAPPINGS
from tests.conftest import CHECKOUT

PAGE = CHECKOUT / "docs" / "reference" / "lua.md"
BEGIN, END = "<!-- analogues -->\n", "<!-- end -->"


def table() -> str:
    return "\n".join(_rows()) + "\n"


def _rows() -> Iterator[str]:
    forms = ["compiled, stripped", *WRAPPINGS]
    yield f"| analogue of | what it does, as read | techniques | indicators | {' | '.join(forms)} |"
    yield "| --- " * (4 + len(forms)) + "|"
    for one in ANALOGUES:
        intents = sorted(set(one["intents"]) - CONCEALING)
        shown = ", ".join(f"`{intent}`" for intent in intents)
        techniques = " ".join(sorted({t for intent in intents for t in packaged().definitions[intent].techniques}))
        alike = [f"same ({one['compiled']})", *["same"] * len(WRAPPINGS)]
        yield f"| {one['family']} | {shown} | {techniques} | {len(one['indicators'])} | {' | '.join(alike)} |"


def _with_table(page: str) -> str:
    head, rest = page.split(BEGIN)
    return head + BEGIN + table() + END + rest.split(END, 1)[1]


def test_the_table_of_analogues_is_what_the_tests_hold() -> None:
    page = Path(PAGE).read_text(encoding="utf-8")
    assert page == _with_table(page), "run: python -m tests.analysis.lua.test_reference"


if __name__ == "__main__":
    PAGE.write_text(_with_table(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
