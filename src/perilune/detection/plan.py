"""Many rules' shapes joined into one plan for each table: what to look for, and who is interested in it.

Made once for a set of rules; a plan is never changed, so threads may share it.
"""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import ahocorasick_rs as ac
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from perilune.detection.cover import CONTAINS, ENDS, EQUALS, IS, STARTS, Word, is_wordy
from perilune.detection.memory import Memory
from perilune.detection.shape import DISPATCH, All, Any_, Branch, Inverse, Node, Pair, Shape, Test

Ids = npt.NDArray[np.int32]
_KINDS = (CONTAINS, STARTS, ENDS)


@dataclass(frozen=True)
class Needles:
    """Words looked for in one column. Ids count from zero within the column; `first` makes them the plan's.

    literals  distinct folded texts to look for inside values, in UTF-8
    ids       for each literal and each way to stand in a value, the word's id, or -1
    whole     folded texts that are whole values
    wholes    the id of each of them
    numbers   the id of each number looked for
    """

    column: str
    first: int
    count: int
    literals: tuple[bytes, ...]
    ids: Ids
    whole: pa.StringArray
    wholes: Ids
    numbers: Mapping[str, int]

    @cached_property
    def automaton(self) -> ac.BytesAhoCorasick:
        return ac.BytesAhoCorasick(self.literals, implementation=ac.Implementation.ContiguousNFA)


@dataclass(frozen=True, slots=True)
class Sought:
    """The words of a test, and the needles (by their `first`) that they are among."""

    words: tuple[int, ...]
    needles: frozenset[int]


@dataclass(frozen=True)
class TablePlan:
    """Everything about the rules that read one table.

    branches        all alternatives of all rules; those with clauses first
    rules           for each branch, the index of its rule
    needles         the words by column: columns that settle most first, common words last
    words           how many words there are
    rare            how many of them are looked for in every batch, however large; they come first
    clause_words    the words of all clauses, clause after clause
    word_clause     the clause of each of them
    clause_starts   where each clause begins in them
    clause_branch   the branch of each clause
    branch_clauses  where each branch's clauses begin; the branches at the end have none
    readers         for each of the needles, the branches whose clauses look there
    guards          tests on dispatch columns that no word can settle, with the branches that need them
    ids             the id of each word
    shared          tests that more than one branch has
    """

    branches: tuple[Branch, ...]
    rules: Ids
    needles: tuple[Needles, ...]
    words: int
    rare: int
    clause_words: Ids
    word_clause: Ids
    clause_starts: Ids
    clause_branch: Ids
    branch_clauses: Ids
    readers: tuple[Ids, ...]
    guards: tuple[tuple[Test, Ids], ...]
    ids: Mapping[Word, int]
    shared: frozenset[str]

    @cached_property
    def last_words(self) -> Ids:
        """The highest word of each clause: once it has been looked for, the clause is decided."""
        last: Ids = np.maximum.reduceat(self.clause_words, self.clause_starts)
        return last

    def sought(self, test: Test) -> Sought | None:
        """The words of a test; None where it has none, or not all of them are looked for."""
        if test.key not in self._sought:
            words = [self.ids.get(word) for word in test.words or ()]
            ids = tuple(word for word in words if word is not None)
            firsts = [each.first for each in self.needles]
            among = frozenset(firsts[bisect_right(firsts, word) - 1] for word in ids)
            self._sought[test.key] = Sought(ids, among) if ids and len(ids) == len(words) else None
        return self._sought[test.key]

    @cached_property
    def _sought(self) -> dict[str, Sought | None]:
        return {}

    @cached_property
    def columns(self) -> frozenset[str]:
        """The columns that are looked at."""
        nodes: list[Node] = [part for branch in self.branches for part in branch.parts]
        found = {needles.column for needles in self.needles}
        for node in nodes:  # which grows on the way
            match node:
                case All(of=of) | Any_(of=of):
                    nodes.extend(of)
                case Inverse(of=inner):
                    nodes.append(inner)
                case Test(column=column):
                    found.add(column)
                case Pair(columns=pair):
                    found.update(pair)
        return frozenset(found)

    @property
    def covered(self) -> int:
        """How many branches have clauses; they come first."""
        return len(self.branch_clauses) - 1


class Plan:
    """What to do with a batch of any table. A table's part is made when it is first asked for, and kept."""

    def __init__(self, shapes: Sequence[Shape]) -> None:
        self._readers: dict[str, list[int]] = {}
        for index, found in enumerate(shapes):
            for table in found.tables:
                self._readers.setdefault(table, []).append(index)
        self._shapes = shapes
        self._tables: dict[str, TablePlan] = {}
        self._local = threading.local()

    @property
    def names(self) -> Sequence[str]:
        """The tables that some rule reads."""
        return tuple(self._readers)

    def memories(self, table: str) -> dict[str, Memory]:
        """What this thread remembers of a table's columns."""
        found: dict[str, dict[str, Memory]] = self._local.__dict__
        return found.setdefault(table, {})

    def forget(self) -> None:
        """Drops what this thread remembers of values."""
        self._local.__dict__.clear()

    def table(self, name: str) -> TablePlan | None:
        """The part of one table; None where no rule reads it. Two threads may both make it, and make the same."""
        if name not in self._readers:
            return None
        if name not in self._tables:
            pairs = [(at, branch) for at in self._readers[name] for branch in self._shapes[at].branches(name)]
            self._tables[name] = _table_plan(pairs)
        return self._tables[name]


def join(shapes: Sequence[Shape]) -> Plan:
    """One plan of many rules; their positions are the rule indices of its hits."""
    return Plan(shapes)


def _table_plan(pairs: list[tuple[int, Branch]]) -> TablePlan:
    pairs = sorted(pairs, key=lambda pair: not pair[1].clauses)  # stable: covered branches first
    branches = tuple(branch for _, branch in pairs)
    clauses = [(at, clause) for at, branch in enumerate(branches) for clause in (*branch.clauses, *branch.more)]
    rare = _words(clause for branch in branches for clause in branch.clauses)
    words, needles = _numbered(rare, _words(clause for _, clause in clauses))
    in_clauses = [sorted({words[word] for test in clause for word in test.words or ()}) for _, clause in clauses]
    branch_of = _ids(at for at, _ in clauses)
    covered = sum(bool(branch.clauses) for branch in branches)
    tests = [list(dict.fromkeys(_tests(branch.parts))) for branch in branches]
    uses = Counter(test.key for each in tests for test in each)
    return TablePlan(
        branches=branches,
        rules=_ids(index for index, _ in pairs),
        needles=needles,
        words=len(words),
        rare=len(rare),
        clause_words=_ids(word for each in in_clauses for word in each),
        word_clause=_ids(at for at, each in enumerate(in_clauses) for _ in each),
        clause_starts=_ids(np.cumsum([0, *(len(each) for each in in_clauses[:-1])]) if in_clauses else ()),
        clause_branch=branch_of,
        branch_clauses=_ids(np.searchsorted(branch_of, np.arange(covered + 1))),
        readers=_readers(needles, in_clauses, branch_of),
        guards=_guards(branches),
        ids=words,
        shared=frozenset(key for key, count in uses.items() if count > 1),
    )


def _words(clauses: Iterable[tuple[Test, ...]]) -> dict[Word, None]:
    return {word: None for clause in clauses for test in clause for word in test.words or ()}


def _ids(values: Iterable[int] | npt.NDArray[np.integer]) -> Ids:
    return np.array(values if isinstance(values, np.ndarray) else list(values), np.int32)


def _numbered(rare: Iterable[Word], found: Iterable[Word]) -> tuple[dict[Word, int], tuple[Needles, ...]]:
    """All words with their ids: the rare ones first, those of one column together, dispatch columns first."""
    rare = frozenset(rare)
    groups: dict[tuple[bool, str], list[Word]] = defaultdict(list)
    for word in found:
        groups[word not in rare, word.column].append(word)
    words: dict[Word, int] = {}
    needles = []
    for group in sorted(groups, key=lambda group: (group[0], group[1] not in DISPATCH, is_wordy(group[1]), group[1])):
        first = len(words)
        needles.append(_needles(group[1], first, groups[group]))
        words.update(zip(groups[group], range(first, first + len(groups[group])), strict=True))
    return words, tuple(needles)


def _needles(column: str, first: int, words: list[Word]) -> Needles:
    texts = {text: at for at, text in enumerate(dict.fromkeys(w.text for w in words if w.kind in _KINDS))}
    ids = np.full((len(texts), len(_KINDS)), -1, np.int32)
    for at, word in enumerate(words):
        if word.kind in _KINDS:
            ids[texts[word.text], _KINDS.index(word.kind)] = at
    whole, numbers = ({w.text: at for at, w in enumerate(words) if w.kind == kind} for kind in (IS, EQUALS))
    literals = tuple(text.encode() for text in texts)
    return Needles(
        column, first, len(words), literals, ids, pa.array(whole, pa.string()), _ids(whole.values()), numbers
    )


def _readers(needles: tuple[Needles, ...], clauses: list[list[int]], branch_of: Ids) -> tuple[Ids, ...]:
    flat = _ids(word for each in clauses for word in each)
    branches = np.repeat(branch_of, [len(each) for each in clauses]) if clauses else branch_of
    return tuple(np.unique(branches[(flat >= found.first) & (flat < found.first + found.count)]) for found in needles)


def _guards(branches: tuple[Branch, ...]) -> tuple[tuple[Test, Ids], ...]:
    wanted: dict[str, tuple[Test, list[int]]] = {}
    for at, branch in enumerate(branches):
        for part in branch.parts:
            if isinstance(part, Test) and part.words is None and part.column in DISPATCH:
                wanted.setdefault(part.key, (part, []))[1].append(at)
    return tuple((test, _ids(found)) for test, found in wanted.values())


def _tests(nodes: Iterable[Node]) -> Iterable[Test]:
    for node in nodes:
        match node:
            case Test():
                yield node
            case All(of=of) | Any_(of=of):
                yield from _tests(of)
            case Inverse(of=inner):
                yield from _tests((inner,))
            case Pair():
                pass
