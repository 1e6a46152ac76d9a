"""Where a rule file was published, as far as the files beside it say.

The Detection Rule License asks that who shares rules, or messages made by them, names the author, the licence and
a link. A folder of SigmaHQ's rules carries its licence in a file `LICENSE` at its root.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

_LICENCE_FILES = ("LICENSE", "LICENSE.Detection.Rules.md", "LICENSE.md", "LICENSE.txt")
_SIGMAHQ = "https://github.com/SigmaHQ/sigma/blob/master/"
_LEVELS_UP = 8


@dataclass(frozen=True, slots=True)
class Origin:
    license: str = ""
    link: str = ""


def of(path: str) -> Origin:
    """The licence of the folder that a rule file is in, and the file's address where that is known."""
    file = Path(path.partition("!")[0]).absolute()
    root = _licensed_root(file.parent)
    if root is None:
        return Origin()
    inside = file.relative_to(root)
    is_sigmahq = len(inside.parts) > 1 and inside.parts[0].startswith("rules")
    return Origin("DRL-1.1", _SIGMAHQ + inside.as_posix() if is_sigmahq else "")


@lru_cache(maxsize=4096)
def _licensed_root(folder: Path) -> Path | None:
    for above in (folder, *folder.parents[:_LEVELS_UP]):
        if _has_drl(above):
            return above
    return None


@lru_cache(maxsize=4096)
def _has_drl(folder: Path) -> bool:
    for name in _LICENCE_FILES:
        try:
            with (folder / name).open(encoding="utf-8", errors="replace") as stream:
                if "Detection Rule License" in stream.read(4096):
                    return True
        except OSError:
            continue
    return False
