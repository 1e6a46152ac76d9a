"""Thousands of rules over one batch of rows.

Words first, everything else later: one search per column finds the few branches that can hold at all and the few
values that they can hold on; only there are the other tests made, each once for each distinct value. See
`docs/decisions/matcher.md` for what was measured. Pure: the plan is only read, all state belongs to the call.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from perilune.detection import narrow, pairs
from perilune.detection.columns import Column, Columns, Mask, Rows, distinct
from perilune.detection.memory import Memory
from perilune.detection.plan import Plan, TablePlan
from perilune.detection.predicates import predicate
from perilune.detection.scan import Search, find
from perilune.detection.shape import DISPATCH, All, Any_, Branch, Inverse, Node, Pair, Test
from perilune.model.tables import Table

MAX_ROWS = 1 << 20  # rows worked on at once; what a batch holds beyond is taken in slices

Hits = tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]


def match(plan: Plan, table: Table) -> Hits:
    """Which rules hold on which rows: rule indices and row indices, ordered by rule, then row."""
    mine = plan.table(table.name)
    if mine is None or not len(table):
        return np.empty(0, np.int32), np.empty(0, np.int64)
    memories = plan.memories(table.name)
    parts = [_slice(mine, memories, table, start) for start in range(0, len(table), MAX_ROWS)]
    if len(parts) == 1:
        return parts[0]
    rules, rows = (np.concatenate(each) for each in zip(*parts, strict=True))
    order = np.lexsort((rows, rules))
    return rules[order], rows[order]


def _slice(plan: TablePlan, memories: dict[str, Memory], table: Table, start: int) -> Hits:
    part = table if len(table) <= MAX_ROWS else Table(table.name, table.data.slice(start, MAX_ROWS))
    found: dict[int, list[Rows]] = {}
    for branch, rows in _Batch(plan, Columns(part, memories)).hits():
        found.setdefault(int(plan.rules[branch]), []).append(rows)
    rules = sorted(found)
    each = [_in_order(found[rule], len(part)) for rule in rules]
    if not rules:
        return np.empty(0, np.int32), np.empty(0, np.int64)
    counts = [len(rows) for rows in each]
    return np.repeat(np.array(rules, np.int32), counts), np.concatenate(each).astype(np.int64) + start


def _in_order(rows: list[Rows], most: int) -> Rows:
    """The rows of all branches of one rule, ascending, each once."""
    return np.sort(rows[0]) if len(rows) == 1 else distinct(np.concatenate(rows), most)


class _Batch:
    """One batch on its way through the plan."""

    def __init__(self, plan: TablePlan, columns: Columns) -> None:
        self._plan = plan
        self._columns = columns
        self._search = Search()
        self._small = len(columns) <= narrow.MAX_ROWS
        self._always: set[str] = set()  # tests that hold on every row of this batch

    def hits(self) -> Iterator[tuple[int, Rows]]:
        """Branches and the rows that they hold on."""
        plan = self._plan
        alive = np.ones(len(plan.branches), np.bool_)
        self._settle_guards(alive)
        hits = self._looked_for(alive)
        for branch, candidates, column in self._candidates(alive, hits):
            rows = self._verified(plan.branches[branch], candidates, column)
            if len(rows):
                yield branch, rows

    def _settle_guards(self, alive: Mask) -> None:
        """Drops the branches of other log sources before anything is searched for them."""
        for test, branches in self._plan.guards:
            if not alive[branches].any():
                continue
            met = self._met_by_present(test)
            if not met.any():
                alive[branches] = False
            elif met.all():
                self._always.add(test.key)

    def _met_by_present(self, test: Test) -> Mask:
        column = self._columns.get(test.column)
        if column is None:
            return np.array([predicate(test.key).on_null])
        return column.met_by(test.key, np.flatnonzero(column.counts))

    def _looked_for(self, alive: Mask) -> npt.NDArray[np.int64]:
        """Looks for the words of the branches that are still alive; returns how many rows have each word."""
        plan = self._plan
        rows = np.zeros(plan.words, np.int64)
        for needles, readers in zip(plan.needles, plan.readers, strict=True):
            if needles.first >= self._searched:
                break
            if not alive[readers].any():
                continue
            column = self._columns.get(needles.column)
            if column is not None:
                found = find(needles, column)
                self._search.add(needles.column, found)
                column.expect(found.values)
                counts = np.concatenate(([0], np.cumsum(column.counts[found.values])))
                upto = counts[found.starts]
                rows[needles.first : needles.first + needles.count] = upto[1:] - upto[:-1]
            if needles.column in DISPATCH:
                self._prune(alive, rows, searched=needles.first + needles.count)
        self._prune(alive, rows, searched=self._searched)
        return rows

    @property
    def _searched(self) -> int:
        """The words below this one are looked for: in a small batch all, in a large one those that are rare."""
        return self._plan.words if self._small else self._plan.rare

    def _prune(self, alive: Mask, rows: npt.NDArray[np.int64], *, searched: int) -> None:
        """A branch with a clause that found nothing, and whose words have all been looked for, is dead."""
        plan = self._plan
        if len(plan.clause_starts):
            empty = np.add.reduceat(rows[plan.clause_words], plan.clause_starts) == 0
            alive[plan.clause_branch[empty & (plan.last_words < searched)]] = False

    def _candidates(self, alive: Mask, hits: npt.NDArray[np.int64]) -> Iterator[tuple[int, Rows, str]]:
        """The branches that are alive, rows outside of which they cannot hold, and the column whose tests they meet."""
        plan, columns = self._plan, self._columns
        for branch in np.flatnonzero(alive[plan.covered :]).tolist():
            yield plan.covered + branch, self._uncovered(plan.branches[plan.covered + branch]), ""
        if self._small:
            for branch, rows in narrow.narrowed(plan, columns, self._search, hits, alive):
                yield branch, rows, ""
        elif plan.covered:
            clause_rows = np.add.reduceat(hits[plan.clause_words], plan.clause_starts)
            clause_rows[plan.last_words >= plan.rare] = len(columns) + 1  # not looked for
            for branch in np.flatnonzero(alive[: plan.covered]).tolist():
                yield branch, *self._by_best_clause(branch, clause_rows)

    def _by_best_clause(self, branch: int, clause_rows: npt.NDArray[np.int64]) -> tuple[Rows, str]:
        plan = self._plan
        first, last = plan.branch_clauses[branch], plan.branch_clauses[branch + 1]
        best = first + int(np.argmin(clause_rows[first:last]))
        found = plan.branches[branch]
        tests = (*found.clauses, *found.more)[best - first]
        end = plan.clause_starts[best + 1] if best + 1 < len(plan.clause_starts) else len(plan.clause_words)
        words = plan.clause_words[plan.clause_starts[best] : end]
        return self._rows_with(words, tests, found)

    def _uncovered(self, branch: Branch) -> Rows:
        """The rows of a branch that no word stands for, by its test of the column with fewest values."""
        known = ((part, self._columns.get(part.column)) for part in branch.parts if isinstance(part, Test))
        tests = [(part, column) for part, column in known if column is not None and part.key not in self._always]
        if not tests:
            return np.arange(len(self._columns))
        test, column = min(tests, key=lambda each: each[1].null)
        present = np.flatnonzero(column.counts)
        return column.rows_of(present[self._met(test, column, present)])

    def _rows_with(self, words: npt.NDArray[np.int32], tests: tuple[Test, ...], branch: Branch) -> tuple[Rows, str]:
        """The rows with one of the words, left out those whose value fails the branch's tests of that column."""
        names = list(dict.fromkeys(test.column for test in tests))
        each = self._search.of_columns(words, names)
        found = [self._rows_in(name, mine, tests, branch) for name, mine in each]
        if len(found) == 1:
            return found[0], names[0] if len(names) == 1 else ""
        return distinct(np.concatenate(found), len(self._columns)) if found else np.empty(0, np.intp), ""

    def _rows_in(self, name: str, words: Sequence[int], tests: tuple[Test, ...], branch: Branch) -> Rows:
        column = self._columns.get(name)
        if column is None:
            return np.empty(0, np.intp)
        values = self._search.of_any(words, column.null)
        for part in branch.parts:
            if isinstance(part, Test) and part.column == name and not (part.exact and tests == (part,)):
                values = values[self._met(part, column, values)]
        return column.rows_of(values)

    def _verified(self, branch: Branch, rows: Rows, column: str) -> Rows:
        """The rows that meet every part; the tests of `column` are met already."""
        for part in branch.parts:
            if not len(rows):
                break
            if not (isinstance(part, Test) and (part.column == column or part.key in self._always)):
                rows = rows[self._mask(part, rows)]
        for part in branch.parts:
            self._forget(part)
        return rows

    def _forget(self, part: Node) -> None:
        if isinstance(part, Test) and part.key not in self._plan.shared:
            column = self._columns.get(part.column)
            if column is not None:
                column.forget(part.key)

    def _mask(self, node: Node, rows: Rows) -> Mask:
        match node:
            case Test():
                return self._test(node, rows)
            case All(of=of):
                return self._all(of, rows)
            case Any_(of=of):
                return ~self._all([Inverse(part) for part in of], rows)
            case Inverse(of=inner):
                return ~self._mask(inner, rows)
            case Pair():
                return self._pair(node, rows)

    def _test(self, test: Test, rows: Rows) -> Mask:
        if test.key in self._always:
            return np.ones(len(rows), np.bool_)
        column = self._columns.get(test.column)
        if column is None:  # what needs a word does not hold on null
            return np.full(len(rows), test.words is None and predicate(test.key).on_null)
        return self._met(test, column, column.codes[rows])

    def _met(self, test: Test, column: Column, codes: npt.NDArray[np.integer]) -> Mask:
        """Which of the codes meet the test; what the search found settles most of them."""
        if not column.is_known(test.key):
            sought = self._plan.sought(test)
            if sought is not None and self._search.has(sought):
                column.settle(test.key, self._search.of_any(sought.words, column.null), exact=test.exact)
        return column.met_by(test.key, codes)

    def _all(self, nodes: Sequence[Node], rows: Rows) -> Mask:
        left = np.arange(len(rows))
        for node in nodes:
            left = left[self._mask(node, rows[left])]
            if not len(left):
                break
        mask = np.zeros(len(rows), np.bool_)
        mask[left] = True
        return mask

    def _pair(self, node: Pair, rows: Rows) -> Mask:
        one, other = (self._columns.get(name) for name in node.columns)
        if one is None or other is None:
            return np.zeros(len(rows), np.bool_)
        return pairs.same(node.key, one, other, rows)
