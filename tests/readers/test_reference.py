"""The reference of sources lists every packaged map; `python -m tests.readers.test_reference` writes the list."""

from __future__ import annotations

import re
from pathlib import Path

from perilune.readers.detect import packaged as readers_packaged
from perilune.readers.mappings import Map, packaged
from perilune.readers.patterns import packaged as patterns_packaged

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


FORMATS = re.compile(
    r"(?<=<!-- formats: python -m tests.readers.test_reference -->\n).*?(?=<!-- end of formats -->)", re.DOTALL
)


def formats() -> str:
    lines = ["| format | told by | kinds of record |", "| --- | --- | --- |"]
    patterns = {one.name: one for one in patterns_packaged()}
    for reader in readers_packaged():
        one = patterns.get(reader.name)
        kinds = ", ".join(sorted({f"`{entry.kind}`" for entry in one.entries})) if one else ""
        lines.append(f"| `{reader.name}` | {reader.looks_for} | {kinds} |")
    return "\n" + "\n".join(lines) + "\n\n"


def test_every_format_is_listed() -> None:
    found = FORMATS.search(PAGE.read_text(encoding="utf-8"))
    assert found is not None
    assert found.group() == formats(), "run python -m tests.readers.test_reference"


def test_every_map_is_listed() -> None:
    found = PART.search(PAGE.read_text(encoding="utf-8"))
    assert found is not None
    assert found.group() == listed(), "run python -m tests.readers.test_reference"


if __name__ == "__main__":
    text = PART.sub(lambda _: listed(), PAGE.read_text(encoding="utf-8"))
    PAGE.write_text(FORMATS.sub(lambda _: formats(), text), encoding="utf-8")
