"""The heads of Windows events, `System`, decoded without a dictionary per event; `EventData` stays JSON text."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from operator import attrgetter
from typing import Any, cast

import msgspec
import orjson

from perilune.ports import Halves
from perilune.readers.mappings import FieldPath, Map, Mappings
from perilune.readers.windows import NO_NAME, SCRIPT_BLOCK, Raw, is_object, shape

HEAD, BODY = "System", "EventData"
_LEAF = str | int | None
_PROVIDER, _ID = ("Provider", "#attributes", "Name"), ("EventID",)

Tree = dict[str, "Tree"]
Get = Callable[[Sequence[Any]], list[object]]


class _Numbered(msgspec.Struct, frozen=True, gc=False, rename={"text": "#text"}):
    """An EventID with qualifiers."""

    text: int


class Heads:
    """Decodes the heads of events, and tells their kinds."""

    def __init__(self, mappings: Mappings) -> None:
        paths = {path for one in _windows_maps(mappings) for path in paths_of(one)}
        self._is_able = not any(NO_NAME.search("".join(path)) for path in paths)
        wanted = {path[1:] for path in paths if path[0] == HEAD} if self._is_able else set()
        tree = tree_of([_PROVIDER, _ID, *sorted(path for path in wanted if path and path[0] != "EventID")])
        event = msgspec.defstruct(
            "Event", [(HEAD, _struct(tree)), (BODY, msgspec.Raw, msgspec.Raw(b""))], gc=False
        )  # fmt: skip
        self._decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(
            msgspec.defstruct("Record", [("Event", event)], gc=False)
        )
        self._provider = attrgetter(".".join((HEAD, *map(attribute, _PROVIDER))))
        self._kinds: dict[tuple[object, object], str | None] = {}

    def decode(self, texts: Sequence[str]) -> Sequence[Any]:
        """The events of these texts; None for one that is unlike most."""
        if not self._is_able:
            return [None] * len(texts)
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

    def kinds(self, events: Sequence[Any]) -> list[str | None]:
        """Their kinds; None for one that is to be looked at as a dictionary."""
        try:
            keys = [*zip(map(self._provider, events), map(_get_id, events), strict=True)]
        except AttributeError:  # one that is None, or without a provider
            return [*map(self._kind, events)]
        known = self._kinds
        for key in set(keys):
            if key not in known:
                known[key] = _named(*key)
        return [known[key] if len(event.EventData) > 2 else None for key, event in zip(keys, events, strict=True)]

    def _kind(self, event: Any) -> str | None:
        if event is None or len(event.EventData) <= 2:
            return None
        try:
            return _named(self._provider(event), _get_id(event))
        except AttributeError:
            return None


def _named(provider: object, number: object) -> str | None:
    number = number.text if type(number) is _Numbered else number
    if type(provider) is not str or type(number) is not int:
        return None
    kind = f"windows:{provider}/{number}"
    return None if kind == SCRIPT_BLOCK else kind


def _windows_maps(mappings: Mappings) -> Sequence[Map]:
    return [one for kind, one in mappings.by_kind.items() if kind.startswith("windows:")]


def paths_of(one: Map) -> Iterator[FieldPath]:
    """Every raw field that a map takes by its name."""
    for column in one.columns:
        for source in column.sources:
            yield from (source,) if isinstance(source, tuple) else source.paths
    yield from one.extra.add.values() if one.extra else ()


def tree_of(paths: Iterable[FieldPath]) -> Tree:
    """The names in each object on the way to these paths."""
    found: Tree = {}
    for path in paths:
        at = found
        for name in path:
            at = at.setdefault(name, {})
    return found


def _struct(tree: Tree) -> type[msgspec.Struct]:
    """A type with the leaves of the tree, and with nothing else that stands beside them."""
    fields = [(attribute(name), _kind_of(name, below), None) for name, below in tree.items()]
    return msgspec.defstruct("Head", fields, rename={attribute(name): name for name in tree}, gc=False)


def _kind_of(name: str, below: Tree) -> Any:
    if name == "EventID":
        return int | _Numbered | None
    return _struct(below) | None if below else _LEAF


def attribute(name: str) -> str:
    """A Python name for a field of any name."""
    return "x" + name.encode().hex()


def getter(path: FieldPath) -> Get:
    """Finds the values at a path in the heads of many events."""
    if path == _ID:
        return lambda events: [one.text if type(one) is _Numbered else one for one in map(_get_id, events)]
    return _getter_of((HEAD, *map(attribute, path)))


def _getter_of(names: Sequence[str]) -> Get:
    whole, first = attrgetter(".".join(names)), attrgetter(names[0])

    def get(objects: Sequence[Any]) -> list[object]:
        try:
            return [*map(whole, objects)]
        except AttributeError:  # null on the way there
            below = [*map(first, objects)]
            there = iter(_getter_of(names[1:])([one for one in below if one is not None]))
            return [None if one is None else next(there) for one in below]

    return get


_get_id = attrgetter(f"{HEAD}.{attribute('EventID')}")


def whole_events(events: Halves) -> list[Raw]:
    """The same events as dictionaries, with what is wanted of their heads."""
    return [
        shape({HEAD: _dictionary(event.System), BODY: orjson.loads(bytes(event.EventData))}) or {}
        for event in cast("Sequence[Any]", events.events)
    ]


def _dictionary(head: object) -> Raw:
    found = cast(Raw, msgspec.to_builtins(head))
    number = found.get("EventID")
    return {**found, "EventID": number["#text"]} if is_object(number) else found
