"""The marks that decoy data carry, and what of them is left after the codings that programs put around stolen data.

The same words stand in content/lua/stubs: a test holds the two together. The decoys without a mark are those that have to
look like a user's, a host's or a disk's: they are told from the sample's own by their value.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from functools import lru_cache

from perilune.model.analysis import Indicator, Layer, Listing
from perilune.model.lua import Trace

MARKS = {
    "network": "zQ7k2mRxTb", "file": "zQ7Jd3Lw0p", "environment": "zQ7u5Hn1oB", "request": "zQ7m4cG6sE", "process": "zQ7a2Xv9rU",
    "argument": "zQ7f8Wt3yD",
}  # fmt: skip

# What the stubs make up and where it then stands, in lower case: never to be looked for, never to be blocked.
DECOYS = {
    "d.weber": "a user's name and home", "fin-ws-0417": "a host's name", "10.20.4.17": "a host's address",
    "198.51.100.7": "a visitor's address", "198.51.100.9": "an address of a name",
    "4c4c4544-0038-5410-8052-b7c04f4d3333": "a machine's id", "5c1f-8a02": "a disk's serial number", "lua_x8kq2t": "a temporary file",
    "s3k4.": "a temporary file", **{mark.lower(): f"data from outside: {kind}" for kind, mark in MARKS.items()},
}  # fmt: skip
OURS = "made up by Perilune for the controlled run"

_END = 1_000
_MOST = 20_000  # characters of an argument that are searched


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


def decoy_in(text: str) -> str:
    """The first of our decoys in a text, or nothing."""
    found = _ANY_DECOY.search(text)
    return found.group().lower() if found else ""


def seen(traces: Iterable[Trace]) -> tuple[tuple[str, str], ...]:
    """Our decoys that calls of a run carried, each with what it stands for."""
    texts = (text for trace in traces for event in trace.events for text in event.arguments)
    decoys = {one.lower() for text in texts for one in _ANY_DECOY.findall(text[:_MOST])}
    return tuple((one, stands_for) for one, stands_for in DECOYS.items() if one in decoys)


def marked(found: Sequence[Indicator], layers: Sequence[Layer], records: Collection[int]) -> list[Indicator]:
    """The indicators, those of a run's record, and of what was found in it, that hold a decoy marked as ours."""
    ran = set(records)
    for layer in layers:
        if layer.parent in ran:
            ran.add(layer.number)
    return [_marked(one) if one.layer in ran else one for one in found]


def _marked(one: Indicator) -> Indicator:
    decoy = decoy_in(one.value)
    if not decoy:
        return one
    ours = Listing(OURS, f"{decoy}: {DECOYS[decoy]}", benign=True, note="not to be blocked")
    return replace(one, listings=(*one.listings, ours))


_ANY_DECOY = re.compile(
    "|".join(rf"(?<![\d.]){re.escape(one)}(?![\d.])" if one[0].isdigit() else re.escape(one) for one in DECOYS),
    re.IGNORECASE,
)
_DECOYS = re.compile(
    "(?:"
    + "|".join(MARKS.values())
    + r")(?:\.[a-z_]+(?:\.\w+)*)?(?:=id|=\d|a81c0f)?|(?<![\d.])(?:10\.20\.4\.17|198\.51\.100\.[79])(?![\d.])"
)
