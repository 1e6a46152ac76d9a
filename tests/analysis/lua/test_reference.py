"""The table of analogues in `docs/reference/lua.md`: `python -m tests.analysis.lua.test_reference` writes it anew.

Every cell is measured when the table is made: each form of an analogue is read again and compared with the source.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from perilune.analysis import lua
from perilune.model.lua import LuaAnalysis
from tests.analysis.lua.test_corpus import ANALOGUES, CONCEALING, HERE, _indicators, _intents, _techniques
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
        name = one["name"]
        source = (HERE / f"{name}.lua").read_bytes()
        read = lua.analyze(source, "notes.txt")
        others = [lua.analyze((HERE / "compiled" / f"{name}.luac").read_bytes(), "readme.txt")]
        others += [lua.analyze(wrapped(source), "userdata.txt") for wrapped in WRAPPINGS.values()]
        shown = ", ".join(f"`{intent}`" for intent in sorted(_shown(read)))
        techniques = " ".join(sorted(_techniques(read, _shown(read))))
        alike = ["same" if _alike(read, other) else "**differs**" for other in others]
        alike[0] = f"{alike[0]} ({one['compiled']})"
        yield f"| {one['family']} | {shown} | {techniques} | {len(_indicators(read))} | {' | '.join(alike)} |"


def _shown(found: LuaAnalysis) -> set[str]:
    return _intents(found) - CONCEALING


def _alike(one: LuaAnalysis, other: LuaAnalysis) -> bool:
    """The same intents, the same techniques of them, and the same indicators; how the code is hidden is apart."""
    return (_shown(one), _techniques(one, _shown(one)), _indicators(one)) == (
        _shown(other), _techniques(other, _shown(other)), _indicators(other),
    )  # fmt: skip


def _with_table(page: str) -> str:
    head, rest = page.split(BEGIN)
    return head + BEGIN + table() + END + rest.split(END, 1)[1]


def test_the_table_of_analogues_is_current_and_nothing_in_it_differs() -> None:
    page = Path(PAGE).read_text(encoding="utf-8")
    assert page == _with_table(page), "run: python -m tests.analysis.lua.test_reference"
    assert "differs" not in page.split(BEGIN)[1]


if __name__ == "__main__":
    PAGE.write_text(_with_table(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
