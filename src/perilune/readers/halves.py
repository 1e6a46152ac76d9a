"""Windows events of which only the head, `System`, is decoded; `EventData` stays JSON text until a map wants of it.

Most events of a log are of kinds whose EventData no column takes: its text becomes AdditionalFields as it is. Of
the others a decoder made for the fields of their map gives the values without a dictionary per record. What
neither understands takes the way over dictionaries, which says what is right; a test proves both ways equal.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from operator import attrgetter
from typing import Any, cast

import msgspec
import orjson

from perilune.ports import Halves
from perilune.readers.fields import Projection, left_texts
from perilune.readers.mappings import Extra, FieldPath, Map, Mappings
from perilune.readers.windows import SCRIPT_BLOCK, Kinds, Raw, is_plain, shape

_HEAD, _BODY = "System", "EventData"
_LEAF = str | int | None
_VALUE = str | int | bool | None
_PROVIDER, _ID = ("Provider", "#attributes", "Name"), ("EventID",)
_MOST_NAMES = 400
_PATIENCE = 16  # times that a map's events may turn out to have further fields

_Tree = dict[str, "_Tree"]
_Get = Callable[[Sequence[Any]], list[object]]


# --- the head


class _Numbered(msgspec.Struct, gc=False, rename={"text": "#text"}):
    """An EventID with qualifiers."""

    text: int


class Heads:
    """Decodes the heads of events, and tells their kinds."""

    def __init__(self, mappings: Mappings) -> None:
        wanted = {path[1:] for one in _windows_maps(mappings) for path in paths_of(one) if path[0] == _HEAD}
        tree = _tree([_PROVIDER, _ID, *sorted(path for path in wanted if path and path[0] != "EventID")])
        event = msgspec.defstruct(
            "Event", [(_HEAD, _struct(tree)), (_BODY, msgspec.Raw, msgspec.Raw(b""))], gc=False
        )  # fmt: skip
        self._decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(
            msgspec.defstruct("Record", [("Event", event)], gc=False)
        )
        self._provider = attrgetter(".".join(map(_attribute, _PROVIDER)))
        self._id = attrgetter(_attribute("EventID"))
        self._kinds: dict[tuple[object, object], str] = {}

    def decode(self, texts: Sequence[str]) -> Sequence[Any]:
        """The events of these texts; None for one that is unlike most."""
        try:
            found = self._decoder.decode_lines("\n".join(texts))
        except (msgspec.MsgspecError, UnicodeError, RecursionError):
            found = []
        if len(found) != len(texts):
            found = [self._decode(text) for text in texts]
        return [None if one is None else one.Event for one in found]

    def _decode(self, text: str) -> Any:
        try:
            return self._decoder.decode(text)
        except (msgspec.MsgspecError, UnicodeError, RecursionError):
            return None

    def kind(self, event: Any) -> str | None:
        """The event's kind; None where it is one to be looked at as a dictionary."""
        if event is None or len(event.EventData) <= 2:
            return None
        number = self._id(event.System)
        if type(number) is _Numbered:
            number = number.text
        try:
            key = (self._provider(event.System), number)
        except AttributeError:
            return None
        known = self._kinds.get(key)
        if known is None:
            if type(key[0]) is not str or type(number) is not int:
                return None
            known = self._kinds[key] = f"windows:{key[0]}/{number}"
        return None if known == SCRIPT_BLOCK else known


def _windows_maps(mappings: Mappings) -> Sequence[Map]:
    return [one for kind, one in mappings.by_kind.items() if kind.startswith("windows:")]


def paths_of(one: Map) -> Iterator[FieldPath]:
    """Every raw field that a map takes by its name."""
    for column in one.columns:
        for source in column.sources:
            yield from (source,) if isinstance(source, tuple) else source.paths
    yield from one.extra.add.values() if one.extra else ()


def _tree(paths: Sequence[FieldPath]) -> _Tree:
    found: _Tree = {}
    for path in paths:
        at = found
        for name in path:
            at = at.setdefault(name, {})
    return found


def _struct(tree: _Tree) -> type[msgspec.Struct]:
    """A type with the leaves of the tree, and with nothing else that stands beside them."""
    fields = [(_attribute(name), _kind_of(name, below), None) for name, below in tree.items()]
    return msgspec.defstruct("Head", fields, rename={_attribute(name): name for name in tree}, gc=False)


def _kind_of(name: str, below: _Tree) -> Any:
    if name == "EventID":
        return int | _Numbered | None
    return _struct(below) | None if below else _LEAF


def _attribute(name: str) -> str:
    """A Python name for a field of any name."""
    return "x" + name.encode().hex()


def _getter(path: FieldPath) -> _Get:
    """Finds the values at a path in many heads."""
    if path == _ID:
        return lambda heads: [one.text if type(one) is _Numbered else one for one in map(_get_id, heads)]
    names = [_attribute(name) for name in path]
    whole, first, rest = attrgetter(".".join(names)), attrgetter(names[0]), path[1:]

    def get(heads: Sequence[Any]) -> list[object]:
        try:
            return [*map(whole, heads)]
        except AttributeError:  # null on the way there
            below = [*map(first, heads)]
            there = iter(_getter(rest)([one for one in below if one is not None]))
            return [None if one is None else next(there) for one in below]

    return get


_get_id = attrgetter(_attribute("EventID"))


# --- the body


class Taking:
    """Takes what one map wants of such events: the same rows and the same rest as `Projection` of dictionaries."""

    def __init__(self, one: Map, projection: Projection) -> None:
        self._map = one
        self._projection = projection
        self._paths = projection.paths
        self._heads = {path: _getter(path[1:]) for path in (*self._paths, *self._added()) if path[0] == _HEAD}
        self._fits = all(path[0] == _HEAD or (path[0] == _BODY and len(path) == 2) for path in self._paths) and (
            one.extra is None or (one.extra.of == (_BODY,) and all(path[0] == _HEAD for path in self._added()))
        )
        self._bodies: _Texts | _Values = (
            _Texts(one.extra, self._paths)
            if one.extra and not one.extra.drop
            else _Values(one.extra, one.taken, self._paths)
        )

    def _added(self) -> tuple[FieldPath, ...]:
        return tuple(self._map.extra.add.values()) if self._map.extra else ()

    def take(self, events: Halves, rows: list[tuple[object, ...]], extras: list[str | None]) -> None:
        """Adds a row for each event, with the values at `paths`."""
        if not (self._fits and self._take(events, rows, extras)):
            self._projection.take(whole_events(events), rows, extras)

    def _take(self, events: Halves, rows: list[tuple[object, ...]], extras: list[str | None]) -> bool:
        heads, bodies = events.heads, events.bodies
        added = {path: self._heads[path](heads) for path in self._added()}
        found = self._bodies.take(bodies, added)
        if found is None:
            return False
        values, texts = found
        nothing = [None] * len(heads)
        columns = [
            self._heads[path](heads) if path[0] == _HEAD else values.get(path[1], nothing) for path in self._paths
        ]
        rows += zip(*columns, nothing, strict=True)
        extras += texts
        return True


def whole_events(events: Halves) -> list[Raw]:
    """The same events as dictionaries."""
    found = [shape(orjson.loads(text)["Event"]) or {} for text in events.texts]
    kinds = Kinds()
    for event in found:
        kinds.name(cast(Raw, event["System"]))  # which makes the EventID a number
    return found


_Added = Mapping[FieldPath, Sequence[object]]
_Taken = tuple[Mapping[str, Sequence[object]], Sequence[str | None]]


class _Texts:
    """Bodies of which no column takes anything: each becomes AdditionalFields as it stands, behind what is added."""

    def __init__(self, extra: Extra, paths: Sequence[FieldPath]) -> None:
        self._names = tuple(extra.add)
        self._paths = tuple(extra.add.values())
        taken = {path[1] for path in paths if path[0] == _BODY and len(path) == 2}
        odd = ("Data", "#attributes", *taken, *self._names)  # those that have to be looked at
        # control characters: evtx writes their numbers in capitals, orjson does not
        self._odd = (b"\\u00", *(orjson.dumps(name) + b":" for name in odd))
        self._begins: dict[tuple[object, ...], str] = {}

    def take(self, bodies: Sequence[Any], added: _Added) -> _Taken | None:
        joined = b"".join(bodies)
        if any(one in joined for one in self._odd) or not all(body[:1] == b"{" for body in map(bytes, bodies)):
            return None
        if not self._names:
            return {}, [str(body, "utf-8") for body in bodies]
        begins, keys = self._begins, [*zip(*(added[path] for path in self._paths), strict=True)]
        for key in set(keys):
            if key not in begins:
                begins[key] = self._begin(key)
        return {}, [begins[key] + str(body, "utf-8")[1:] for key, body in zip(keys, bodies, strict=True)]

    def _begin(self, key: tuple[object, ...]) -> str:
        found = {name: value for name, value in zip(self._names, key, strict=True) if value is not None}
        return orjson.dumps(found).decode()[:-1] + "," if found else "{"


class _Values:
    """Bodies whose fields go to columns, decoded many at once by a decoder for the fields that were seen."""

    def __init__(self, extra: Extra | None, taken: frozenset[str], paths: Sequence[FieldPath]) -> None:
        self._extra = extra
        self._taken = taken
        self._names: tuple[str, ...] = tuple(dict.fromkeys(path[1] for path in paths if path[0] == _BODY))
        self._decoder = _decoder_of(self._names)
        self._patience = _PATIENCE

    def take(self, bodies: Sequence[Any], added: _Added) -> _Taken | None:
        data = b"[%s]" % b",".join(bodies)
        rows = self._decode(data)
        if rows is None:
            return None
        values = dict(zip(self._names, zip(*map(msgspec.structs.astuple, rows), strict=True), strict=True))
        if self._extra is None:
            return values, [None] * len(rows)
        beside = {name: added[path] for name, path in self._extra.add.items()}
        left = {name: values[name] for name in sorted(values) if name not in self._taken}
        return values, left_texts(beside, left, self._extra.drop, len(rows))

    def _decode(self, data: bytes) -> Sequence[Any] | None:
        for _ in range(2):
            try:
                return cast("Sequence[Any]", self._decoder.decode(data))
            except (msgspec.MsgspecError, UnicodeError, RecursionError):
                if not self._learn(data):
                    return None
        return None

    def _learn(self, data: bytes) -> bool:
        """Whether there are fields that were not seen before, and nothing nested or unnamed."""
        if self._patience <= 0:
            return False
        self._patience -= 1
        bodies = orjson.loads(data)
        if not all(is_plain(body) and "#attributes" not in body for body in bodies):
            return False
        names = dict.fromkeys((*self._names, *(name for body in bodies for name in body)))
        if len(names) == len(self._names) or len(names) > _MOST_NAMES:
            return False
        self._names = tuple(names)
        self._decoder = _decoder_of(self._names)
        return True


def _decoder_of(names: Sequence[str]) -> msgspec.json.Decoder[Any]:
    fields: list[Any] = [(_attribute(name), _VALUE, None) for name in names]
    one = msgspec.defstruct(
        "Body", fields, rename={_attribute(name): name for name in names}, forbid_unknown_fields=True, gc=False
    )
    return msgspec.json.Decoder(list[one])  # type: ignore[valid-type]
