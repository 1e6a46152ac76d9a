"""The asset file: what each host is for, whose it is, how much depends on it, which interpreters belong there.

assets:
  - host: web1.corp.example
    role: web server
    owner: shop team
    criticality: high
    interpreters: [lua, nginx]
  - host: "dev-*"
    criticality: low
    interpreters: [python, node, bash]
"""

from __future__ import annotations

from pathlib import Path

from perilune.model.people import Asset, Assets, Criticality
from perilune.readers.located import Node, locate

_KEYS = ("host", "role", "owner", "criticality", "interpreters", "notes")


def load_assets(path: Path) -> Assets:
    """The assets in the file, or a ContentError that says which line is wrong."""
    return parse_assets(path.read_text(encoding="utf-8-sig", errors="replace"), str(path))


def parse_assets(text: str, where: str) -> Assets:
    keys = locate(text, where).keys(known=("about", "assets"), needed=("assets",))
    return Assets(tuple(_asset(node) for node in keys["assets"].items()), where)


def _asset(node: Node) -> Asset:
    keys = node.keys(known=_KEYS, needed=("host",))
    return Asset(
        host=keys["host"].text(),
        role=keys["role"].text() if "role" in keys else "",
        owner=keys["owner"].text() if "owner" in keys else "",
        criticality=_criticality(keys["criticality"]) if "criticality" in keys else None,
        interpreters=frozenset(one.text().lower() for one in keys["interpreters"].items())
        if "interpreters" in keys
        else frozenset(),
        notes={name: str(value.plain()) for name, value in keys["notes"].keys().items()} if "notes" in keys else {},
    )


def _criticality(node: Node) -> Criticality:
    try:
        return Criticality(node.text().lower())
    except ValueError:
        raise node.wrong(f"unknown criticality {node.text()!r}", "low, medium, high or critical") from None
