"""Measures of a text that tell written code from generated code."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from itertools import compress
from operator import sub

from perilune.analysis.lua.lexer import Tokens
from perilune.model.lua import Shape

SAMPLE = 12_000  # characters from all over the text, enough for two digits of its entropy


def entropy(data: str) -> float:
    """Bits per character."""
    if not data:
        return 0.0
    size = len(data)
    return -sum(count / size * math.log2(count / size) for count in Counter(data).values())


def measure(tokens: Tokens) -> Shape:
    text = tokens.text
    size = max(1, len(text))
    types, starts, ends = tokens.code()
    lengths = list(map(sub, ends, starts))
    names = types.count("name")
    strings = _total("string", types, lengths) + _total("longstring", types, lengths)
    comments = _total("comment", tokens.kinds, map(sub, tokens.ends, tokens.starts))
    lines = text.count("\n") + 1
    return Shape(
        size=len(text),
        lines=lines,
        longest_line=_longest(text),
        entropy=round(entropy(text[:: 1 + len(text) // SAMPLE]), 3),
        tokens=len(tokens),
        comment_share=round(comments / size, 4),
        name_length=round(_total("name", types, lengths) / names, 2) if names else 0.0,
        string_share=round(strings / size, 4),
        escape_share=round(text.count("\\") / size, 4),
        number_share=round(_total("number", types, lengths) / size, 4),
    )


def _total(kind: str, types: Iterable[str], lengths: Iterable[int]) -> int:
    """The characters of all tokens of a kind, without a loop in Python."""
    return sum(compress(lengths, map(kind.__eq__, types)))


def _longest(text: str) -> int:
    return max(map(len, text.split("\n")))
