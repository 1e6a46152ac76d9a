"""One column of one batch: its distinct values, which row has which, and what tests have made of them so far."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from perilune.detection.memory import Memory, Words
from perilune.detection.predicates import Predicate, predicate
from perilune.detection.shape import ANY_VALUE
from perilune.detection.values import as_text, fold, item, json_object
from perilune.model.tables import Table

Codes = npt.NDArray[np.int32]
Rows = npt.NDArray[np.intp]
Mask = npt.NDArray[np.bool_]

_ONE_BY_ONE = 4  # values that are cheaper to compare with each row than to look up for each row
_OFTEN = 8  # a value that more than one in 2**8 rows has is looked up by itself
_COUNTED = 1 << 12  # distinct codes up to which Arrow sorts by counting
_UNKNOWN, _NO, _YES = 0, 1, 2


class Column:
    """Rows as codes into distinct values; the code `null` stands for a missing value.

    Belongs to one batch and one thread. Whatever costs something is made when it is first asked for.
    """

    def __init__(self, codes: Codes, values: pa.Array[Any], *, many: bool = False) -> None:
        self.narrow = codes
        self.values = values
        self.null = len(values)
        self._many = many  # each value is a list of texts, of which any may meet a test
        self._often: dict[int, Rows] = {}  # the rows of values that many rows have
        self._memory: Memory | None = None
        self.numbers: Rows | None = None  # of the values in the memory
        self._memo: dict[str, npt.NDArray[np.uint8]] = {}  # by test, what is known of each value
        self._settled: dict[str, Mask] = {}  # by test, where it is known of all values

    @cached_property
    def codes(self) -> Rows:
        """The rows' codes, as wide as numpy wants an index: narrower ones it widens at each use."""
        return self.narrow.astype(np.intp)

    @cached_property
    def counts(self) -> npt.NDArray[np.intp]:
        """How many rows have each code."""
        return np.bincount(self.narrow, minlength=self.null + 1)

    @cached_property
    def has_null(self) -> bool:
        return bool(self.counts[self.null])

    @cached_property
    def lowered(self) -> pa.StringArray:
        """The distinct values folded, in one buffer; what is no text is written as one."""
        if pa.types.is_string(self.values.type):
            return cast("pa.StringArray", pc.utf8_lower(self.values))
        if self._many:
            joined = [fold("\n".join(texts)) for texts in self.originals]  # type: ignore[arg-type]
            return pa.array(joined, pa.string())
        return pa.array([fold(as_text(value) or "") for value in self.originals], pa.string())

    def lowered_of(self, codes: Rows) -> pa.StringArray:
        """Some of the distinct values folded; only of texts."""
        return cast("pa.StringArray", pc.utf8_lower(self.values.take(codes)))

    @cached_property
    def originals(self) -> list[object]:
        """The distinct values as Python has them."""
        found: list[object] = self.values.to_pylist()
        return found

    @cached_property
    def texts(self) -> list[str]:
        """The distinct values folded, as Python has them."""
        found: list[str] = self.lowered.to_pylist()  # type: ignore[assignment]
        return found

    @cached_property
    def objects(self) -> list[Mapping[str, object]]:
        """The JSON objects that the distinct values spell."""
        return [json_object(text) if isinstance(text, str) else {} for text in self.originals]

    def expect(self, values: Rows) -> None:
        """Says which values' rows will be asked for, so that those few rows can be put in order at once."""
        self._expected[values] = True
        self.__dict__.pop("_rare", None)

    @cached_property
    def _expected(self) -> Mask:
        return np.zeros(self.null + 1, np.bool_)

    @cached_property
    def _rare(self) -> tuple[Rows, Rows, Rows]:
        """The rows of the expected values that few rows have, by value, and where each value's begin and end."""
        rare = self._expected & (self.counts <= len(self.narrow) >> _OFTEN)
        rows = np.flatnonzero(rare[self.codes])
        ends = np.cumsum(np.where(rare, self.counts, 0))
        begins = np.where(rare, ends - self.counts, -1)
        return rows[_order_of(self.narrow[rows], self.null)], begins, ends

    def rows_of(self, values: Rows) -> Rows:
        """The rows that have one of the codes, in no particular order."""
        order, begins, ends = self._rare
        first = begins[values]
        found, others = first >= 0, values[first < 0]
        if len(others) > _ONE_BY_ONE:
            return self._passed(values)
        spans = zip(first[found].tolist(), ends[values[found]].tolist(), strict=True)
        each = [order[begin:end] for begin, end in spans] + [self._rows_of_one(value) for value in others.tolist()]
        return each[0] if len(each) == 1 else np.concatenate(each) if each else np.empty(0, np.intp)

    def _rows_of_one(self, value: int) -> Rows:
        """The rows of a value that many rows have; such values are few and asked for often."""
        if value not in self._often:
            self._often[value] = np.flatnonzero(self.narrow == value)
        return self._often[value]

    def _passed(self, values: Rows) -> Rows:
        """The rows that have one of the codes, found by going through all rows."""
        wanted = np.zeros(self.null + 1, np.bool_)
        wanted[values] = True
        return np.flatnonzero(wanted[self.codes])

    def rows_of_each(self, values: Rows) -> tuple[Rows, Rows]:
        """The rows that have the codes, code after code, and for each row which of the codes it has."""
        order, starts = self._order
        lengths = starts[values + 1] - starts[values]
        upto = np.cumsum(lengths)
        which = np.repeat(np.arange(len(values)), lengths)
        return order[np.repeat(starts[values] - upto + lengths, lengths) + np.arange(len(which))], which

    @cached_property
    def _order(self) -> tuple[Rows, Rows]:
        """All rows in the order of their codes, and where each code's rows begin."""
        starts = np.zeros(self.null + 2, np.intp)
        np.cumsum(self.counts, out=starts[1:])
        return _order_of(self.narrow, self.null), starts

    def met_by(self, key: str, codes: npt.NDArray[np.integer]) -> Mask:
        """For each of the codes, whether the value meets the test; each distinct value is tested once.

        A test is compiled only when a value is left that a search did not settle.
        """
        mask: Mask
        if key in self._settled:
            mask = self._settled[key][codes]
            return mask
        memo = self._memo.get(key)
        if memo is None:
            memo = self._memo[key] = self._remembered(key)
        seen = memo[codes]
        unknown = (seen == _UNKNOWN).nonzero()[0]
        if len(unknown):
            new = distinct(codes[unknown], self.null + 1)
            memo[new] = tested = self._tested(predicate(key), new.tolist())
            if self._memory is not None and self.numbers is not None:
                self._memory.note(key, self.numbers[new], tested)
            seen = memo[codes]
        mask = seen == _YES
        return mask

    def remember(self, memory: Memory) -> None:
        """Uses what is known of these values from the batches before."""
        if pa.types.is_string(self.values.type) and not self._many and self.null:
            self._memory = memory
            self.numbers = memory.numbers(cast("list[str]", self.originals), self.values.nbytes)

    def words(self, needles: int, scan: Callable[[Rows | None], Words]) -> Words:
        """The words found by `scan`, which is given the values to search, or None for all."""
        if self._memory is None or self.numbers is None:
            return scan(None)
        return self._memory.words(needles, self.numbers, scan)

    def _remembered(self, key: str) -> npt.NDArray[np.uint8]:
        memo = np.zeros(self.null + 1, np.uint8)
        if self._memory is not None and self.numbers is not None:
            known = self._memory.known(key, self.numbers)
            if known is not None:
                memo[:-1] = known
        memo[self.null] = _YES if predicate(key).on_null else _NO
        return memo

    def settle(self, key: str, found: Rows, *, exact: bool) -> None:
        """Notes what a search says of a test: no other value can meet it; these do, or may where not `exact`."""
        if exact:
            self._settled[key] = np.zeros(self.null + 1, np.bool_)
            self._settled[key][found] = True
        else:
            memo = np.full(self.null + 1, _NO, np.uint8)
            memo[found] = self._remembered(key)[found]
            self._memo[key] = memo

    def is_known(self, key: str) -> bool:
        """Whether anything is known of a test."""
        return key in self._memo or key in self._settled

    def forget(self, key: str) -> None:
        """Frees what is known of a test that no other rule shares."""
        self._memo.pop(key, None)
        self._settled.pop(key, None)

    def _tested(self, test: Predicate, codes: Sequence[int]) -> npt.NDArray[np.uint8]:
        if self._many:
            met = np.array([self._any_met(test, code) for code in codes], np.bool_)
        else:
            texts = self.texts
            originals = self.originals if test.wants_original else ()
            some = [originals[code] for code in codes] if originals else ()
            met = test.holds([texts[code] for code in codes], some)
        return np.where(met, _YES, _NO).astype(np.uint8)

    def _any_met(self, test: Predicate, code: int) -> bool:
        texts = cast("list[str]", self.originals[code])
        return bool(test.holds([fold(text) for text in texts], texts).any())


def distinct(codes: npt.NDArray[np.integer], most: int) -> Rows:
    """The distinct codes in ascending order; `most` is above them all."""
    if len(codes) < 256:  # numpy's own function takes longer to begin
        return np.array(sorted(set(codes.tolist())), np.intp)
    if most > 64 * len(codes):
        return np.unique(codes).astype(np.intp, copy=False)
    seen = np.zeros(most, np.bool_)
    seen[codes] = True
    return np.flatnonzero(seen)


def _order_of(codes: Codes, most: int) -> Rows:
    """A stable argsort by code: by counting where codes are few, else by numpy's radix sort of 16 bits."""
    if most < _COUNTED:
        return pc.array_sort_indices(pa.array(codes)).to_numpy().view(np.intp)
    low = np.argsort(codes.astype(np.uint16), kind="stable")  # the low 16 bits
    if most < 1 << 16:
        return low
    high = (codes >> 16).astype(np.uint16)
    return low[np.argsort(high[low], kind="stable")]


class Columns:
    """The columns of one batch, each encoded when it is first asked for."""

    def __init__(self, table: Table, memories: dict[str, Memory]) -> None:
        self._table = table
        self._memories = memories
        self._names = frozenset(table.data.column_names)
        self._found: dict[str, Column | None] = {}

    def __len__(self) -> int:
        return len(self._table)

    def get(self, name: str) -> Column | None:
        """A column, or a field inside one (`AdditionalFields.Key`); None where every row lacks it."""
        if name not in self._found:
            self._found[name] = self._made(name)
        return self._found[name]

    def _made(self, name: str) -> Column | None:
        outer, _, inner = name.partition(".")
        if outer not in self._names:
            return None
        data = self._table.data.column(outer)
        if not inner:
            column = _encoded(data)
            column.remember(self._memories.setdefault(name, Memory()))
            return column
        if pa.types.is_list(data.type):
            return _items(data, inner)
        documents = self.get(outer)
        return None if documents is None else _fields(documents, inner)


def _encoded(data: pa.ChunkedArray[Any]) -> Column:
    """A column's rows as codes into its distinct values."""
    if not pa.types.is_dictionary(data.type):
        data = pc.dictionary_encode(data)
    whole = cast("pa.DictionaryArray[Any, Any]", data.unify_dictionaries().combine_chunks())
    values: pa.Array[Any] = whole.dictionary
    if pa.types.is_large_string(values.type) or pa.types.is_string_view(values.type):
        values = values.cast(pa.string())
    return _without_null_values(_codes(whole, len(values)), values)


def _codes(encoded: pa.DictionaryArray[Any, Any], null: int) -> Codes:
    """The indices of an encoded column, null rows given a code of their own."""
    indices = encoded.indices
    if indices.null_count:
        indices = indices.fill_null(null)
    return cast("Codes", indices.to_numpy(zero_copy_only=False).astype(np.int32, copy=False))


def _without_null_values(codes: Codes, values: pa.Array[Any]) -> Column:
    if values.null_count == 0:
        return Column(codes, values)
    valid = values.is_valid().to_numpy(zero_copy_only=False)
    renumbered = np.full(len(values) + 1, valid.sum(), np.int32)
    renumbered[:-1][valid] = np.arange(valid.sum(), dtype=np.int32)
    return Column(renumbered[codes], values.drop_null())


def _fields(documents: Column, key: str) -> Column:
    """One field of the JSON objects of a column, or all values of each."""
    if key == ANY_VALUE:
        pairs = zip(documents.objects, documents.originals, strict=True)
        return _of_lists(documents, [_texts(found.values()) if found else _texts([text]) for found, text in pairs])
    return _inside(documents, [as_text(found.get(key)) for found in documents.objects])


def _texts(values: Iterable[object]) -> list[str]:
    return [text for value in values if (text := as_text(value)) is not None]


def _items(data: pa.ChunkedArray[Any], index: str) -> Column:
    """One item of the lists of a column, or all of each."""
    lists: list[object] = data.to_pylist()
    rows = Column(np.arange(len(lists), dtype=np.int32), pa.nulls(len(lists)))
    if index == ANY_VALUE:
        return _of_lists(rows, [_texts(found) if isinstance(found, list) else [] for found in lists])
    return _inside(rows, [as_text(item(found, index)) for found in lists])


def _inside(outer: Column, values: list[str | None]) -> Column:
    encoded = cast("pa.DictionaryArray[Any, Any]", pc.dictionary_encode(pa.array([*values, None], pa.string())))
    return Column(_codes(encoded, len(encoded.dictionary))[outer.narrow], encoded.dictionary)


def _of_lists(outer: Column, lists: list[list[str]]) -> Column:
    return Column(outer.narrow, pa.array(lists, pa.list_(pa.string())), many=True)
