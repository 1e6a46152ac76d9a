"""Raw records, a few hundred at a time, taken apart into columns while they are still in the processor's cache.

Holding records as dictionaries until a batch is full costs ten times their size in memory, and every later look
at one is a cache miss. So each handful is turned into a `Block` of Arrow columns at once, and let go.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import getitem, itemgetter
from types import NoneType
from typing import TYPE_CHECKING, Any, TypeAlias, TypeGuard, cast

import pyarrow as pa

from perilune.model.tables import BOOL, LONG, TABLES, TEXT
from perilune.readers import values as convert
from perilune.readers.mappings import Extra, FieldPath, Joined, Map

Raw = Mapping[str, object]
if TYPE_CHECKING:
    Array: TypeAlias = pa.Array[Any]
else:
    Array = pa.Array
RawColumn = Array | list[object]  # an Arrow column of texts, whole numbers or booleans; else the objects themselves


def is_array(column: RawColumn) -> TypeGuard[Array]:
    return not isinstance(column, list)


@dataclass(frozen=True, slots=True)
class Block:
    """Some raw records of one map as columns; a raw field that no record has is absent.

    extra  what goes into AdditionalFields, as JSON text, where the map says that something does
    """

    numbers: Sequence[int]
    columns: Mapping[FieldPath, RawColumn]
    extra: Array | None = None


def narrow(values: Sequence[object]) -> RawColumn:
    """The values as an Arrow column if they are all of one plain type, so that nothing of them changes."""
    first = next((value for value in values if value is not None), None)
    kind = _KINDS.get(type(first))
    if kind is None or (kind is not TEXT and not set(map(type, values)) <= {type(first), NoneType}):
        return list(values)
    try:
        return pa.array(values, kind)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError, UnicodeEncodeError):
        return list(values)


_KINDS = {str: TEXT, int: LONG, bool: BOOL, NoneType: TEXT}


class Wanted:
    """What a map takes of each raw record."""

    def __init__(self, one: Map) -> None:
        sources = [source for column in one.columns for source in column.sources]
        paths = [path for source in sources for path in (source.paths if isinstance(source, Joined) else (source,))]
        self.paths: tuple[FieldPath, ...] = tuple(dict.fromkeys(paths))
        self.filled = frozenset(column.name for column in one.columns)
        self.map = one

    def same_names(self, names: set[str]) -> list[str]:
        """The raw fields that are named as a column of the table is, and that no other column rule fills."""
        if not self.map.as_is:
            return []
        return [name for name in TABLES[self.map.table].columns if name in names and name not in self.filled]


def to_block(records: Sequence[Raw], numbers: Sequence[int], wanted: Wanted) -> Block:
    """Records as columns."""
    one = wanted.map
    same = wanted.same_names(names_in(records)) if one.as_is else []
    fields = Fields(records, {**one.siblings, (): (*one.siblings.get((), ()), *same)} if same else one.siblings)
    paths = (*wanted.paths, *((name,) for name in same))
    columns = {path: narrow(found) for path in paths if (found := fields.find(path)) is not None}
    return Block(numbers, columns, extra_fields(fields, one.extra, one.taken) if one.extra else None)


_getitem: Any = getitem


def _names_by_object(paths: Iterable[FieldPath]) -> dict[FieldPath, tuple[str, ...]]:
    """The names wanted of each object on the way to these paths."""
    found: dict[FieldPath, dict[str, None]] = {}
    for path in sorted(paths):
        for depth in range(len(path)):
            found.setdefault(path[:depth], {})[path[depth]] = None
    return {parent: tuple(names) for parent, names in found.items()}


class Projection:
    """Takes of each record what a map wants, while the record is at hand, so that it need not be kept."""

    def __init__(self, wanted: Wanted) -> None:
        one = wanted.map
        self._extra = one.extra
        self._left_of = _LeftOf(one.extra, one.taken) if one.extra else None
        added = one.extra.add if one.extra else {}
        objects = (one.extra.of,) if one.extra and one.extra.of else ()
        wanted_paths = tuple(dict.fromkeys((*wanted.paths, *added.values(), *objects)))
        names = _names_by_object(wanted_paths)
        self._chains = tuple(path for path in wanted_paths if len(path) > 2 and len(names[path[:-1]]) == 1)
        self._places: dict[FieldPath, int] = {(): 0}
        self._steps = tuple(self._plan(_names_by_object(set(wanted_paths) - set(self._chains))))
        for path in self._chains:
            self._places[path] = len(self._places)
        self._object = self._places[one.extra.of] if one.extra else 0
        self._added = tuple((name, self._places[path]) for name, path in added.items())
        self.paths = wanted.paths
        places = [self._places[path] for path in self.paths]
        self._pick = itemgetter(*places, 0, 0)  # two more, so that it always gives a tuple

    def _plan(self, names: Mapping[FieldPath, Sequence[str]]) -> Iterator[tuple[int, Sequence[str], list[None]]]:
        """Which names are looked up in which object found before; each place is one of the values looked up."""
        for parent in sorted(names, key=len):
            yield self._places[parent], names[parent], [None] * len(names[parent])
            for name in names[parent]:
                self._places[(*parent, name)] = len(self._places)

    def take(self, records: Sequence[Raw], rows: list[tuple[object, ...]], extras: list[str | None]) -> None:
        """Adds a row for each record, with the values at `paths`."""
        for record in records:
            values: list[object] = [record]
            for place, names, nothing in self._steps:
                one = values[place]
                values += map(one.get, names) if type(one) is dict else nothing
            for path in self._chains:  # alone in their objects
                try:
                    values.append(reduce(_getitem, path, record))
                except (KeyError, TypeError, IndexError):
                    values.append(None)
            if self._left_of is not None:
                extras.append(self._write(values))
            values[0] = None
            rows.append(self._pick(values))

    def _write(self, values: list[object]) -> str | None:
        assert self._left_of is not None
        left = self._left_of(values[self._object])
        if self._added:
            added = {name: value for name, place in self._added if (value := values[place]) is not None}
            left = {**added, **left}
        return convert.dump(left) if left else None

    def block(self, rows: Sequence[tuple[object, ...]], numbers: Sequence[int], extras: Sequence[str | None]) -> Block:
        """The rows as columns."""
        found = {path: narrow(column) for path, column in zip(self.paths, zip(*rows, strict=True), strict=False)}
        return Block(numbers, found, convert.texts(extras) if self._extra else None)


class Fields:
    """A handful of raw records, seen as columns.

    `siblings` names the fields that are wanted of each object: they are taken in one pass over the records
    instead of one pass per field, and objects on the way to a nested field are looked up once for all.
    """

    def __init__(self, records: Sequence[Raw], siblings: Mapping[FieldPath, Sequence[str]]) -> None:
        self._known: dict[FieldPath, Sequence[object] | None] = {(): records}
        self._siblings = siblings
        self._rows = len(records)

    def __len__(self) -> int:
        return self._rows

    def get(self, path: FieldPath) -> Sequence[object]:
        """The values at a path, null where it leads nowhere."""
        found = self.find(path)
        return [None] * self._rows if found is None else found

    def find(self, path: FieldPath) -> Sequence[object] | None:
        """The values at a path, or None where it leads nowhere in all records."""
        if path in self._known:
            return self._known[path]
        parent = path[:-1]
        names = self._siblings.get(parent, ())
        if path[-1] not in names:
            names = (path[-1],)
        objects = self.find(parent)
        columns = [None] * len(names) if objects is None else take(objects, names)
        for name, values in zip(names, columns, strict=True):
            self._known[(*parent, name)] = values
        return self._known[path]


def take(objects: Sequence[object], names: Sequence[str]) -> Sequence[Sequence[object] | None]:
    """One column per name: the objects' values under it, null where an object lacks it or is none."""
    try:
        return _columns(objects, names)
    except (KeyError, TypeError, IndexError):
        pass
    shapes = [frozenset(shape) for shape in {tuple(one) if type(one) is dict else () for one in objects}]
    common = shapes[0].intersection(*shapes)
    somewhere = shapes[0].union(*shapes)
    everywhere = [name for name in names if name in common]
    known = dict(zip(everywhere, _columns(objects, everywhere) if everywhere else (), strict=True))
    return [known[name] if name in known else _sparse(objects, name) if name in somewhere else None for name in names]


def _columns(objects: Sequence[object], names: Sequence[str]) -> Sequence[Sequence[object]]:
    """The columns, where every object has every name; else a KeyError, or a TypeError where one is no object."""
    rows = [*map(itemgetter(*names), objects)]  # type: ignore[arg-type]  # what is no object raises
    return list(zip(*rows, strict=True)) if len(names) > 1 else [rows]


def _sparse(objects: Sequence[object], name: str) -> Sequence[object]:
    return [one.get(name) if type(one) is dict else None for one in objects]


def names_in(objects: Sequence[object]) -> set[str]:
    """All field names of some objects; they have few different shapes, so shapes are told apart first."""
    shapes = {tuple(one) for one in objects if type(one) is dict}
    return {name for shape in shapes for name in shape}


# --- what no column takes


def extra_fields(fields: Fields, extra: Extra, taken: frozenset[str]) -> Array:
    """AdditionalFields: the object's fields that no column takes, as JSON text; null where none is left."""
    objects = fields.get(extra.of)
    if extra.drop and not extra.add:
        left = sorted(names_in(objects) - taken)
        columns = [cast(Sequence[object], one) for one in take(objects, left)] if left else []
        return left_over({}, dict(zip(left, columns, strict=True)), extra.drop, len(fields))
    left_of = _LeftOf(extra, taken)
    if not extra.add:
        found = [left_of(one) for one in objects]
    else:
        found = [{**add, **left_of(one)} for add, one in zip(_beside(fields, extra), objects, strict=True)]
    return convert.texts([convert.dump(one) if one else None for one in found])


class _LeftOf:
    """What is left of an object; one of which nothing is to be left out stays as it is."""

    def __init__(self, extra: Extra, taken: frozenset[str]) -> None:
        self._drop = extra.drop
        self._taken = taken
        self._names: dict[tuple[str, ...], list[str]] = {}

    def __call__(self, one: object) -> Raw:
        if type(one) is not dict:
            return {}
        if not self._drop and self._taken.isdisjoint(one):
            return one
        shape = tuple(one)
        names = self._names.get(shape)
        if names is None:
            names = self._names[shape] = sorted(name for name in shape if name not in self._taken)
        if self._drop:
            return _kept(names, [one[name] for name in names], self._drop)
        return {name: value for name in names if (value := one[name]) is not None}


Columns = Mapping[str, Sequence[object]]


def left_over(added: Columns, left: Columns, drop: frozenset[str], rows: int) -> Array:
    """The JSON of these columns, row by row; `drop` is for those that are left only."""
    return convert.texts(left_texts(added, left, drop, rows)) if added or left else pa.nulls(rows, TEXT)


def left_texts(added: Columns, left: Columns, drop: frozenset[str], rows: int) -> list[str | None]:
    """The same as a list. The same row is written once."""
    if not added and not left:
        return [None] * rows

    def write(row: tuple[object, ...]) -> str | None:
        kept = _kept(tuple(added), row[: len(added)], frozenset()) | _kept(tuple(left), row[len(added) :], drop)
        return convert.dump(kept) if kept else None

    columns = [*added.values(), *left.values()]
    tuples = list(zip(*columns, strict=True))
    if not all(set(map(type, column)) <= _DISTINCT for column in columns):
        return [write(row) for row in tuples]
    known = {row: write(row) for row in set(tuples)}
    return [known[row] for row in tuples]


_DISTINCT = {str, int, NoneType}  # types of which equal values are written alike, as 1, 1.0 and True are not


def _beside(fields: Fields, extra: Extra) -> list[Raw]:
    """The added fields of each record, as objects."""
    if not extra.add:
        return [{}] * len(fields)
    columns = [fields.get(path) for path in extra.add.values()]
    names = tuple(extra.add)
    return [
        {name: value for name, value in zip(names, row, strict=True) if value is not None}
        for row in zip(*columns, strict=True)
    ]


def _kept(names: Sequence[str], row: Sequence[object], drop: frozenset[str]) -> dict[str, object]:
    return {
        name: value
        for name, value in zip(names, row, strict=True)
        if value is not None and not (type(value) is str and value in drop)
    }
