"""Decoders made for records of one shape, which read many at once and refuse any that is different.

A decoder skips what no column takes, and gives columns; see `columnar`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from operator import attrgetter
from typing import Any, Literal, cast

import msgspec
import pyarrow as pa

from perilune.model.tables import COLUMNS, TABLES
from perilune.readers import defender
from perilune.readers.fields import is_array, narrow
from perilune.readers.heads import Tree, paths_of, tree_of
from perilune.readers.mappings import FieldPath, Map, Mappings
from perilune.readers.values import dump
from perilune.readers.windows import SCRIPT_BLOCK, Kinds, is_object, is_plain

_MOST_NAMES = 400
_Finish = Callable[[Sequence[Any]], tuple[str, pa.Table] | None]


@dataclass(frozen=True, slots=True)
class Shape:
    """Reads the lines of one kind, or refuses them with a `msgspec.MsgspecError`."""

    decoder: msgspec.json.Decoder[Any]
    array: msgspec.json.Decoder[list[Any]]
    finish: _Finish
    names: tuple[str, ...] = ()

    @staticmethod
    def of(row: Any, finish: _Finish, names: tuple[str, ...] = ()) -> Shape:
        return Shape(msgspec.json.Decoder(row), msgspec.json.Decoder(list[row]), finish, names)


def learn(rows: Sequence[Any], mappings: Mappings, known: Sequence[str]) -> Shape | None:
    """A shape for records like these, and with the names known before, if there is one."""
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


def _event_shape(events: Sequence[object], mappings: Mappings, known: Sequence[str]) -> Shape | None:
    names: dict[str, None] = dict.fromkeys(known)
    kinds: set[tuple[str | None, int | None]] = set()
    for event in events:
        if (
            not is_object(event)
            or not is_object(event.get("System"))
            or not event.get("EventData")
            or not is_plain(event["EventData"])
        ):
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


def _provider_and_id(system: Mapping[str, object]) -> tuple[str | None, int | None]:
    provider, event_id = system.get("Provider"), system.get("EventID")
    attributes = provider.get("#attributes") if is_object(provider) else None
    name = attributes.get("Name") if is_object(attributes) else None
    return (name if isinstance(name, str) else None), (event_id if type(event_id) is int else None)


def _shape_of_events(kind: str, one: Map, names: tuple[str, ...], provider: str, event_id: int) -> Shape | None:
    wanted = [path[1:] for path in paths_of(one) if path[0] == "System"]
    tree = tree_of([*wanted, ("Provider", "#attributes", "Name"), ("EventID",)])
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

    return Shape.of(_struct({"Event": event}), finish, names)


def _nested(tree: Tree, fixed: Mapping[FieldPath, Any], above: FieldPath) -> type[msgspec.Struct]:
    fields: dict[str, Any] = {}
    for name, below in tree.items():
        path = (*above, name)
        if path in fixed:
            fields[name] = (fixed[path],)
        else:
            fields[name] = _nested(below, fixed, path) if below else (_VALUE, None)
    return _struct(fields)


def _system(objects: Sequence[Any], tree: Tree) -> Any:
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


def _row_shape(rows: Sequence[dict[str, Any]]) -> Shape | None:
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
    return Shape.of(row, partial(_finish_rows, names=tuple(first), table=None))


def _enveloped(outer: type[msgspec.Struct], around: list[str], names: tuple[str, ...], table: str) -> Shape:
    row_in = attrgetter(f"f{around.index('properties')}")
    return Shape.of(outer, lambda rows: _finish_rows([row_in(one) for one in rows], names, table))


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
    return _one_table(tuple(names), frozenset(named), frozenset(actions))


@lru_cache(512)
def _one_table(names: tuple[str, ...], named: frozenset[object], actions: frozenset[object]) -> str | None:
    found = {defender.find_table(names, name, action) for name in named for action in actions}
    table = found.pop()
    return table if not found and table is not None and _fits(names, table) else None
