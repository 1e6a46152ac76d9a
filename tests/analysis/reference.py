"""The generated tables of `docs/reference/analysis.md`: `python -m tests.analysis.reference` writes them."""

from __future__ import annotations

import re
from collections.abc import Iterator

from perilune.analysis.capabilities import FAMILIES, packaged
from perilune.analysis.interpreters import INTERPRETERS, Flag, Interpreter, Prefix, Takes
from tests.conftest import CHECKOUT

PAGE = CHECKOUT / "docs" / "reference" / "analysis.md"


_CODE = (Takes.NEXT, Takes.REST, Takes.BASE64, Takes.SUBCOMMAND)


def _written(row: Interpreter, flag: Flag) -> str:
    mark = "" if flag.takes is Takes.SUBCOMMAND else "/" if row.prefix is Prefix.SLASH else "-"
    return mark + flag.name


def interpreters() -> Iterator[str]:
    yield "| interpreter | technique | code after | comment |"
    yield "| --- | --- | --- | --- |"
    for row in INTERPRETERS:
        flags = " ".join(f"`{_written(row, flag)}`" for flag in row.flags if flag.takes in _CODE)
        yield f"| {row.name} | {row.technique} | {flags or '–'} | `{row.comment}` |"


def capabilities() -> Iterator[str]:
    yield "| family | capabilities (weight) |"
    yield "| --- | --- |"
    for family in FAMILIES:
        some = sorted((one for one in packaged().definitions if one.family == family), key=lambda one: -abs(one.weight))
        yield f"| {family} | {', '.join(f'{one.id} ({one.weight:+.1f})' for one in some)} |"


def page(text: str) -> str:
    for name, rows in (("interpreters", interpreters()), ("capabilities", capabilities())):
        block = f"<!-- {name} -->\n" + "\n".join(rows) + "\n<!-- end -->"
        text = re.sub(rf"<!-- {name} -->\n.*?<!-- end -->", lambda _, made=block: made, text, flags=re.DOTALL)
    return text


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
