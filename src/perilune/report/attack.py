"""The names of ATT&CK's techniques and their pages; the list is `content/attack/techniques.json`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files

import orjson

_ID = re.compile(r"T\d{4}(?:\.\d{3})?", re.ASCII)


@cache
def _names() -> Mapping[str, str]:
    found: Mapping[str, str] = orjson.loads(
        (files("perilune") / "content" / "attack" / "techniques.json").read_bytes()
    )["techniques"]
    return found


def technique_name(technique: str) -> str:
    """`T1059.011` -> `Command and Scripting Interpreter: Lua`; empty where the packaged list does not hold it."""
    names = _names()
    name, base = names.get(technique, ""), names.get(technique.split(".")[0], "")
    return f"{base}: {name}" if name and "." in technique and base else name


def technique_page(technique: str) -> str:
    """The technique's page at MITRE, or empty when the text is no technique id."""
    if not _ID.fullmatch(technique):
        return ""
    return f"https://attack.mitre.org/techniques/{technique.replace('.', '/')}/"
