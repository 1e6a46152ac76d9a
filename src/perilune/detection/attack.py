"""The techniques of ATT&CK that rules may name, from the packaged list."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import orjson


@dataclass(frozen=True, slots=True)
class Techniques:
    """Names by id, and the version of ATT&CK that they are from."""

    version: str
    names: Mapping[str, str]


@cache
def packaged() -> Techniques:
    found = orjson.loads((files("perilune") / "content" / "attack" / "techniques.json").read_bytes())
    return Techniques(found["version"], found["techniques"])
