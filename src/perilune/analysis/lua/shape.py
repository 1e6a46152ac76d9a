"""Measures of a text that tell written code from generated code."""

from __future__ import annotations

import math
from collections import Counter, defaultdict

from perilune.analysis.lua.lexer import Tokens
from perilune.model.lua import Shape

SAMPLE = 6_000  # characters from all over the text: its entropy to a tenth of a bit


def entropy(data: str) -> float:
    """Bits per character."""
    if not data:
        return 0.0
    size = len(data)
    return math.log2(size) - sum(count * math.log2(count) for count in Counter(data).values()) / size


def measure(tokens: Tokens) -> Shape:
    text = tokens.text
    size = max(1, len(text))
    types, starts, ends = tokens.code()
    totals: dict[str, int] = defaultdict(int)
    for kind, start, end in zip(types, starts, ends, strict=True):  # every token of every file: one pass
        totals[kind] += end - start
    names = types.count("name")
    strings = totals["string"] + totals["longstring"]
    comments = sum(tokens.ends) - sum(tokens.starts) - sum(ends) + sum(starts)  # what is no code
    lines = text.count("\n") + 1
    return Shape(
        size=len(text),
        lines=lines,
        longest_line=_longest(text),
        entropy=round(entropy(text[:: 1 + len(text) // SAMPLE]), 3),
        tokens=len(tokens),
        comment_share=round(comments / size, 4),
        name_length=round(totals["name"] / names, 2) if names else 0.0,
        string_share=round(strings / size, 4),
        escape_share=round(text.count("\\") / size, 4),
        number_share=round(totals["number"] / size, 4),
    )


def _longest(text: str) -> int:
    return max(map(len, text.split("\n")))
