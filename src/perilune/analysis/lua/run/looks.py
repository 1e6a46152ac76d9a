"""What a program's text and what it did say of where it belongs: globals of one host, signs of Windows."""

from __future__ import annotations

import re
from functools import lru_cache
from importlib.resources import files

_WINDOWS_WORDS = (
    b"powershell", b"schtasks", b"cmd /c", b"cmd.exe", b"appdata", b"userprofile", b"kernel32", b"user32", b"hkey_", b"hkcu",
    b"windows_nt", b"systemroot", b".exe",
)  # fmt: skip
_DRIVE = re.compile(rb"(?<![a-z])[a-z]:\\{1,2}[a-z]")


@lru_cache(maxsize=1)
def _known_roots() -> frozenset[bytes]:
    text = (files("perilune") / "content" / "lua" / "roots.txt").read_bytes()
    return frozenset(word for line in text.splitlines() for word in line.partition(b"#")[0].split())


_WORDS = re.compile(rb"[A-Za-z_]\w{2,40}")


def roots_in(code: bytes) -> frozenset[str]:
    """Globals that only one host has, where the text names them: they are there from the first pass on."""
    there = _known_roots().intersection(_WORDS.findall(code))
    return frozenset(name.decode() for name in there if _as_global(name).search(code))


@lru_cache(maxsize=200)
def _as_global(name: bytes) -> re.Pattern[bytes]:
    """The name where it is no field: looked behind after it, because only a pattern that begins with letters is fast."""
    return re.compile(name + rb"(?<![\w.:]" + name + rb")(?!\w)")


def is_windows(data: bytes) -> bool:
    """Whether it names what only Windows has. Words first: looking for one is a hundred times faster than a pattern."""
    text = data.lower()
    return any(word in text for word in _WINDOWS_WORDS) or (b":\\" in text and _DRIVE.search(text) is not None)
