"""Which rows of a small batch meet every clause of a branch, for all branches at once.

In a large batch a branch starts from its best clause and looks at few rows. In a batch of a thousand rows the work
is in the number of branches, so the words found are laid out as a matrix of rows instead, and most branches end here.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from perilune.detection.columns import Columns, Mask, Rows
from perilune.detection.plan import TablePlan
from perilune.detection.scan import Search

MAX_ROWS = 4096

Matrix = npt.NDArray[np.bool_]


def narrowed(
    plan: TablePlan, columns: Columns, search: Search, hits: npt.NDArray[np.int64], alive: Mask
) -> Iterator[tuple[int, Rows]]:
    """The branches that are alive and have clauses, each with the rows that meet all of its clauses.

    `hits` says for each word how many rows have it.
    """
    wanted = alive[plan.clause_branch][plan.word_clause] & (hits[plan.clause_words] > 0)
    if not wanted.any():
        return
    words, back = np.unique(plan.clause_words[wanted], return_inverse=True)
    clauses = plan.word_clause[wanted]
    bits = np.packbits(_rows_by_word(words, columns, search), axis=1)[back]
    by_clause = np.bitwise_or.reduceat(bits, _begins(clauses), axis=0)
    branches = plan.clause_branch[clauses[_begins(clauses)]]
    by_branch = np.bitwise_and.reduceat(by_clause, _begins(branches), axis=0)
    left = np.flatnonzero(by_branch.any(axis=1))
    rows = np.unpackbits(by_branch[left], axis=1)
    for branch, row in zip(branches[_begins(branches)][left].tolist(), rows, strict=True):
        yield branch, row.nonzero()[0]


def _begins(ids: npt.NDArray[np.integer]) -> Rows:
    """Where each run of equal ids begins."""
    return np.flatnonzero(np.concatenate(([True], ids[1:] != ids[:-1])))


def _rows_by_word(words: npt.NDArray[np.int32], columns: Columns, search: Search) -> Matrix:
    """For each word, the rows that have it."""
    matrix = np.zeros((len(words), len(columns)), np.bool_)
    for name, each in search.found:
        column = columns.get(name)
        first, last = np.searchsorted(words, [each.first, each.end])
        if column is None or first == last:
            continue
        local = words[first:last] - each.first
        begins, ends = each.starts[local], each.starts[local + 1]
        pairs = np.concatenate([each.values[b:e] for b, e in zip(begins.tolist(), ends.tolist(), strict=True)])
        rows, which = column.rows_of_each(pairs)
        matrix[np.repeat(np.arange(first, last), ends - begins)[which], rows] = True
    return matrix
