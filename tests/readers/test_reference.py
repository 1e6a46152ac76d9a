"""The reference of sources lists every packaged map; `python -m tests.readers.test_reference` writes the list."""

from __future__ import annotations

import re
from pathlib import Path

from perilune.readers.mappings import Map, packaged

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "sources.md"
PART = re.compile(r"(?<=<!-- generated: python -m tests.readers.test_reference -->\n).*?(?=<!-- end -->)", re.DOTALL)


def listed() -> str:
    maps = {id(one): one for one in packaged().by_kind.values()}
    return "\n" + "\n".join(entry(one) for one in maps.values()) + "\n"


def entry(one: Map) -> str:
    kinds = ", ".join(f"`{kind}`" for kind in one.kinds)
    names = sorted(
        {column.name for column in one.columns} | set(one.constants) | ({"AdditionalFields"} if one.extra else set())
    )
    filled = ", ".join(names) + (", and every column that the row has" if one.as_is else "")
    return f"- {kinds} → **{one.table}**: {filled}"


def test_every_map_is_listed() -> None:
    found = PART.search(PAGE.read_text(encoding="utf-8"))
    assert found is not None
    assert found.group() == listed(), "run python -m tests.readers.test_reference"


if __name__ == "__main__":
    PAGE.write_text(PART.sub(lambda _: listed(), PAGE.read_text(encoding="utf-8")), encoding="utf-8")
