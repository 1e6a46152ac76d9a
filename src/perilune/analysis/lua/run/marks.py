"""The marks that decoy data carry, and what of them is left after the codings that programs put around stolen data.

The same words stand in content/lua/stubs/10_base.lua; a test holds the two together.
"""

from __future__ import annotations

import base64
import re
from functools import lru_cache

MARKS = {
    "network": "zQ7k2mRxTb", "file": "zQ7Jd3Lw0p", "environment": "zQ7u5Hn1oB", "request": "zQ7m4cG6sE", "process": "zQ7a2Xv9rU",
    "argument": "zQ7f8Wt3yD",
}  # fmt: skip

_END = 1_000


def carried(texts: tuple[str, ...]) -> tuple[str, ...]:
    """Kinds of marked data in the texts, plain or in base64, hexadecimal or reverse. Of long texts both ends are looked at."""
    texts = tuple(text if len(text) <= 2 * _END else text[:_END] + text[-_END:] for text in texts)
    return tuple(kind for kind in MARKS if any(form in text for text in texts for form in _forms(kind)))


@lru_cache(maxsize=len(MARKS))
def _forms(kind: str) -> tuple[str, ...]:
    mark = MARKS[kind].encode()
    # The middle of a mark's base64 depends only on where it begins among three bytes; its edges on the neighbours.
    middles = [base64.b64encode(b"\0" * shift + mark)[4:12].decode() for shift in range(3)]
    return (MARKS[kind], MARKS[kind][::-1], mark.hex(), mark.hex().upper(), *middles)


def known(arguments: tuple[str, ...]) -> tuple[str | None, ...]:
    """The arguments without those that came from outside: of these nothing is known but where they came from."""
    return tuple(None if carried((one,)) else one for one in arguments)


def own(text: str) -> str:
    """The text without what the stubs put into it: marks, what hangs on them, addresses of the decoys."""
    return _DECOYS.sub("", text)


_DECOYS = re.compile(
    "(?:"
    + "|".join(MARKS.values())
    + r")(?:\.[a-z_]+(?:\.\w+)*)?(?:=id|=\d|a81c0f)?|(?<![\d.])(?:10\.20\.4\.17|198\.51\.100\.[79])(?![\d.])"
)
