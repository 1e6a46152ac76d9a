"""Lua files of this machine, found when the tests run: the more packages with Lua are installed, the more is tested.

`PERILUNE_LUA` may name further folders, separated as in PATH.
"""

from __future__ import annotations

import os
import random
from functools import lru_cache
from pathlib import Path

FOLDERS = ("/usr/share", "/usr/lib", "/etc")


@lru_cache(maxsize=1)
def lua_files() -> tuple[Path, ...]:
    """Every .lua and .nse file once, in an order that is mixed but always the same."""
    folders = [*FOLDERS, *filter(None, os.environ.get("PERILUNE_LUA", "").split(os.pathsep))]
    found: dict[bytes, Path] = {}
    for folder in folders:
        for kind in ("*.lua", "*.nse"):
            for path in sorted(Path(folder).rglob(kind)):
                if path.is_file() and os.access(path, os.R_OK):
                    found.setdefault(path.read_bytes(), path)
    paths = sorted(found.values())
    random.Random(7).shuffle(paths)
    return tuple(paths)
