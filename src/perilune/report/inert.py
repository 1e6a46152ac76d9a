"""JSON that says exactly what it holds and does nothing wherever it is shown: in a terminal, a page, an editor.

Every character that could command, hide, reorder or mark up is written as its `\\u` escape, so a program reads the
value back unchanged and a person never sees it act.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from datetime import datetime

from perilune.report.text import shorten

VALUE_MOST = 32_000  # characters of one text; longer ones say how many were left out

_MARKUP = {ord("<"): "\\u003c", ord(">"): "\\u003e", ord("&"): "\\u0026", 0x7F: "\\u007f"}


def dump(value: object, *, indent: bool = False) -> str:
    """The value as ASCII JSON. Structure is never escaped: none of these characters stands outside a text."""
    separators = (",", ": ") if indent else (",", ":")
    text = json.dumps(value, ensure_ascii=True, indent=2 if indent else None, separators=separators, allow_nan=False)
    return text.translate(_MARKUP)


def lines(values: Iterable[object]) -> str:
    """JSON lines."""
    return "".join(dump(value) + "\n" for value in values)


def fit(value: object, most: int = VALUE_MOST) -> object:
    """The value as JSON can hold it: times in words, long texts cut and saying so, no half characters."""
    if isinstance(value, str):
        return shorten(whole(value), most)
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {whole(str(name))[:200]: fit(one, most) for name, one in value.items()}
    if isinstance(value, Iterable) and not isinstance(value, bytes):
        return [fit(one, most) for one in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value if value is None or isinstance(value, bool | int | float) else shorten(whole(str(value)), most)


def whole(text: str) -> str:
    """The text without halves of surrogate pairs, which are no characters and which other parsers refuse."""
    return text if text.isascii() else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def filled(**attributes: object) -> dict[str, object]:
    """The attributes that hold something."""
    return {name: value for name, value in attributes.items() if value not in (None, "", [], {}, ())}
