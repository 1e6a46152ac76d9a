"""Measures of a text that tell written code from generated code."""

from __future__ import annotations

import math
from collections import Counter

from perilune.analysis.lua.lexer import KEYWORDS, Tokens
from perilune.model.lua import Shape

SAMPLE = 60_000


def entropy(data: str) -> float:
    """Bits per character."""
    if not data:
        return 0.0
    size = len(data)
    return -sum(count / size * math.log2(count / size) for count in Counter(data).values())


def measure(tokens: Tokens) -> Shape:
    text = tokens.text
    size = max(1, len(text))
    sums = dict.fromkeys(("name", "comment", "string", "longstring", "number", "op", "bad", "tick"), 0)
    names = 0
    for kind, start, end in zip(tokens.kinds, tokens.starts, tokens.ends, strict=True):
        if kind == "name":
            if end - start < 9 and text[start:end] in KEYWORDS:
                continue
            names += 1
        sums[kind] += end - start
    lines = text.count("\n") + 1
    return Shape(
        size=len(text),
        lines=lines,
        longest_line=_longest(text),
        entropy=round(entropy(text[:SAMPLE]), 3),
        tokens=len(tokens),
        comment_share=round(sums["comment"] / size, 4),
        name_length=round(sums["name"] / names, 2) if names else 0.0,
        string_share=round((sums["string"] + sums["longstring"]) / size, 4),
        escape_share=round(text.count("\\") / size, 4),
        number_share=round(sums["number"] / size, 4),
    )


def _longest(text: str) -> int:
    return max(map(len, text.split("\n")))
