"""The suppressions of a content folder. A fault is a ContentError with its line.

suppressions:
  - id: shop-tests
    rule: 4e3bf1c0-…            # the id or the title of a rule
    where: {DeviceName: build-*, ProcessCommandLine: "*busted*"}
    owner: ann@corp.example
    reason: The shop's test runner starts Lua.
    expires: 2027-03-31
"""

from __future__ import annotations

from datetime import date
from pathlib import Path

from perilune.model.suppression import Suppression
from perilune.model.tables import COLUMNS
from perilune.readers.located import Node, locate, suggest

_KEYS = ("id", "rule", "where", "owner", "reason", "expires")
_NEEDED = ("id", "rule", "owner", "reason", "expires")
FIELDS = ("host", "user", *COLUMNS)
MAX_BYTES = 1 << 20
MOST_STARS = 10


def load_suppressions(path: Path) -> tuple[Suppression, ...]:
    """The suppressions of one file."""
    with path.open("rb") as stream:
        text = stream.read(MAX_BYTES).decode("utf-8-sig", "replace")
    return parse_suppressions(text, str(path))


def parse_suppressions(text: str, where: str) -> tuple[Suppression, ...]:
    keys = locate(text, where).keys(known=("about", "suppressions"), needed=("suppressions",))
    return tuple(_suppression(node) for node in keys["suppressions"].items())


def _suppression(node: Node) -> Suppression:
    keys = node.keys(known=_KEYS, needed=_NEEDED)
    for name in ("id", "rule", "owner", "reason"):
        if not keys[name].text().strip():
            raise keys[name].wrong(f"{name} is empty")
    return Suppression(
        id=keys["id"].text(),
        rule=keys["rule"].text(),
        owner=keys["owner"].text(),
        reason=keys["reason"].text(),
        expires=_day(keys["expires"]),
        where={name: _pattern(name, one) for name, one in keys["where"].keys().items()} if "where" in keys else {},
        source=node.where,
    )


def _pattern(name: str, node: Node) -> str:
    if name not in FIELDS:
        raise node.wrong(f"no table has the column {name!r}", suggest(name, FIELDS))
    text = str(node.plain())
    if text.count("*") > MOST_STARS or not text.strip("* "):
        raise node.wrong(f"{text!r} fits too much", "name something that the harmless events have in common")
    return text


def _day(node: Node) -> date:
    value = node.plain()
    if isinstance(value, date):
        return value
    try:
        return date.fromisoformat(str(value))
    except ValueError:
        raise node.wrong(f"{value!r} is no day", "a day such as 2027-03-31") from None
