"""The scalar functions of the language, by name; importing this fills `FUNCTIONS`."""

from __future__ import annotations

from perilune.detection.kql.functions import conditions, dynamics, numbers, parsing, rows, texts, times
from perilune.detection.kql.functions.base import FUNCTIONS, SIGNATURES, Args, Signature

__all__ = [
    "FUNCTIONS",
    "SIGNATURES",
    "Args",
    "Signature",
    "conditions",
    "dynamics",
    "numbers",
    "parsing",
    "rows",
    "texts",
    "times",
]
