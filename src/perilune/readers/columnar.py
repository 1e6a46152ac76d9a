"""Uniform JSON lines to columns without a dictionary per record: only what a mapping takes is ever made an object.

Lines of one kind have one shape. The first of them are looked at, a decoder is made for just that shape, and it
reads the others at once: it skips what no column takes, and it refuses any line that is different. What is refused
takes the way over dictionaries, which says what is right; a test proves both ways equal.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from operator import attrgetter
from typing import Any, Literal, cast

import msgspec
import orjson
import pyarrow as pa

from perilune.model.tables import COLUMNS, TABLES
from perilune.ports import Columns
from perilune.readers import defender
from perilune.readers.fields import is_array, narrow
from perilune.readers.mappings import FieldPath, Joined, Map, Mappings
from perilune.readers.text import Lines
from perilune.readers.values import dump
from perilune.readers.windows import SCRIPT_BLOCK, Kinds, is_object

_MOST_KINDS = 64
_LOOK = 64  # lines of a kind that are looked at to learn its shape
_PATIENCE = 4  # times that a kind may turn out to be different before it is left to the other way
_FEW = 16  # lines for which a decoder is not worth its making
_MOST_NAMES = 400
_ARRAY = "(array)"

# What tells lines of different kinds apart at a glance; a wrong guess is refused by the decoder.
_GLANCE = re.compile(
    rb'"(?:Name"\s*:\s*"([^"\\]{1,80})".{0,400}?"EventID"\s*:\s*(\d{1,9})'
    rb'|category"\s*:\s*"([^"\\]{1,80})")', re.DOTALL,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Rest:
    """Lines that take the way over dictionaries, with their numbers."""

    lines: Sequence[bytes]
    numbers: Sequence[int]


_Finish = Callable[[Sequence[Any]], tuple[str, pa.Table] | None]


@dataclass(frozen=True, slots=True)
class _Shape:
    """Reads the lines of one kind, or refuses them with a `msgspec.MsgspecError`."""

    decoder: msgspec.json.Decoder[Any]
    array: msgspec.json.Decoder[list[Any]]
    finish: _Finish
    names: tuple[str, ...] = ()

    @staticmethod
    def of(row: Any, finish: _Finish, names: tuple[str, ...] = ()) -> _Shape:
        return _Shape(msgspec.json.Decoder(row), msgspec.json.Decoder(list[row]), finish, names)


@dataclass(slots=True)
class _Kind:
    """What is known of the lines that look alike."""

    shape: _Shape | None = None
    patience: int = _PATIENCE


class Columnar:
    """Tries block after block of one file."""

    def __init__(self, mappings: Mappings) -> None:
        self._mappings = mappings
        self._kinds: dict[object, _Kind] = {}
        self._last: object = None

    def split(self, block: Lines) -> Iterator[Columns | Rest]:
        """The block's lines: as columns where they are uniform, the rest as they are."""
        if not _is_text(block.data):
            yield Rest(block.lines, range(block.first, block.first + len(block)))
            return
        whole = self._whole(block)
        if whole is not None:
            yield whole
            return
        groups: dict[object, tuple[list[bytes], list[int]]] = {}
        for number, line in enumerate(block.lines, block.first):
            lines, numbers = groups.setdefault(_glance(line), ([], []))
            lines.append(line)
            numbers.append(number)
        rest: list[tuple[int, bytes]] = []
        for key, (lines, numbers) in groups.items():
            found = self._group(key, lines, numbers)
            if found is not None:
                yield found
            else:
                rest += zip(numbers, lines, strict=True)
        if rest:
            yield Rest([line for _, line in sorted(rest)], [number for number, _ in sorted(rest)])

    def array(self, data: bytes, first: int) -> Columns | list[object] | None:
        """The elements of a JSON array: as columns where they are uniform, else as they are; None if it is none."""
        known = self._kinds.setdefault(_ARRAY, _Kind())
        found = _decode_array(known.shape, data) if known.shape else None
        if found is None:
            try:
                rows = orjson.loads(data)
            except orjson.JSONDecodeError:
                return None
            if not rows or known.patience <= 0:
                return cast("list[object]", rows)
            known.patience -= 1
            known.shape = _learn_rows(rows, self._mappings, known.shape.names if known.shape else ())
            found = _decode_array(known.shape, data) if known.shape else None
            if found is None:
                return cast("list[object]", rows)
        return Columns(found[0], found[1], first, len(data))

    def _whole(self, block: Lines) -> Columns | None:
        """All lines by the shape of the last ones."""
        known = self._kinds.get(self._last)
        if known is None or known.shape is None:
            return None
        found = _decode(known.shape, block.data, len(block))
        return None if found is None else Columns(found[0], found[1], block.first, len(block.data))

    def _group(self, key: object, lines: list[bytes], numbers: list[int]) -> Columns | None:
        known = self._kinds.get(key)
        if known is None:
            if len(lines) < _FEW or len(self._kinds) >= _MOST_KINDS:
                return None
            known = self._kinds[key] = _Kind()
        data = b"\n".join(lines)
        while known.patience > 0:
            found = _decode(known.shape, data, len(lines)) if known.shape else None
            if found is not None:
                self._last = key
                return Columns(found[0], found[1], numbers[0], len(data), numbers)
            known.patience -= 1
            every = 1 if known.shape else max(1, len(lines) // _LOOK)
            known.shape = _learn(lines[::every], self._mappings, known.shape.names if known.shape else ())
            if known.shape is None:
                break
        return None


def _is_text(data: bytes) -> bool:
    """Whether the bytes are UTF-8, also where no decoder looks at them."""
    ends = pa.py_buffer(struct.pack("<ii", 0, len(data)))
    try:
        pa.Array.from_buffers(pa.string(), 1, [None, ends, pa.py_buffer(data)]).validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True


def _glance(line: bytes) -> object:
    found = _GLANCE.search(line, 0, 2048)
    return found.groups() if found else None


def _decode(shape: _Shape, data: bytes, count: int) -> tuple[str, pa.Table] | None:
    try:
        rows = shape.decoder.decode_lines(data)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return None
    return shape.finish(rows) if len(rows) == count else None


def _decode_array(shape: _Shape, data: bytes) -> tuple[str, pa.Table] | None:
    try:
        return shape.finish(shape.array.decode(data))
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return None


def _learn(lines: Sequence[bytes], mappings: Mappings, known: Sequence[str] = ()) -> _Shape | None:
    """A shape from lines and the names known before, if all are of one shape that can be read this way."""
    try:
        rows = [orjson.loads(line) for line in lines]
    except orjson.JSONDecodeError:
        return None
    return _learn_rows(rows, mappings, known)


def _learn_rows(rows: Sequence[Any], mappings: Mappings, known: Sequence[str]) -> _Shape | None:
    if not all(type(row) is dict for row in rows):
        return None
    if all("Event" in row for row in rows):
        return _event_shape([row["Event"] for row in rows], mappings, known)
    return _row_shape(rows)


# --- making a decoder


def _struct(fields: Mapping[str, Any], *, strict: bool = False) -> type[msgspec.Struct]:
    """A type with these fields, whatever their names are."""
    plain = {f"f{number}": name for number, name in enumerate(fields)}
    spec: list[Any] = [
        (short, kind) if isinstance(kind, type) and issubclass(kind, msgspec.Struct) else (short, *kind)
        for short, kind in zip(plain, fields.values(), strict=True)
    ]
    return msgspec.defstruct("Shape", spec, rename=plain, forbid_unknown_fields=strict, gc=False, kw_only=True)


def _columns(rows: Sequence[Any], names: Sequence[str]) -> dict[str, Sequence[object]]:
    """The fields of such objects, by name."""
    return dict(zip(names, zip(*map(msgspec.structs.astuple, rows), strict=True), strict=True))


def _arrays(columns: Mapping[str, Sequence[object]]) -> dict[str, Any] | None:
    found = {name: narrow(values) for name, values in columns.items()}
    return cast("dict[str, Any]", found) if all(map(is_array, found.values())) else None


# --- Windows events

_VALUE = str | int | bool | None


def _event_shape(events: Sequence[object], mappings: Mappings, known: Sequence[str]) -> _Shape | None:
    names: dict[str, None] = dict.fromkeys(known)
    kinds: set[tuple[str | None, int | None]] = set()
    for event in events:
        if not is_object(event) or not is_object(event.get("System")) or not _is_plain(event.get("EventData")):
            return None
        names |= dict.fromkeys(cast("dict[str, object]", event["EventData"]))
        kinds.add(_provider_and_id(cast("dict[str, object]", event["System"])))
    provider, event_id = kinds.pop()
    if kinds or provider is None or event_id is None or len(names) > _MOST_NAMES:
        return None
    kind = Kinds().name({"Provider": {"#attributes": {"Name": provider}}, "EventID": event_id})
    one = mappings.find(kind)
    if one is None or kind == SCRIPT_BLOCK or one.as_is or (one.extra and not one.extra.drop):
        return None
    return _shape_of_events(kind, one, tuple(names), provider, event_id)


def _is_plain(data: object) -> bool:
    """Whether it is an EventData without anything nested or unnamed."""
    return (
        is_object(data)
        and bool(data)
        and "Data" not in data
        and all(value is None or type(value) in (str, int, bool) for value in data.values())
    )


def _provider_and_id(system: Mapping[str, object]) -> tuple[str | None, int | None]:
    provider, event_id = system.get("Provider"), system.get("EventID")
    attributes = provider.get("#attributes") if is_object(provider) else None
    name = attributes.get("Name") if is_object(attributes) else None
    return (name if isinstance(name, str) else None), (event_id if type(event_id) is int else None)


def _shape_of_events(kind: str, one: Map, names: tuple[str, ...], provider: str, event_id: int) -> _Shape | None:
    wanted = [path[1:] for path in _paths(one) if path[0] == "System"]
    tree = _tree([*wanted, ("Provider", "#attributes", "Name"), ("EventID",)])
    fixed = {("Provider", "#attributes", "Name"): Literal[provider], ("EventID",): Literal[event_id]}
    data = _struct(dict.fromkeys(names, (_VALUE, None)), strict=True)
    event = _struct({"System": _nested(tree, fixed, ()), "EventData": data})

    def finish(rows: Sequence[Any]) -> tuple[str, pa.Table] | None:
        events = [row.f0 for row in rows]
        fields = _arrays(_columns([event.f1 for event in events], names))
        system = _system([event.f0 for event in events], tree)
        if fields is None or system is None:
            return None
        return kind, pa.table({"System": system, "EventData": _to_struct(fields)})

    return _Shape.of(_struct({"Event": event}), finish, names)


def _paths(one: Map) -> Iterator[FieldPath]:
    for column in one.columns:
        for source in column.sources:
            yield from source.paths if isinstance(source, Joined) else (source,)
    yield from one.extra.add.values() if one.extra else ()


_Tree = dict[str, "_Tree"]


def _tree(paths: Sequence[FieldPath]) -> _Tree:
    found: _Tree = {}
    for path in paths:
        at = found
        for name in path:
            at = at.setdefault(name, {})
    return found


def _nested(tree: _Tree, fixed: Mapping[FieldPath, Any], above: FieldPath) -> type[msgspec.Struct]:
    fields: dict[str, Any] = {}
    for name, below in tree.items():
        path = (*above, name)
        if path in fixed:
            fields[name] = (fixed[path],)
        else:
            fields[name] = _nested(below, fixed, path) if below else (_VALUE, None)
    return _struct(fields)


def _system(objects: Sequence[Any], tree: _Tree) -> Any:
    """A struct column of the wanted fields, or None when one of them is not plain."""
    found: dict[str, Any] = {}
    for name, values in _columns(objects, tuple(tree)).items():
        column = _system(values, tree[name]) if tree[name] else narrow(values)
        if column is None or isinstance(column, list):
            return None
        found[name] = column
    return _to_struct(found)


def _to_struct(columns: Mapping[str, Any]) -> Any:
    return pa.StructArray.from_arrays(list(columns.values()), list(columns))


# --- Defender rows


_AROUND = frozenset("time tenantId operationName category properties Tenant".split())


def _row_shape(rows: Sequence[dict[str, Any]]) -> _Shape | None:
    """Rows bare, or one by one in the envelope of the streaming API."""
    first = rows[0]
    category, inner = first.get("category"), first.get("properties")
    if is_object(inner) and isinstance(category, str) and first.keys() <= _AROUND:
        table = defender.find_table(inner, category.removeprefix(defender.CATEGORY), None)
        row = _row(inner)
        if row is None or table is None or not _fits(tuple(inner), table):
            return None
        around: dict[str, Any] = dict.fromkeys(first, (object, None)) | {
            "category": (Literal[category],),
            "properties": row,
        }
        return _enveloped(_struct(around, strict=True), list(around), tuple(inner), table)
    if not defender.is_row(first) or defender.is_envelope(first) or (row := _row(first)) is None:
        return None
    return _Shape.of(row, partial(_finish_rows, names=tuple(first), table=None))


def _enveloped(outer: type[msgspec.Struct], around: list[str], names: tuple[str, ...], table: str) -> _Shape:
    row_in = attrgetter(f"f{around.index('properties')}")
    return _Shape.of(outer, lambda rows: _finish_rows([row_in(one) for one in rows], names, table))


def _row(row: Mapping[str, object]) -> type[msgspec.Struct] | None:
    """A type for rows of just these names, when all of them are a column's, or stand beside the columns."""
    known = all((name in COLUMNS and name[0] != "X") or name in defender.BESIDE for name in row)
    return _struct(dict.fromkeys(row, (object,)), strict=True) if known and len(row) > 1 else None


def _fits(names: Sequence[str], table: str) -> bool:
    return table in TABLES and all(name in TABLES[table].columns or name in defender.BESIDE for name in names)


def _finish_rows(rows: Sequence[Any], names: Sequence[str], table: str | None) -> tuple[str, pa.Table] | None:
    columns = _columns(rows, names)
    table = table or table_of(names, columns)
    if table is None or any(_has_objects(columns[name]) for name in TELLING if name in columns):
        return None
    if "AdditionalFields" in columns and _has_objects(columns["AdditionalFields"]):
        columns["AdditionalFields"] = [_as_text(value) for value in columns["AdditionalFields"]]
    arrays = _arrays(columns)
    return None if arrays is None else (f"defender:{table}", pa.table(arrays))


def _has_objects(values: Sequence[object]) -> bool:
    return not {dict, list}.isdisjoint(map(type, values))


def _as_text(value: object) -> object:
    return dump(value) if type(value) in (dict, list) and value else value


TELLING = ("ActionType", "Type", "$table", "TableName")
_MOST_ACTIONS = 300


def table_of(names: Sequence[str], columns: Mapping[str, Sequence[object]]) -> str | None:
    """The table of every row, if it is the same one and has all columns."""
    try:
        actions = set(columns.get("ActionType", (None,)))
        named = {value for name in TELLING[1:] for value in columns.get(name, ())} or {None}
    except TypeError:
        return None
    if len(actions) * len(named) > _MOST_ACTIONS:
        return None
    found = {defender.find_table(names, name, action) for name in named for action in actions}
    table = found.pop()
    return table if not found and table is not None and _fits(names, table) else None
