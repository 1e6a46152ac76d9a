"""Two columns of one row compared: both numbered alike, or else each pair of values that occurs, once."""

from __future__ import annotations

from typing import cast

import numpy as np
import orjson

from perilune.detection import oracle
from perilune.detection.columns import Column, Mask, Rows, distinct
from perilune.detection.encoding import decode
from perilune.detection.values import as_text
from perilune.model.rules import FieldMatch, SameRow


def same(key: str, one: Column, other: Column, rows: Rows) -> Mask:
    """On which of the rows an encoded `SameRow` holds."""
    leaf = cast("SameRow", decode(orjson.loads(key)))
    return _equal(leaf, one, other, rows) if leaf.how is FieldMatch.EQUALS else _by_pair(leaf, one, other, rows)


def _equal(leaf: SameRow, one: Column, other: Column, rows: Rows) -> Mask:
    """Both columns numbered alike, so that one comparison of numbers does."""
    ids: dict[str, int] = {}
    left, right = (
        np.array([*(ids.setdefault(text, len(ids)) for text in _texts(leaf, column)), null])
        for column, null in ((one, -1), (other, -2))  # null is equal to nothing
    )
    mask: Mask = left[one.codes[rows]] == right[other.codes[rows]]
    return mask


def _texts(leaf: SameRow, column: Column) -> list[str]:
    return [as_text(value) or "" for value in column.originals] if leaf.cased else column.texts


def _by_pair(leaf: SameRow, one: Column, other: Column, rows: Rows) -> Mask:
    width = other.null + 1
    pairs = one.codes[rows] * width + other.codes[rows]
    each = distinct(pairs, (one.null + 1) * width)
    left, right = [*one.originals, None], [*other.originals, None]
    codes = (divmod(pair, width) for pair in each.tolist())
    held = np.array([oracle.same(leaf, left[a], right[b]) for a, b in codes], np.bool_)
    mask: Mask = held[np.searchsorted(each, pairs)]
    return mask
